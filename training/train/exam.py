"""How often the held-out clips are told right, scored as the product scores them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.arrays import Array
from stages.classify import score_all
from stages.labels import LabelSet
from training.data.example import Example
from training.intervals import Share, bootstrap, share


@dataclass(frozen=True)
class Answer:
    """What is known of one held-out clip: unit vectors "D" by modality, the same after a head, and its signals."""

    embeddings: Mapping[str, Array]
    signals: Mapping[str, Mapping[str, float]]
    fused: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """Top-1 of clips of base labels among the base labels, and of novel ones among the novel labels.

    So the literature counts (X-CLIP, ViFi-CLIP). None where there is no such clip.
    """

    base: Share | None
    novel: Share | None
    harmonic: float | None
    harmonic_range: tuple[float, float] | None

    def lines(self) -> dict[str, str]:
        """For people."""
        mean = "-"
        if self.harmonic is not None and self.harmonic_range is not None:
            low, high = self.harmonic_range
            mean = f"{self.harmonic:6.1%}   [{low:.1%}, {high:.1%}]"
        return {"base": str(self.base or "-"), "novel": str(self.novel or "-"), "harmonic mean": mean}


class Exam:
    """The held-out clips, each with the labels it is asked among."""

    def __init__(self, held_out: Sequence[Example], labels: Sequence[str], novel: Sequence[str]) -> None:
        place = {label: index for index, label in enumerate(labels)}
        new = set(novel)
        self._right = [place[example.label] for example in held_out]
        self.is_novel = np.array([example.label in new for example in held_out], bool)
        self._among = {kind: [place[label] for label in labels if (label in new) == kind] for kind in (False, True)}

    def hits(self, label_set: LabelSet, answers: Sequence[Answer]) -> Array:
        """Whether each is told right: bool "N". Of equally good labels the first counts."""
        return np.array([self._hit(label_set, number, answer) for number, answer in enumerate(answers)], bool)

    def _hit(self, label_set: LabelSet, number: int, answer: Answer) -> bool:
        among = self._among[bool(self.is_novel[number])]
        pooled = score_all(label_set, answer.embeddings, answer.signals, answer.fused).pooled
        return among[int(pooled[among].argmax())] == self._right[number]

    def percent(self, hits: Array) -> dict[str, float]:
        """For the curves."""
        kinds = {"base": hits[~self.is_novel], "novel": hits[self.is_novel]}
        return {name: 100 * float(found.mean()) for name, found in kinds.items() if len(found)}

    def figures(self, hits: Array, seed: int) -> Figures:
        base, novel = hits[~self.is_novel], hits[self.is_novel]
        if not (len(base) and len(novel)):
            return Figures(share(base) if len(base) else None, share(novel) if len(novel) else None, None, None)
        rows = np.stack([self.is_novel, hits], axis=1).astype(np.float64)
        return Figures(share(base), share(novel), _harmonic_of(rows), bootstrap(rows, _harmonic_of, seed))


def _harmonic_of(rows: Array) -> float:
    """Of rows (novel, right) "N 2"; nan where one kind is missing."""
    base, novel = rows[rows[:, 0] == 0, 1], rows[rows[:, 0] == 1, 1]
    if not (len(base) and len(novel)):
        return float("nan")
    return harmonic_mean(float(base.mean()), float(novel.mean()))


def harmonic_mean(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


def as_record(figures: Figures) -> dict[str, Any]:
    """For `training.json`."""
    import msgspec

    record: dict[str, Any] = {
        name: value and msgspec.to_builtins(value) for name, value in (("base", figures.base), ("novel", figures.novel))
    }
    return record | {"harmonic_mean": figures.harmonic, "harmonic_mean_95": figures.harmonic_range}
