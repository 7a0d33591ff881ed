"""The units of calibration: single clips, as in a run, each with its label and its example."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from stages.fuse import Fuse
from stages.words.label_side import LabelSide
from stages.words.open_set import SourceClips, is_changed
from stages.words.reliability import signal_weight
from training.evaluate.head import fused_embeddings
from training.features import Features

MOST_OF_ONE = 5
"""At most this many clips of an example are used, evenly spaced."""


@dataclass(frozen=True)
class Units:
    """N clips. right: index of each clip's label, "N". example: index of each clip's example, "N"."""

    clips: SourceClips
    right: Array
    example: Array

    def __len__(self) -> int:
        return len(self.example)

    def take(self, rows: Array) -> "Units":
        return Units(self.clips.take(rows), self.right[rows], self.example[rows])

    def present(self, row: int, sides: Mapping[str, LabelSide]) -> list[str]:
        """The modalities that a clip has and that are in `sides`."""
        return [name for name, of in self.clips.embeddings.items() if name in sides and of[row].any()]


def make_units(
    features: Sequence[Features],
    right: Sequence[int],
    names: Iterable[str],
    whole: bool = False,
    head: Fuse | None = None,
) -> Units:
    """The clips that have anything to see or hear.

    names: the modalities to use. whole: the clips of an example are joined into one. head: the model's fusion head.
    """
    wanted = [name for name in MODALITIES if name in set(names)]
    found: list[tuple[Features, int, int]] = []
    for number, (each, label) in enumerate(zip(features, right, strict=True)):
        clips = [clip for clip in each.by_clip() if _has_content(clip, wanted)]
        if whole and clips:
            clips = [Features.of_clips(clips)]
        chosen = np.unique(np.linspace(0, len(clips) - 1, min(MOST_OF_ONE, len(clips))).round().astype(int))
        found += [(clips[index], label, number) for index in chosen.tolist()]
    embeddings: dict[str, Array] = {}
    for name in wanted:
        size = next((clip.tokens[name].shape[1] for clip, _, _ in found if name in clip.tokens), 0)
        if size:
            nothing = np.zeros(size, np.float32)
            embeddings[name] = np.stack([clip.embeddings.get(name, nothing) for clip, _, _ in found])
    signals = [{kind: dict(of) for kind, of in clip.signals.items()} for clip, _, _ in found]
    labels = np.array([label for _, label, _ in found], np.int64)
    fused = _fused(head, [clip for clip, _, _ in found], embeddings) if head is not None else {}
    source = SourceClips(embeddings, signals, fused)
    return Units(source, labels, np.array([number for _, _, number in found], np.int64))


def _fused(head: Fuse, clips: Sequence[Features], embeddings: Mapping[str, Array]) -> dict[str, Array]:
    """Embeddings after the head, "N D" by modality; zeros for clips that it does not change."""
    found = {name: np.zeros_like(of) for name, of in embeddings.items()}
    for row, clip in enumerate(clips):
        own = {name: of for name, of in clip.embeddings.items() if name in embeddings}
        fused = fused_embeddings(head, clip, own)
        if is_changed(own, fused):
            for name, of in fused.items():
                found[name][row] = of
    return {name: of for name, of in found.items() if of.any()}


def _has_content(clip: Features, names: Sequence[str]) -> bool:
    return any(name in clip.tokens and signal_weight(name, clip.signals) > 0 for name in names)
