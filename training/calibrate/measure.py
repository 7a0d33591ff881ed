"""Measures how far a model's numbers can be trusted. Each figure has a 95 % interval over examples."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.open_set import FUSED, SourceClips, modalities_key
from training.calibrate.temperature import losses
from training.calibrate.units import Units
from training.calibrate.unknown import Judge, mean_auroc, threshold_for
from training.evaluate.calibration import Bin, calibration, expected_error
from training.intervals import Share, bootstrap, wilson

MOST_LEFT_OUT = 40
"""At most this many labels are left out in turn. If there are more, a random sample is used."""
ROUNDS = 500


class Figure(msgspec.Struct, frozen=True):
    """A value with its 95 % bootstrap interval over examples."""

    value: float
    low: float
    high: float


class Trust(msgspec.Struct, frozen=True):
    """Expected calibration error of the best label's probability and share, and the bins of its probability."""

    probability: Figure
    share: Figure
    log_loss: Figure
    """In nats: the cross-entropy of the shares plus the logistic loss of the best label's probability."""
    mean_probability: float
    bins: tuple[Bin, ...]


class Kind(msgspec.Struct, frozen=True):
    """Clips with the same modalities, before and after: how many, calibration error of the probability, log loss.

    name: such as "audio+image", or "audio+fused+image" if the fusion head changes them.
    """

    name: str
    clips: int
    error_before: float
    error_after: float
    log_loss_before: float
    log_loss_after: float


class Unknown(msgspec.Struct, frozen=True):
    """How well unknown clips, whose label is left out, are separated from known ones."""

    auroc: Figure
    """Mean over the labels, each left out in turn."""
    by_label: dict[str, float]
    false_alarms: Share
    """Share of known clips above the threshold, which is chosen on other clips."""
    found: Share
    """Share of unknown clips above the same threshold."""


def units_of(units: Units, examples: Array) -> Array:
    """Rows of the clips of these examples."""
    return np.flatnonzero(np.isin(units.example, examples))


def trust(pooled: Array, units: Units) -> Trust:
    """The calibration of log-odds "N C"."""
    best = pooled.argmax(axis=1)
    right = best == units.right
    probability = scoring.sigmoid(pooled.max(axis=1))
    share = np.array([scoring.shares(row).max() for row in pooled])
    rows = by_example(units)

    def figure(statistic: Callable[[Array], float]) -> Figure:
        low, high = bootstrap(
            np.arange(len(rows)),
            lambda drawn: statistic(np.concatenate([rows[each] for each in drawn])),
            seed=0,
            rounds=ROUNDS,
        )
        return Figure(statistic(np.arange(len(units))), low, high)

    def error(claimed: Array) -> Figure:
        pairs = np.stack([claimed, right], axis=1)
        return figure(lambda drawn: expected_error(pairs[drawn]))

    each = losses(pooled, units.right)
    weight = by_weight(units)
    log_loss = figure(lambda drawn: float(np.average(each[drawn], weights=weight[drawn])))
    bins = calibration(probability.tolist(), right.tolist(), bins=10).bins
    return Trust(error(probability), error(share), log_loss, float(probability.mean()), bins)


def by_weight(units: Units) -> Array:
    """Weight of each clip, "N": the clips of one example count as one together."""
    weight: Array = 1.0 / np.bincount(units.example)[units.example]
    return weight


def kinds(before: Array, after: Array, units: Units) -> tuple[Kind, ...]:
    """The figures of log-odds "N C" by the modalities of the clips, fused ones apart; most clips first."""
    names = np.array([_kind(units, row) for row in range(len(units))])
    weight = by_weight(units)
    found = []
    for name in np.unique(names).tolist():
        rows = np.flatnonzero(names == name)
        figures = [(_error(pooled, rows, units), losses(pooled, units.right)[rows]) for pooled in (before, after)]
        (error, loss), (error_after, loss_after) = figures
        means = (float(np.average(each, weights=weight[rows])) for each in (loss, loss_after))
        found.append(Kind(name, len(rows), error, error_after, *means))
    return tuple(sorted(found, key=lambda kind: (-kind.clips, kind.name)))


def _kind(units: Units, row: int) -> str:
    names = [name for name, of in units.clips.embeddings.items() if of[row].any()]
    return modalities_key([*names, *([FUSED] if units.clips.is_fused[row] else [])])


def _error(pooled: Array, rows: Array, units: Units) -> float:
    best = pooled[rows].argmax(axis=1)
    probability = scoring.sigmoid(pooled[rows].max(axis=1))
    return expected_error(np.stack([probability, best == units.right[rows]], axis=1))


def by_example(units: Units) -> list[Array]:
    """Rows of the clips of each example."""
    return [np.flatnonzero(units.example == number) for number in np.unique(units.example)]


def measure_unknown(
    units: Units,
    source: SourceClips | None,
    sides: Mapping[str, LabelSide],
    folds: Sequence[Array],
    labels: Sequence[str],
    false_alarms: float,
    head_share: Array | None = None,
) -> Unknown:
    """Leave each label out in turn and measure how well its clips are separated from the others.

    source: unlabelled clips of the source; None: the clips of the other folds. head_share: see `Judge`.
    """
    every = np.arange(len(labels))
    out = np.sort(np.random.default_rng(0).permutation(every)[:MOST_LEFT_OUT]).tolist()
    scores = {label: np.zeros(len(units)) for label in out}
    alarms, found = [], []
    for held in folds:
        rest = np.setdiff1d(np.arange(len(units)), held)
        usual = source or units.take(rest).clips
        judge, other = (Judge(units.take(rows), usual, sides, head_share) for rows in (held, rest))
        threshold = threshold_for(other.scores(every), false_alarms)
        alarms += (judge.scores(every) > threshold).tolist()
        for label in out:
            scores[label][held] = judge.scores(np.delete(every, label))
            found += (scores[label][held][units.right[held] == label] > threshold).tolist()
    rows = by_example(units)
    low, high = bootstrap(
        np.arange(len(rows)),
        lambda drawn: mean_auroc(scores, units.right, np.concatenate([rows[each] for each in drawn])),
        seed=0,
        rounds=ROUNDS,
    )
    everything = np.arange(len(units))
    each = {labels[label]: mean_auroc({label: of}, units.right, everything) for label, of in scores.items()}
    auroc = Figure(mean_auroc(scores, units.right, everything), low, high)
    return Unknown(auroc, each, wilson(sum(alarms), len(alarms)), wilson(sum(found), len(found)))
