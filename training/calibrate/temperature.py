"""Fits temperature and bias of every tower, so that the probabilities and shares of a run are calibrated.

All towers are fitted together, on the pooled scores of all modalities. The loss is the cross-entropy of the shares plus
the logistic loss of the best label's probability (Platt 1999; temperature alone: Guo et al. 2017, arXiv 1706.04599).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.reliability import reliability
from training.calibrate.units import Units

STEPS = (0.7, 2.0)
"""Initial steps of log temperature and of bias. They are halved `HALVINGS` times."""
HALVINGS = 5
WIDEST = (np.log(8.0), 12.0)
"""Largest changes of log temperature and of bias."""
RESTRAINT = 0.01
"""Penalty for the squared distance of a parameter from its start, in initial steps. It decides if the data do not."""


class Scale(msgspec.Struct, frozen=True):
    temperature: float
    bias: float


@dataclass(frozen=True)
class Scene:
    """Clips compared with all labels: cosines "N C" and background cosines "N V" by modality.

    present: bool "N" by modality, whether a clip has it.
    """

    units: Units
    sides: Mapping[str, LabelSide]
    similarity: Mapping[str, Array]
    background: Mapping[str, Array]
    present: Mapping[str, Array]
    weight: Array
    """Weight of each clip, "N". The clips of one example count as one together."""

    @classmethod
    def of(cls, units: Units, sides: Mapping[str, LabelSide]) -> "Scene":
        sides = {name: side for name, side in sides.items() if name in units.clips.embeddings}
        seen = {name: side.compare(units.clips.embeddings[name])[:2] for name, side in sides.items()}
        present = {name: np.any(units.clips.embeddings[name] != 0, axis=1) for name in sides}
        counts = np.bincount(units.example)
        weight = 1.0 / counts[units.example] if len(units) else np.zeros(0)
        near, background = ({name: pair[index] for name, pair in seen.items()} for index in (0, 1))
        return cls(units, sides, near, background, present, weight / max(weight.sum(), 1e-12))

    def pooled(self, scales: Mapping[str, Scale]) -> Array:
        """Log-odds "N C" of all modalities together."""
        odds = {
            name: scoring.log_odds(
                self.similarity[name], self.background[name], side.kept, scales[name].temperature, scales[name].bias
            )
            for name, side in self.sides.items()
        }
        rows = []
        for row, signals in enumerate(self.units.clips.signals):
            names = [name for name in self.sides if self.present[name][row]]
            weights = {}
            for name in names:
                decided = scoring.peakedness(self.background[name][row], scales[name].temperature)
                weights[name] = reliability(name, signals, decided, self.sides[name].knows_stillness)
            rows.append(scoring.pool({name: odds[name][row] for name in names}, weights))
        return np.stack(rows)


def scales_of(sides: Mapping[str, LabelSide]) -> dict[str, Scale]:
    return {name: Scale(side.temperature, side.bias) for name, side in sides.items()}


def scaled(sides: Mapping[str, LabelSide], scales: Mapping[str, Scale]) -> dict[str, LabelSide]:
    return {
        name: replace(side, temperature=scales[name].temperature, bias=scales[name].bias)
        for name, side in sides.items()
    }


def loss(pooled: Array, right: Array, weight: Array) -> float:
    """Cross-entropy of the shares plus logistic loss of the best label's probability, from log-odds "N C"."""
    rows = np.arange(len(pooled))
    best = pooled.argmax(axis=1)
    top = pooled[rows, best]
    entropy = np.log(np.exp(pooled - top[:, None]).sum(axis=1)) + top - pooled[rows, right]
    platt = np.logaddexp(0.0, np.where(best == right, -top, top))
    return float(weight @ (entropy + platt))


def fit(scene: Scene) -> dict[str, Scale]:
    """The temperature and bias of each tower with the least loss, by coordinate descent with ever smaller steps."""
    start = scales_of(scene.sides)
    names = [(modality, which) for modality in start for which in (0, 1)]
    away = dict.fromkeys(names, 0.0)
    best = _loss(scene, start, away)
    for halving in range(HALVINGS + 1):
        moved = True
        while moved:
            moved = False
            for name in names:
                for sign in (1, -1):
                    tried = away | {name: away[name] + sign * STEPS[name[1]] / 2**halving}
                    if abs(tried[name]) > WIDEST[name[1]]:
                        continue
                    value = _loss(scene, start, tried)
                    if value < best - 1e-6:
                        best, away, moved = value, tried, True
    return _at(start, away)


def _at(start: Mapping[str, Scale], away: Mapping[tuple[str, int], float]) -> dict[str, Scale]:
    return {
        name: Scale(scale.temperature * float(np.exp(away[name, 0])), scale.bias + away[name, 1])
        for name, scale in start.items()
    }


def _loss(scene: Scene, start: Mapping[str, Scale], away: Mapping[tuple[str, int], float]) -> float:
    restraint = sum((value / STEPS[which]) ** 2 for (_, which), value in away.items())
    return loss(scene.pooled(_at(start, away)), scene.units.right, scene.weight) + RESTRAINT * restraint
