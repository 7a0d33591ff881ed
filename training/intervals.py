"""95 % confidence intervals of shares and other statistics."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from pipeline.arrays import Array

Z_95 = 1.959964
"""95 % of a normal distribution is within this many standard deviations of its mean."""


class Share(msgspec.Struct, frozen=True):
    """A share with its 95 % Wilson interval."""

    hits: int
    count: int
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.share:6.1%}   [{self.low:.1%}, {self.high:.1%}]   {self.hits}/{self.count}"


def share(hits: Iterable[bool]) -> Share:
    """The share of hits. Raises: ValueError: `hits` is empty."""
    found = list(hits)
    if not found:
        raise ValueError("nothing to count")
    return wilson(sum(map(bool, found)), len(found))


def wilson(hits: int, count: int) -> Share:
    """A share with its interval."""
    return Share(hits, count, hits / count, *wilson_interval(hits / count, count))


def wilson_interval(p: float, count: int) -> tuple[float, float]:
    """The score interval of Wilson (1927), which stays in [0, 1] and holds for small counts and extreme shares."""
    z = Z_95
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return (middle - half if p > 0 else 0.0), (middle + half if p < 1 else 1.0)


def bootstrap(
    values: Sequence[Any] | Array, statistic: Callable[[Array], float], seed: int, rounds: int = 2000
) -> tuple[float, float]:
    """Lower and upper end of the 95 % percentile interval of `statistic(values)`.

    values: "N ...", one row per independent example. The rows are drawn with replacement, `rounds` times. Draws for
    which the statistic is nan (because a class was not drawn, for example) are skipped.

    Raises:
        ValueError: `values` is empty, or the statistic is nan for every draw.
    """
    rows = np.asarray(values)
    if not len(rows):
        raise ValueError("nothing to draw from")
    random = np.random.default_rng(seed)
    drawn = np.array([statistic(rows[random.integers(0, len(rows), len(rows))]) for _ in range(rounds)], np.float64)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        raise ValueError("the statistic is nan for every draw")
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def harmonic_mean(table: Array) -> float:
    """Harmonic mean of the accuracies on base and novel, from "N 2" (is novel, is right); nan if one side is empty."""
    base, novel = _sides(table)
    if not len(base) or not len(novel):
        return float("nan")
    return _harmonic(float(base.mean()), float(novel.mean()))


def harmonic_mean_95(table: Array, seed: int, rounds: int = 2000) -> tuple[float, float]:
    """The 95 % interval of `harmonic_mean`. Neither side may be empty.

    If one side is all right or all wrong, a bootstrap would show no variance. Then the interval is from the harmonic
    mean of the lower Wilson bounds of both sides to that of the upper ones: too wide rather than too narrow.
    """
    base, novel = map(share, _sides(table))
    if all(0 < side.hits < side.count for side in (base, novel)):
        return bootstrap(table, harmonic_mean, seed, rounds)
    return _harmonic(base.low, novel.low), _harmonic(base.high, novel.high)


def _sides(table: Array) -> tuple[Array, Array]:
    """Which base examples and which novel examples are right."""
    return table[table[:, 0] == 0, 1], table[table[:, 0] == 1, 1]


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b > 0 else 0.0
