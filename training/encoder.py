"""Media to embeddings through the product's own reader and stages, in one process and one file at a time."""

import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import Array
from pipeline.clip import Clip, ClipInfo, DecodedClip
from pipeline.stage import Budget, Resources, RunSettings, Stage
from stages.decode.reader import ReaderOptions, make_reader
from stages.encode import Encode, pool
from stages.flow import Flow
from stages.signals import SignalsStage
from stages.spectrogram import Spectrogram


@dataclass(frozen=True)
class Features:
    """What the towers made of one file: an embedding "D" by modality, and the means of its clips' signals."""

    embeddings: Mapping[str, Array]
    signals: Mapping[str, Mapping[str, float]]

    def only(self, *modalities: str) -> "Features":
        return Features({name: e for name, e in self.embeddings.items() if name in modalities}, self.signals)


class Encoder:
    """The stages before `classify`, open; `close` when done."""

    def __init__(self, model: str, cache_directory: str = "", threads: int = 2) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="accuracy-")
        cache = cache_directory or self._folder.name
        self.run = RunSettings(model=model, directory=self._folder.name, cache_directory=cache, threads=threads)
        self._resources = Resources()
        self._stages: list[Stage] = [
            kind(kind.Options(), self.run, Budget()) for kind in (Flow, Spectrogram, SignalsStage, Encode)
        ]
        demands = [stage.demand() for stage in self._stages]
        self._reader = ReaderOptions(
            short_side_px=max(demand.short_side_px for demand in demands),
            audio_rate_hz=max(demand.audio_rate_hz for demand in demands),
            audio_context_s=max(demand.audio_context_s for demand in demands),
        )
        for stage in self._stages:
            stage.prepare(lambda message: None)
            stage.open(self._resources)

    def close(self) -> None:
        for stage in self._stages:
            stage.close()
        self._resources.close()
        self._folder.cleanup()

    def file(self, path: Path) -> Features:
        """One file: the tokens of all its clips are averaged per modality before they are normalised."""
        return _merged(self._clips(path))

    def clips(self, path: Path) -> list[Features]:
        """Every clip of a file for itself."""
        return [_merged([clip]) for clip in self._clips(path)]

    def _clips(self, path: Path) -> list[dict[str, Any]]:
        with make_reader(str(path), 0, self._reader) as reader:
            reader.open()
            return [self._encode(clip.info, clip.arrays, clip.absent) for clip in _whole(reader.clips())]

    def photo(self, picture: Array) -> Features:
        """One picture, uint8 "H W 3", as a clip of a single frame."""
        info = ClipInfo(source="photo", source_index=0, index=0, start_ns=0, end_ns=2_000_000_000)
        times = np.zeros(1, np.int64)
        return _merged([self._encode(info, {"frames": picture[None], "frame_times_ns": times}, {"audio": "no_stream"})])

    def _encode(self, info: ClipInfo, arrays: Mapping[str, Any], absent: Mapping[str, str]) -> dict[str, Any]:
        known, missing = dict(arrays), dict(absent)
        for stage in self._stages:
            if any(name not in known for name in stage.required):
                missing |= dict.fromkeys(stage.gives(), "no_stream")
                continue
            for name, value in stage.process(Clip(info, known, missing)).items():
                if hasattr(value, "reason"):
                    missing[name] = value.reason
                else:
                    known[name] = value
        return known


def _whole(clips: Iterator[Any]) -> Iterator[DecodedClip]:
    return (clip for clip in clips if isinstance(clip, DecodedClip))


def _merged(clips: list[dict[str, Any]]) -> Features:
    embeddings: dict[str, Array] = {}
    for modality in ("image", "motion", "audio"):
        tokens = [clip[f"{modality}_tokens"] for clip in clips if f"{modality}_tokens" in clip]
        if tokens:
            embeddings[modality] = pool(np.concatenate(tokens))
    measured: dict[str, dict[str, list[float]]] = {}
    for clip in clips:
        for modality, values in clip["signals"].items():
            for name, value in values.items():
                measured.setdefault(modality, {}).setdefault(name, []).append(value)
    means = {kind: {name: float(np.mean(all_)) for name, all_ in values.items()} for kind, values in measured.items()}
    return Features(embeddings, means)


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
