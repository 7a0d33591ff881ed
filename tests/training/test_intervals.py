import math

import numpy as np
import pytest

from training.intervals import bootstrap, harmonic_mean, harmonic_mean_95, share, wilson


def test_a_share_comes_with_its_wilson_interval() -> None:
    found = share([True] * 63 + [False] * 37)
    assert (found.hits, found.count, found.share) == (63, 100, 0.63)
    assert (found.low, found.high) == (pytest.approx(0.5322, abs=1e-4), pytest.approx(0.7182, abs=1e-4))
    assert wilson(0, 5).low == 0.0
    assert wilson(5, 5).high == 1.0
    assert wilson(5, 5).low == pytest.approx(0.5655, abs=1e-4)


def test_nothing_to_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to count"):
        share([])
    with pytest.raises(ValueError, match="nothing to draw from"):
        bootstrap([], np.mean, 0)


def test_a_bootstrapped_mean_has_about_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    low, high = bootstrap(values, np.mean, seed=0)
    half = 1.96 * values.std() / math.sqrt(400)
    assert (values.mean() - low, high - values.mean()) == (pytest.approx(half, rel=0.15), pytest.approx(half, rel=0.15))
    assert bootstrap(values, np.mean, seed=0) == (low, high)


def test_draws_for_which_the_statistic_is_nan_are_skipped() -> None:
    """With two rows, every fourth draw lacks the second one."""
    assert bootstrap([1.0, 2.0], lambda drawn: drawn.mean() if 2.0 in drawn else math.nan, 0)[0] == 1.5
    with pytest.raises(ValueError, match="nan for every draw"):
        bootstrap([1.0], lambda drawn: math.nan, 0)


def rows(base: tuple[int, int], novel: tuple[int, int]) -> np.ndarray:
    """Rows with these numbers of right and wrong answers on each side."""
    sides = enumerate((base, novel))
    return np.array([(side, hit) for side, counts in sides for hit in (1, 0) for _ in range(counts[1 - hit])])


def test_the_harmonic_mean_of_two_sides_has_an_interval() -> None:
    assert harmonic_mean(rows((3, 1), (1, 1))) == pytest.approx(0.6)
    assert harmonic_mean(rows((0, 1), (0, 1))) == 0.0
    assert math.isnan(harmonic_mean(rows((0, 1), (0, 0))))
    low, high = harmonic_mean_95(rows((30, 10), (10, 10)), seed=0)
    assert 0.4 < low < 0.6 < high < 0.8


def test_sides_without_a_mistake_have_the_interval_of_their_wilson_bounds() -> None:
    a, b = wilson(2, 2).low, wilson(5, 5).low
    assert harmonic_mean_95(rows((2, 0), (5, 0)), seed=0) == (pytest.approx(2 * a * b / (a + b)), 1.0)
    few = wilson(3, 5)
    low, high = harmonic_mean_95(rows((2, 0), (3, 2)), seed=0)
    assert (low, high) == (pytest.approx(2 * a * few.low / (a + few.low)), pytest.approx(2 * few.high / (1 + few.high)))
    assert harmonic_mean_95(rows((0, 2), (5, 0)), seed=0)[0] == 0.0
