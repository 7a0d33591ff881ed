import math

import numpy as np
import pytest

from training.intervals import bootstrap, share, wilson


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


def test_draws_without_a_value_are_left_out() -> None:
    """Of two rows, every fourth draw lacks the second one."""
    assert bootstrap([1.0, 2.0], lambda drawn: drawn.mean() if 2.0 in drawn else math.nan, 0)[0] == 1.5
    with pytest.raises(ValueError, match="nan for every draw"):
        bootstrap([1.0], lambda drawn: math.nan, 0)
