"""Fits temperature and bias of every tower, so that the probabilities and shares of a run are calibrated.

All towers are fitted together, on the pooled scores of all modalities, and with the shares of the fusion head if the
model has one. The loss is the cross-entropy of the labels' shares plus the logistic loss of the best label's
probability (Platt 1999; temperature alone: Guo et al. 2017, arXiv 1706.04599).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.head_share import mixed
from stages.words.label_side import LabelSide
from stages.words.reliability import reliability
from training.calibrate.units import Units

STEPS = {"temperature": 0.7, "bias": 2.0, "base": 0.3, "novel": 0.3}
"""Initial steps of log temperature, of bias, and of the head's shares. They are halved `HALVINGS` times."""
HALVINGS = 5
WIDEST = {"temperature": np.log(8.0), "bias": 12.0, "base": 1.0, "novel": 1.0}
"""Largest changes of each."""
RESTRAINT = 0.01
"""Penalty for the squared distance of a parameter from its start, in initial steps. It decides if the data do not."""
HEAD = "head"


class Scale(msgspec.Struct, frozen=True):
    temperature: float
    bias: float


class HeadShares(msgspec.Struct, frozen=True):
    """The fusion head's weight, in [0, 1], in the score of a label that it was trained on, and of any other."""

    base: float
    novel: float

    def of(self, is_base: Array) -> Array:
        """For each label: bool "C" -> "C"."""
        return np.where(is_base, self.base, self.novel)


class Scales(msgspec.Struct, frozen=True):
    """What is fitted. towers: by modality. head: None for a model without a fusion head."""

    towers: dict[str, Scale]
    head: HeadShares | None = None


@dataclass(frozen=True)
class HeadLabels:
    """A model's fusion head, for a list of labels. is_base: bool "C", which of them it was trained on."""

    shares: HeadShares
    is_base: Array


@dataclass(frozen=True)
class Seen:
    """Embeddings of one modality, compared: cosines with the labels "N C" and the background "N V"."""

    similarity: Array
    background: Array

    @classmethod
    def by(cls, side: LabelSide, embeddings: Array) -> "Seen":
        return cls(*side.compare(embeddings)[:2])

    def odds(self, side: LabelSide, scale: Scale) -> Array:
        odds = scoring.log_odds(self.similarity, self.background, side.kept, scale.temperature, scale.bias)
        return scoring.capped(odds, side.known)


@dataclass(frozen=True)
class Scene:
    """Clips compared with all labels, by modality.

    present: bool "N" by modality, whether a clip has it. fused: the embeddings after the head; changed: bool "N",
    whether a clip has one.
    """

    units: Units
    sides: Mapping[str, LabelSide]
    own: Mapping[str, Seen]
    present: Mapping[str, Array]
    fused: Mapping[str, Seen]
    changed: Mapping[str, Array]
    head: HeadLabels | None
    weight: Array
    """Weight of each clip, "N". The clips of one example count as one together."""
    _last: dict[tuple[str, str], tuple[float, Array]] = field(default_factory=dict)
    """The last results by modality, which are used again while its temperature is the same."""

    @classmethod
    def of(cls, units: Units, sides: Mapping[str, LabelSide], head: HeadLabels | None = None) -> "Scene":
        clips = units.clips
        sides = {name: side for name, side in sides.items() if name in clips.embeddings}
        own = {name: Seen.by(side, clips.embeddings[name]) for name, side in sides.items()}
        present = {name: np.any(clips.embeddings[name] != 0, axis=1) for name in sides}
        names = [name for name in sides if head is not None and name in clips.fused]
        fused = {name: Seen.by(sides[name], clips.fused[name]) for name in names}
        changed = {name: np.any(clips.fused[name] != 0, axis=1) for name in names}
        counts = np.bincount(units.example)
        weight = 1.0 / counts[units.example] if len(units) else np.zeros(0)
        return cls(units, sides, own, present, fused, changed, head, weight / max(weight.sum(), 1e-12))

    @property
    def start(self) -> Scales:
        """The model's own scales."""
        return Scales(scales_of(self.sides), None if self.head is None else self.head.shares)

    def take(self, rows: Array) -> "Scene":
        """The scene of some clips."""
        return Scene.of(self.units.take(rows), self.sides, self.head)

    def pooled(self, scales: Scales) -> Array:
        """Log-odds "N C" of all modalities together, with the fusion head where it changes a clip."""
        weights = {name: self._weight(name, scales.towers[name]) for name in self.sides}
        some = np.any([weight > 0 for weight in weights.values()], axis=0)
        terms = list[tuple[Array, Array | float]]()
        for name in self.sides:
            least = np.where(self.present[name], scoring.LEAST_WEIGHT, 0.0)
            terms.append((self._odds(name, scales), np.where(some, weights[name], least)[:, None]))
        return scoring.noisy_or(terms)

    def _odds(self, name: str, scales: Scales) -> Array:
        """Log-odds "N C" of one modality."""
        scale = scales.towers[name]
        odds = self._without_bias(name, "own", self.own[name], scale) + scale.bias
        if name not in self.fused or scales.head is None or self.head is None:
            return odds
        head = self._without_bias(name, "fused", self.fused[name], scale) + scale.bias
        return np.where(self.changed[name][:, None], mixed(odds, head, scales.head.of(self.head.is_base)), odds)

    def _without_bias(self, name: str, which: str, seen: Seen, scale: Scale) -> Array:
        last = self._last.get((name, which))
        if last is None or last[0] != scale.temperature:
            last = scale.temperature, seen.odds(self.sides[name], Scale(scale.temperature, 0.0))
            self._last[name, which] = last
        return last[1]

    def _weight(self, name: str, scale: Scale) -> Array:
        """How far a modality of each clip is trusted, "N"; 0 for clips that lack it."""
        last = self._last.get((name, "weight"))
        if last is None or last[0] != scale.temperature:
            stillness, signals = self.sides[name].knows_stillness, self.units.clips.signals
            near = self.own[name].background
            found = np.array(
                [
                    reliability(name, signals[row], scoring.peakedness(near[row], scale.temperature), stillness)
                    if self.present[name][row]
                    else 0.0
                    for row in range(len(near))
                ]
            )
            last = self._last[name, "weight"] = scale.temperature, found
        return last[1]


def scales_of(sides: Mapping[str, LabelSide]) -> dict[str, Scale]:
    return {name: Scale(side.temperature, side.bias) for name, side in sides.items()}


def scaled(sides: Mapping[str, LabelSide], scales: Mapping[str, Scale]) -> dict[str, LabelSide]:
    return {
        name: replace(side, temperature=scales[name].temperature, bias=scales[name].bias)
        for name, side in sides.items()
    }


def losses(pooled: Array, right: Array) -> Array:
    """Of each clip, the cross-entropy of the shares plus the logistic loss of the best probability: "N C" -> "N"."""
    rows = np.arange(len(pooled))
    best = pooled.argmax(axis=1)
    top = pooled[rows, best]
    entropy = np.log(np.exp(pooled - top[:, None]).sum(axis=1)) + top - pooled[rows, right]
    result: Array = entropy + np.logaddexp(0.0, np.where(best == right, -top, top))
    return result


def loss(pooled: Array, right: Array, weight: Array) -> float:
    """The mean of `losses`, weighted by "N"."""
    return float(weight @ losses(pooled, right))


def fit(scene: Scene) -> Scales:
    """The scales with the least loss, by coordinate descent with ever smaller steps."""
    names = [(modality, which) for modality in scene.sides for which in ("temperature", "bias")]
    if scene.head is not None and scene.fused:
        names += [(HEAD, which) for which in ("base", "novel")]
    away = dict.fromkeys(names, 0.0)
    best = _loss(scene, away)
    for halving in range(HALVINGS + 1):
        moved = True
        while moved:
            moved = False
            for name in names:
                for sign in (1, -1):
                    tried = away | {name: away[name] + sign * STEPS[name[1]] / 2**halving}
                    if abs(tried[name]) > WIDEST[name[1]]:
                        continue
                    value = _loss(scene, tried)
                    if value < best - 1e-6:
                        best, away, moved = value, tried, True
    return _at(scene.start, away)


def _at(start: Scales, away: Mapping[tuple[str, str], float]) -> Scales:
    towers = {
        name: Scale(scale.temperature * float(np.exp(away[name, "temperature"])), scale.bias + away[name, "bias"])
        for name, scale in start.towers.items()
    }
    head = start.head
    if head is not None:
        head = HeadShares(
            *(min(1.0, max(0.0, getattr(head, which) + away.get((HEAD, which), 0.0))) for which in ("base", "novel"))
        )
    return Scales(towers, head)


def _loss(scene: Scene, away: Mapping[tuple[str, str], float]) -> float:
    restraint = sum((value / STEPS[which]) ** 2 for (_, which), value in away.items())
    return loss(scene.pooled(_at(scene.start, away)), scene.units.right, scene.weight) + RESTRAINT * restraint
