"""What a modality adds to a label, shared out over places and times: maps whose values add up to it."""

from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Array

OF_PEAK = 0.4
"""Places below this share of a map's highest log-odds have no part: they only resemble their surroundings."""
LEAST_RISE = 2.0
"""Where no place is sure, the rise of the highest above the median counts in its stead, up to this."""
ALIKE = 0.5
"""From this correlation on, with the maps of other words on average, a map says nothing about its own word."""


@dataclass(frozen=True)
class Heat:
    """Where and when one modality speaks for a label.

    values: float64 "T h w", each >= 0; their sum is the modality's contribution in log-odds. All 0 if it speaks for
        the label nowhere. Sound has one picture: frequency from low to high, time.
    likeness: mean correlation with the maps of other words.
    """

    values: Array
    likeness: float

    @property
    def total(self) -> float:
        return float(self.values.sum())

    @property
    def separates(self) -> bool:
        return self.likeness < ALIKE

    @property
    def is_shown(self) -> bool:
        return self.total > 0 and self.separates


def shared_out(fields: Array, contribution: float, weights: Array | None = None) -> Heat:
    """The heat of the first of the fields "W T h w": log-odds of the label, then of other words, in each place.

    The share of a place is by how far its log-odds are above `OF_PEAK` of the highest, times its weight, "T h w" >= 0.
    """
    own = np.asarray(fields[0], np.float64)
    peak = float(own.max())
    rise = max(peak, min(peak - float(np.median(own)), LEAST_RISE))
    support = np.maximum(own - (peak - (1 - OF_PEAK) * rise), 0)
    if weights is not None:
        support = support * weights
    if support.sum() <= 0 or contribution <= 0:
        return Heat(np.zeros_like(own), likeness(fields))
    return Heat(support * (contribution / support.sum()), likeness(fields))


def likeness(fields: Array) -> float:
    """Mean correlation of the first field with the others; 1 if it is the same everywhere, or there are no others."""
    flat = np.asarray(fields, np.float64).reshape(len(fields), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1)
    if lengths[0] < 1e-9 or not (lengths[1:] >= 1e-9).any():
        return 1.0
    others = flat[1:][lengths[1:] >= 1e-9]
    return float((others @ flat[0] / (np.linalg.norm(others, axis=1) * lengths[0])).mean())


def smallest_stretch(amounts: Array, share: float) -> tuple[int, int]:
    """The shortest run of places that has at least this share of all amounts "N": first, and one behind the last."""
    total = np.concatenate([[0.0], np.cumsum(amounts)])
    wanted = share * total[-1] - 1e-12
    for length in range(1, len(amounts) + 1):
        sums = total[length:] - total[:-length]
        if sums.max() >= wanted:
            first = int(sums.argmax())
            return first, first + length
    return 0, len(amounts)


def percent(share: float) -> str:
    """`64 %`"""
    return f"{100 * share:.0f} %"
