"""Does a quantity grow? The slope of samples over time, with an interval that also holds for dependent samples."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

BLOCKS = 12
"""Samples are averaged over so many stretches of equal length first: means of long stretches hardly depend on each
other."""


def slope(times_s: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    """Growth per minute by least squares, with its 95 % interval: {"value", "low", "high"}.

    Raises:
        ValueError: fewer than four stretches have samples.
    """
    x, y = _means(np.asarray(times_s, float) / 60, np.asarray(values, float))
    if len(x) < 4:
        raise ValueError(f"a slope needs samples in at least 4 of {BLOCKS} stretches, got {len(x)}")
    x = x - x.mean()
    spread = float((x**2).sum())
    value = float((x * (y - y.mean())).sum() / spread)
    left = y - y.mean() - value * x
    error = math.sqrt(float((left**2).sum()) / (len(x) - 2) / spread)
    margin = t_quantile(len(x) - 2) * error
    return {"value": value, "low": value - margin, "high": value + margin}


def _means(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean time and value of each stretch that has samples."""
    edges = np.linspace(x.min(), x.max(), BLOCKS + 1)[1:-1]
    block = np.searchsorted(edges, x, side="right")
    used = np.unique(block)
    return (
        np.array([x[block == each].mean() for each in used]),
        np.array([y[block == each].mean() for each in used]),
    )


def t_quantile(degrees: int, share: float = 0.975) -> float:
    """Quantile of Student's t distribution (expansion in 1/degrees: Abramowitz and Stegun, 26.7.5)."""
    z, n = NormalDist().inv_cdf(share), degrees
    terms = (
        (z**3 + z) / (4 * n),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3),
    )
    return z + sum(terms)


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile; NaN of nothing."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, math.ceil(len(ranked) * percent / 100) - 1)] if ranked else math.nan
