"""Features: the tokens that a model's towers compute from labelled media, and the file format that stores them."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from stages.encode import pool

LARGEST_HALF = 60_000.0
"""Larger tokens do not fit float16 and are stored as float32."""


class ClipPart(msgspec.Struct, frozen=True):
    """One clip of an example: its time range, its numbers of tokens and its signals."""

    start_s: float
    end_s: float
    counts: dict[str, int]
    """Number of this clip's tokens, by modality."""
    signals: dict[str, dict[str, float]] = {}


@dataclass(frozen=True)
class Features:
    """Tokens, float32 "N D" by modality, concatenated over all clips, and the means of the clips' signals."""

    tokens: Mapping[str, Array]
    signals: Mapping[str, Mapping[str, float]]
    clips: tuple[ClipPart, ...] = ()

    @cached_property
    def embeddings(self) -> dict[str, Array]:
        """The mean of all tokens, at unit length: "D" by modality."""
        return {name: pool(tokens) for name, tokens in self.tokens.items()}

    def only(self, *modalities: str) -> "Features":
        """The same with these modalities only. All signals are kept, because they affect these modalities too."""
        clips = tuple(
            msgspec.structs.replace(clip, counts={m: n for m, n in clip.counts.items() if m in modalities})
            for clip in self.clips
        )
        return Features({name: t for name, t in self.tokens.items() if name in modalities}, self.signals, clips)

    def middle_picture(self) -> "Features":
        """The middle picture alone; empty if there are no pictures."""
        pictures = self.tokens.get("image")
        if pictures is None:
            return Features({}, {})
        signals = {name: of for name, of in self.signals.items() if name == "image"}
        return Features({"image": pictures[len(pictures) // 2][None]}, signals)

    def by_clip(self) -> Iterator["Features"]:
        """The features of each clip."""
        begin = dict.fromkeys(self.tokens, 0)
        for clip in self.clips:
            tokens = {}
            for name, count in clip.counts.items():
                tokens[name] = self.tokens[name][begin[name] : begin[name] + count]
                begin[name] += count
            yield Features(tokens, clip.signals, (clip,))

    @classmethod
    def of_clips(cls, clips: Iterable["Features"]) -> "Features":
        """The features of one example, from those of its clips."""
        clips = tuple(clips)
        names: list[str] = [name for name in MODALITIES if any(name in clip.tokens for clip in clips)]
        tokens = {name: np.concatenate([c.tokens[name] for c in clips if name in c.tokens]) for name in names}
        return cls(tokens, mean_signals([clip.signals for clip in clips]), tuple(p for c in clips for p in c.clips))


def mean_signals(each: Iterable[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    measured: dict[str, dict[str, list[float]]] = {}
    for signals in each:
        for modality, values in signals.items():
            for name, value in values.items():
                measured.setdefault(modality, {}).setdefault(name, []).append(value)
    return {kind: {name: float(np.mean(all_)) for name, all_ in values.items()} for kind, values in measured.items()}


def save(features: Features, path: Path) -> None:
    """Write one file, completely or not at all. Tokens are stored as float16 if they fit."""
    from safetensors.numpy import save as packed

    tokens = {
        name: np.ascontiguousarray(t, np.float16 if np.abs(t).max(initial=0.0) < LARGEST_HALF else np.float32)
        for name, t in features.tokens.items()
    }
    about = {"clips": msgspec.json.encode(features.clips).decode(), "signals": json.dumps(features.signals)}
    write_whole(path, packed(tokens, metadata=about))


def load(path: Path) -> Features:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        about = file.metadata()
        tokens = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
    clips = msgspec.json.decode(about["clips"], type=tuple[ClipPart, ...])
    ordered = {str(name): tokens[name] for name in MODALITIES if name in tokens}
    return Features(ordered, json.loads(about["signals"]), clips)


def write_whole(path: Path, content: bytes) -> None:
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    half.write_bytes(content)
    half.replace(path)
