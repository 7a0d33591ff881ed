"""Measures how far a model's numbers can be trusted. Each figure has a 95 % interval over examples."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.open_set import SourceClips
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
    mean_probability: float
    bins: tuple[Bin, ...]


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

    def error(claimed: Array) -> Figure:
        pairs = np.stack([claimed, right], axis=1)
        low, high = bootstrap(
            np.arange(len(rows)),
            lambda drawn: expected_error(pairs[np.concatenate([rows[each] for each in drawn])]),
            seed=0,
            rounds=ROUNDS,
        )
        return Figure(expected_error(pairs), low, high)

    bins = calibration(probability.tolist(), right.tolist(), bins=10).bins
    return Trust(error(probability), error(share), float(probability.mean()), bins)


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
) -> Unknown:
    """Leave each label out in turn and measure how well its clips are separated from the others.

    source: unlabelled clips of the source; None: the clips of the other folds.
    """
    every = np.arange(len(labels))
    out = np.sort(np.random.default_rng(0).permutation(every)[:MOST_LEFT_OUT]).tolist()
    scores = {label: np.zeros(len(units)) for label in out}
    alarms, found = [], []
    for held in folds:
        rest = np.setdiff1d(np.arange(len(units)), held)
        usual = source or units.take(rest).clips
        judge, other = (Judge(units.take(rows), usual, sides) for rows in (held, rest))
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
