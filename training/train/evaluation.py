"""Accuracy on the held-out clips, which are scored as in a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.classify import score_all
from stages.words.labels import LabelSet
from training.data.example import Example
from training.intervals import Share, harmonic_mean, harmonic_mean_95, share

ACCURACIES = ("base", "novel", "base_among_all", "novel_among_all")
"""Columns of the curves: top-1 in percent."""


@dataclass(frozen=True)
class Answer:
    """One held-out clip to be scored: unit vectors "D" by modality, before and after a head, and its signals."""

    embeddings: Mapping[str, Array]
    signals: Mapping[str, Mapping[str, float]]
    fused: Mapping[str, Array] = field(default_factory=dict)


class Sides(msgspec.Struct, frozen=True):
    """Top-1 of clips of base and of novel labels; None if there is no such clip."""

    base: Share | None = None
    novel: Share | None = None
    harmonic_mean: float | None = None
    harmonic_mean_95: tuple[float, float] | None = None


class Figures(msgspec.Struct, frozen=True):
    """Top-1 under two protocols.

    own_side: base clips among the base labels and novel clips among the novel labels, as in X-CLIP and ViFi-CLIP.
    among_all: each clip among all labels, so that base labels can win clips of novel labels.
    """

    own_side: Sides
    among_all: Sides


class Evaluation:
    """Scores the held-out clips among all labels, and among those of their own side, base or novel."""

    def __init__(self, held_out: Sequence[Example], labels: Sequence[str], novel: Sequence[str]) -> None:
        place = {label: index for index, label in enumerate(labels)}
        new = set(novel)
        self._right = [place[example.label] for example in held_out]
        self.is_novel = np.array([example.label in new for example in held_out], bool)
        self._among = {kind: [place[label] for label in labels if (label in new) == kind] for kind in (False, True)}

    def hits(self, label_set: LabelSet, answers: Sequence[Answer]) -> Array:
        """Whether each clip's best label is right, among its own side's labels and among all: bool "N 2".

        The first of equally good labels counts.
        """
        hits = [self._hit(label_set, number, answer) for number, answer in enumerate(answers)]
        return np.array(hits, bool).reshape(-1, 2)

    def _hit(self, label_set: LabelSet, number: int, answer: Answer) -> tuple[bool, bool]:
        among, right = self._among[bool(self.is_novel[number])], self._right[number]
        pooled = score_all(label_set, answer.embeddings, answer.signals, answer.fused).pooled
        return among[int(pooled[among].argmax())] == right, int(pooled.argmax()) == right

    def percent(self, hits: Array) -> dict[str, float]:
        """Top-1 in percent, for the curves."""
        parts = (hits[~self.is_novel, 0], hits[self.is_novel, 0], hits[~self.is_novel, 1], hits[self.is_novel, 1])
        return {name: 100 * float(of.mean()) for name, of in zip(ACCURACIES, parts, strict=True) if len(of)}

    def figures(self, hits: Array, seed: int) -> Figures:
        return Figures(*(self._sides(hits[:, column], seed) for column in (0, 1)))

    def _sides(self, hits: Array, seed: int) -> Sides:
        base, novel = (share(of) if len(of) else None for of in (hits[~self.is_novel], hits[self.is_novel]))
        if base is None or novel is None:
            return Sides(base, novel)
        rows = np.stack([self.is_novel, hits], axis=1).astype(np.float64)
        return Sides(base, novel, harmonic_mean(rows), harmonic_mean_95(rows, seed))
