"""Whether a number that is called a probability is one: expected calibration error, and the bins it is made of."""

from collections.abc import Sequence

import msgspec
import numpy as np

from pipeline.arrays import Array
from training.intervals import Share, bootstrap, wilson

BINS = 15
"""As many as in Guo et al. 2017."""


class Bin(msgspec.Struct, frozen=True):
    """Answers of about the same confidence, in (low, high]; the first bin holds 0 as well."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean of what was claimed."""
    right: Share
    """How often it was so."""


class Calibration(msgspec.Struct, frozen=True):
    """Expected calibration error: the mean over answers of |claimed - found| in their bin (Guo et al. 2017, eq. 3).

    Chance alone makes it larger than 0, the more so the fewer answers there are; `by_chance` says how large it would be
    on average if every claim were true.
    """

    error: float
    low: float
    high: float
    by_chance: float
    mean_confidence: float
    right: Share
    bins: tuple[Bin, ...]


def calibration(confidences: Sequence[float], right: Sequence[bool], seed: int = 0, bins: int = BINS) -> Calibration:
    """From the confidence of each best answer, in [0, 1], and whether it was right.

    Raises:
        ValueError: no answers.
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
    """From "N 2" (confidence, right)."""
    place = bin_of(pairs[:, 0], bins)
    gaps = np.bincount(place, pairs[:, 0] - pairs[:, 1], bins)
    return float(np.abs(gaps).sum() / len(pairs))


def bin_of(confidences: Array, bins: int = BINS) -> Array:
    """Index of each confidence's bin; a bin holds its upper edge."""
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
