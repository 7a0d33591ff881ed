"""A cache of tower inputs on disk: decoded once, then augmented in every training step."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.models.model import TowerSpec
from pipeline.arrays import Array
from pipeline.clip import Clip, ClipInfo
from pipeline.errors import SourceError
from pipeline.plain import PlainLoop, refuse_failed
from pipeline.plan import Plan
from pipeline.run import place
from pipeline.stage import RunSettings
from stages.decode.reader import NS
from stages.pictures import evenly
from stages.tower_inputs import stream_of, tower_input
from training.data.example import Example
from training.encoder import plan_of
from training.train.state import write_whole

Tick = Callable[[int, int, int], None]
"""Called after each example with the numbers of examples: done, in total, failed."""


class StreamCache:
    """One stream of many examples, one file each, clip by clip: frames uint8, flow float16 or log-mel float32."""

    def __init__(self, root: Path, run: RunSettings, modality: str, tower: TowerSpec) -> None:
        self._tower = tower
        self._plan = plan_of(run)
        self._modalities = ("audio",) if modality == "audio" else ("image", "motion")
        self.stream = stream_of(tower)
        options = self._plan.reader_options | {"modalities": self._modalities, "threads": 1}
        facts = f"{sorted(options.items())} {tower.input} {tower.pictures_per_clip} {tower.mel}"
        self.folder = root / f"{self.stream}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
        self.failures: dict[str, str] = {}

    def fill(self, examples: Sequence[Example], tick: Tick) -> None:
        """Decode the missing examples. It may be interrupted at any time. Failed examples are entered in `failures`.

        Raises:
            OutputError: a file cannot be written.
        """
        missing = [example for example in examples if not self._path(example).is_file()]
        done = len(examples) - len(missing)
        if not missing:
            return
        reader = _Streams(self._plan, self._tower)
        try:
            for number, example in enumerate(missing, done + 1):
                try:
                    self._write(example, reader.read(example, self._modalities))
                except SourceError as error:
                    self.failures[example.path] = str(error)
                tick(number, len(examples), len(self.failures))
        finally:
            reader.close()

    def clips(self, example: Example) -> int:
        """Number of the example's clips that have the stream."""
        from safetensors import safe_open

        path = self._path(example)
        if not path.is_file():
            return 0
        with safe_open(path, framework="np") as file:
            return len(list(file.keys()))

    def get(self, example: Example, clip: int) -> Array:
        """The stream of the example's clip number `clip`, counting only clips that have the stream."""
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
    """Reads one stream of files, from decode or from one stage."""

    def __init__(self, plan: Plan, tower: TowerSpec) -> None:
        self._stream, self._tower = stream_of(tower), tower
        self._folder = tempfile.TemporaryDirectory(prefix="percept-streams-")
        self._loop = PlainLoop(place(plan, self._folder.name), {self._stream}, plan.settings.threads).__enter__()

    def close(self) -> None:
        self._loop.close()
        self._folder.cleanup()

    def read(self, example: Example, modalities: Sequence[str]) -> list[Array]:
        """Raises:
        SourceError: it cannot be decoded, or no clip has the stream.
        """
        try:
            found = list(self._read(example, modalities))
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(f"{example.path}: {type(error).__name__}: {error}") from error
        if not found:
            raise SourceError(f"{example.path}: none of its clips has {self._stream}")
        return found

    def _read(self, example: Example, modalities: Sequence[str]) -> Iterator[Array]:
        end_ns = None if example.end_s is None else round(example.end_s * NS)
        stretch: dict[str, Any] = {"start_ns": round(example.start_s * NS), "end_ns": end_ns, "modalities": modalities}
        for clip in self._loop.run(example.path, **stretch):
            refuse_failed([clip], example.path)
            if self._stream in clip.values:
                yield self._part(clip.values[self._stream])

    def _part(self, stream: Array) -> Array:
        if self._stream == "log_mel":
            return stream
        return stream[evenly(self._tower.pictures_per_clip, len(stream))].copy()


def stream_input(tower: TowerSpec, stream: Array) -> Array:
    """The tower's input, made from a stream as in a run: float32 "K ..."."""
    info = ClipInfo(source="", source_index=0, index=0, start_ns=0, end_ns=NS)
    return tower_input(tower, Clip(info, {stream_of(tower): stream}, {}), np.arange(len(stream)))
