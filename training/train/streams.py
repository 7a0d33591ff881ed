"""What a tower is shown, kept on disk: decoded once, then changed a little in every step and shown again."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engines.models.model import TowerSpec
from pipeline.arrays import Array
from pipeline.clip import Clip, ClipInfo, DecodedClip
from pipeline.errors import SourceError
from pipeline.stage import Budget, Resources, RunSettings, Stage
from stages.decode.reader import NS, ReaderOptions, make_reader
from stages.encode import STREAM, Encode, tower_input
from stages.flow import Flow
from stages.pictures import evenly
from stages.spectrogram import Spectrogram
from training.data.example import Example
from training.train.state import write_whole

Tick = Callable[[int, int, int], None]
"""Called after each example with: done, of how many, failed."""


class StreamCache:
    """One stream of many examples, a file each: frames uint8, flow float16 or log-mel float32, clip by clip."""

    def __init__(self, root: Path, run: RunSettings, modality: str, tower: TowerSpec) -> None:
        self._run, self._tower = run, tower
        self._options = reader_options(run, modality)
        self.stream = STREAM[tower.input]
        facts = (
            f"{msgspec.structs.replace(self._options, threads=1)} {tower.input} {tower.pictures_per_clip} {tower.mel}"
        )
        self.folder = root / f"{self.stream}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
        self.failures: dict[str, str] = {}

    def fill(self, examples: Sequence[Example], tick: Tick) -> None:
        """Decode what is not here yet; may be broken off at any time. What fails is entered in `failures`.

        Raises:
            OutputError: the disk is full.
        """
        missing = [example for example in examples if not self._path(example).is_file()]
        done = len(examples) - len(missing)
        if not missing:
            return
        reader = _Streams(self._run, self._options, self._tower)
        try:
            for number, example in enumerate(missing, done + 1):
                try:
                    self._write(example, reader.read(example))
                except SourceError as error:
                    self.failures[example.path] = str(error)
                tick(number, len(examples), len(self.failures))
        finally:
            reader.close()

    def clips(self, example: Example) -> int:
        """How many clips of it have the stream."""
        from safetensors import safe_open

        path = self._path(example)
        if not path.is_file():
            return 0
        with safe_open(path, framework="np") as file:
            return len(list(file.keys()))

    def get(self, example: Example, clip: int) -> Array:
        """The stream of the example's clip number `clip` of those that have it."""
        from safetensors import safe_open

        with safe_open(self._path(example), framework="np") as file:
            return np.asarray(file.get_tensor(f"{clip:05}"))

    def _path(self, example: Example) -> Path:
        key = example.key
        return self.folder / key[:2] / f"{key}.safetensors"

    def _write(self, example: Example, clips: Sequence[Array]) -> None:
        from safetensors.numpy import save

        path = self._path(example)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, save({f"{number:05}": np.ascontiguousarray(clip) for number, clip in enumerate(clips)}))


class _Streams:
    """The product's reader, and the one stage that makes the stream of what it gives."""

    def __init__(self, run: RunSettings, options: ReaderOptions, tower: TowerSpec) -> None:
        kinds: dict[str, type[Stage]] = {"flow": Flow, "log_mel": Spectrogram}
        self._stream, self._tower = STREAM[tower.input], tower
        self._stage = (
            kinds[self._stream](kinds[self._stream].Options(), run, Budget()) if self._stream in kinds else None
        )
        self._options = options
        if self._stage:
            self._stage.open(Resources())

    def close(self) -> None:
        if self._stage:
            self._stage.close()

    def read(self, example: Example) -> list[Array]:
        """Raises:
        SourceError: it cannot be decoded, or no clip has the stream.
        """
        try:
            found = list(self._read(example))
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(f"{example.path}: {type(error).__name__}: {error}") from error
        if not found:
            raise SourceError(f"{example.path}: no clip of it has {self._stream}")
        return found

    def _read(self, example: Example) -> Iterator[Array]:
        end_ns = None if example.end_s is None else round(example.end_s * NS)
        options = msgspec.structs.replace(self._options, start_ns=round(example.start_s * NS), end_ns=end_ns)
        with make_reader(example.path, 0, options) as reader:
            reader.open()
            for clip in reader.clips():
                if isinstance(clip, DecodedClip) and (stream := self._of(clip)) is not None:
                    yield stream

    def _of(self, decoded: DecodedClip) -> Array | None:
        arrays: Mapping[str, Any] = decoded.arrays
        if self._stage is not None:
            if any(name not in arrays for name in self._stage.required):
                return None
            arrays = self._stage.process(Clip(decoded.info, dict(arrays), dict(decoded.absent)))
        stream = arrays.get(self._stream)
        if not isinstance(stream, np.ndarray):
            return None
        return (
            stream if self._stream == "log_mel" else stream[evenly(self._tower.pictures_per_clip, len(stream))].copy()
        )


def reader_options(run: RunSettings, modality: str) -> ReaderOptions:
    """How the product would read a file for this modality.

    The short side is the whole model's, as it is when labels are told: flow depends on it a little.
    """
    demands = [kind(kind.Options(), run, Budget()).demand() for kind in (Flow, Spectrogram, Encode)]
    short_side_px = max(demand.short_side_px for demand in demands) or Budget().short_side_px
    return ReaderOptions(
        clip_ns=run.clip_ns,
        stride_ns=run.clip_ns,
        frame_rate_hz=run.frame_rate_hz,
        modalities=("audio",) if modality == "audio" else ("image", "motion"),
        short_side_px=short_side_px,
        long_side_px=max(Budget().long_side_px, short_side_px),
        audio_rate_hz=max(demand.audio_rate_hz for demand in demands),
        audio_context_s=max(demand.audio_context_s for demand in demands),
        threads=run.threads,
    )


def shown(tower: TowerSpec, stream: Array) -> Array:
    """The tower's input as the pipeline makes it of a stream: float32 "K ..."."""
    info = ClipInfo(source="", source_index=0, index=0, start_ns=0, end_ns=NS)
    return tower_input(tower, Clip(info, {STREAM[tower.input]: stream}, {}))
