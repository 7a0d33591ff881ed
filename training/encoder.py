"""Media to tokens through the product's own reader and stages, in one process and one file at a time."""

import itertools
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.clip import MODALITIES, Absent, Clip, ClipInfo, DecodedClip
from pipeline.errors import SourceError
from pipeline.stage import Budget, Resources, RunSettings, Stage
from stages.decode.reader import NS, ReaderOptions, make_reader
from stages.encode import Encode
from stages.flow import Flow
from stages.signals import SignalsStage
from stages.spectrogram import Spectrogram
from training.data.example import Example
from training.features import ClipPart, Features

TOGETHER = 8
"""Clips that go through the towers in one call."""


class Encoder:
    """The stages before `classify`, open; `close` when done.

    Model, engine, precision, device, threads, modalities and the clips' length are those of `run`.
    """

    def __init__(self, run: RunSettings, report: Callable[[str], None] = lambda message: None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="percept-encoder-")
        own = {"directory": self._folder.name, "cache_directory": run.cache_directory or self._folder.name}
        self.run = msgspec.structs.replace(run, **own)
        self._resources = Resources()
        self._stages: list[Stage] = []
        try:
            self._start(report)
        except BaseException:
            self.close()
            raise

    def _start(self, report: Callable[[str], None]) -> None:
        kinds = (Flow, Spectrogram, SignalsStage, Encode)
        stages: list[Stage] = [kind(kind.Options(), self.run, Budget()) for kind in kinds]
        demands = [stage.demand() for stage in stages]
        short_side_px = max(demand.short_side_px for demand in demands) or Budget().short_side_px
        self._reader = ReaderOptions(
            clip_ns=self.run.clip_ns,
            stride_ns=self.run.clip_ns,
            frame_rate_hz=self.run.frame_rate_hz,
            modalities=tuple(name for name in MODALITIES if name in self.run.modalities),
            short_side_px=short_side_px,
            long_side_px=max(Budget().long_side_px, short_side_px),
            audio_rate_hz=max(demand.audio_rate_hz for demand in demands),
            audio_context_s=max(demand.audio_context_s for demand in demands),
            threads=self.run.threads,
        )
        for stage in stages:
            stage.prepare(report)
            stage.open(self._resources)
            self._stages.append(stage)

    def close(self) -> None:
        while self._stages:
            self._stages.pop().close()
        self._resources.close()
        self._folder.cleanup()

    def describe(self) -> dict[str, str]:
        """Which engine and model run."""
        return {key: text for stage in self._stages for key, text in stage.describe().items()}

    def example(self, example: Example) -> Features:
        """One example's stretch of its file.

        Raises:
            SourceError: it cannot be decoded, has nothing of what is asked for, or a stage fails on it.
        """
        try:
            return Features.of_clips(self._clips(Path(example.path), example.start_s, example.end_s))
        except (SourceError, MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise SourceError(f"{example.path}: {type(error).__name__}: {error}") from error

    def file(self, path: Path) -> Features:
        """One whole file."""
        return Features.of_clips(self._clips(path))

    def clips(self, path: Path) -> list[Features]:
        """Every clip of a file for itself."""
        return list(self._clips(path))

    def photo(self, picture: Array) -> Features:
        """One picture, uint8 "H W 3", as a clip of a single frame."""
        info = ClipInfo(source="photo", source_index=0, index=0, start_ns=0, end_ns=self.run.clip_ns)
        arrays = {"frames": picture[None], "frame_times_ns": np.zeros(1, np.int64)}
        return Features.of_clips(self._encode([DecodedClip(info, arrays, {"audio": "no_stream"})]))

    def _clips(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> Iterator[Features]:
        end_ns = None if end_s is None else round(end_s * NS)
        options = msgspec.structs.replace(self._reader, start_ns=round(start_s * NS), end_ns=end_ns)
        found = 0
        with make_reader(str(path), 0, options) as reader:
            reader.open()
            whole = (clip for clip in reader.clips() if isinstance(clip, DecodedClip))
            while together := list(itertools.islice(whole, TOGETHER)):
                found += len(together)
                yield from self._encode(together)
        if not found:
            raise SourceError(f"{path}: nothing between {start_s:g} s and {end_s} s. Does the stretch lie in the file?")

    def _encode(self, clips: Sequence[DecodedClip]) -> Iterator[Features]:
        known = [dict(clip.arrays) for clip in clips]
        missing = [dict(clip.absent) for clip in clips]
        for stage in self._stages:
            able = [i for i, arrays in enumerate(known) if all(name in arrays for name in stage.required)]
            for i in set(range(len(clips))) - set(able):
                missing[i] |= dict.fromkeys(stage.gives(), "no_stream")
            outputs = stage.process_many([Clip(clips[i].info, known[i], missing[i]) for i in able]) if able else []
            for i, given in zip(able, outputs, strict=True):
                for name, value in given.items():
                    if isinstance(value, Absent):
                        missing[i][name] = value.reason
                    else:
                        known[i][name] = value
        return (_features(clip.info, arrays) for clip, arrays in zip(clips, known, strict=True))


def _features(info: ClipInfo, arrays: Mapping[str, Any]) -> Features:
    names = [name for name in MODALITIES if f"{name}_tokens" in arrays]
    tokens = {str(name): np.asarray(arrays[f"{name}_tokens"], np.float32) for name in names}
    counts = {name: len(values) for name, values in tokens.items()}
    signals = arrays.get("signals") or {}
    return Features(tokens, signals, (ClipPart(info.start_ns / NS, info.end_ns / NS, counts, signals),))


def photos(tar: Path) -> Iterator[tuple[str, Array]]:
    """Class word and picture of every photo in `imagenet-1-per-class.tar`; the file name is synset, then class."""
    from PIL import Image

    with tarfile.open(tar) as archive:
        for member in archive:
            if not member.isfile():
                continue
            content = archive.extractfile(member)
            assert content is not None
            name = Path(member.name).stem.split("_", 1)[-1].replace("_", " ").lower()
            yield name, np.asarray(Image.open(BytesIO(content.read())).convert("RGB"))
