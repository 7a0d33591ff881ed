"""Expected calibration error of probabilities, and its bins."""

from collections.abc import Sequence

import msgspec
import numpy as np

from pipeline.arrays import Array
from training.intervals import Share, bootstrap, wilson

BINS = 15
"""The number of bins in Guo et al. 2017."""


class Bin(msgspec.Struct, frozen=True):
    """Answers with a confidence in (low, high]. The first bin includes 0."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean confidence of the answers."""
    right: Share
    """How often they are right."""


class Calibration(msgspec.Struct, frozen=True):
    """Expected calibration error (Guo et al. 2017, eq. 3): |mean confidence - accuracy| by bin, averaged over answers.

    By chance it is larger than 0, especially for few answers. `by_chance` is its average if each confidence were the
    true probability of being right.
    """

    error: float
    low: float
    high: float
    by_chance: float
    mean_confidence: float
    right: Share
    bins: tuple[Bin, ...]


def calibration(confidences: Sequence[float], right: Sequence[bool], seed: int = 0, bins: int = BINS) -> Calibration:
    """The calibration of answers with these confidences, in [0, 1]. right: whether each answer is right.

    Raises:
        ValueError: there are no answers.
    """
    claimed, found = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    if not len(claimed):
        raise ValueError("nothing to calibrate")
    pairs = np.stack([claimed, found], axis=1)
    low, high = bootstrap(pairs, lambda drawn: expected_error(drawn, bins), seed)
    random = np.random.default_rng(seed)
    chance = [
        expected_error(np.stack([claimed, random.random(len(claimed)) < claimed], axis=1), bins) for _ in range(200)
    ]
    return Calibration(
        error=expected_error(pairs, bins),
        low=low,
        high=high,
        by_chance=float(np.mean(chance)),
        mean_confidence=float(claimed.mean()),
        right=wilson(int(found.sum()), len(found)),
        bins=tuple(_bins(pairs, bins)),
    )


def expected_error(pairs: Array, bins: int = BINS) -> float:
    """Expected calibration error of "N 2" (confidence, right)."""
    place = bin_of(pairs[:, 0], bins)
    gaps = np.bincount(place, pairs[:, 0] - pairs[:, 1], bins)
    return float(np.abs(gaps).sum() / len(pairs))


def bin_of(confidences: Array, bins: int = BINS) -> Array:
    """Index of the bin of each confidence. A bin includes its upper edge."""
    place: Array = np.clip(np.ceil(confidences * bins).astype(int) - 1, 0, bins - 1)
    return place


def _bins(pairs: Array, bins: int) -> list[Bin]:
    place = bin_of(pairs[:, 0], bins)
    made = []
    for index in np.unique(place).tolist():
        inside = pairs[place == index]
        right = wilson(int(inside[:, 1].sum()), len(inside))
        made.append(Bin(index / bins, (index + 1) / bins, len(inside), float(inside[:, 0].mean()), right))
    return made
