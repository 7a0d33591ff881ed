import numpy as np
import pytest

from benchmarks.slope import percentile, slope, t_quantile


def test_a_planted_slope_is_inside_the_interval_and_zero_is_not() -> None:
    seconds = np.arange(0, 600, 2.0)
    noise = np.random.default_rng(1).normal(0, 0.2, len(seconds))
    found = slope(seconds, 0.5 + 0.1 * seconds / 60 + noise)
    assert found["low"] < 0.1 < found["high"]
    assert found["low"] > 0


@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_without_a_slope_zero_is_inside_about_95_of_100_intervals_also_if_samples_depend_on_each_other(
    memory: float,
) -> None:
    seconds, inside = np.arange(0, 600, 2.0), 0
    for seed in range(200):
        values = np.random.default_rng(seed).normal(0, 0.2, len(seconds))
        for at in range(1, len(values)):
            values[at] += memory * values[at - 1]
        found = slope(seconds, values)
        inside += found["low"] <= 0 <= found["high"]
    assert 178 <= inside <= 199


def test_quantiles_of_t_are_those_of_the_tables() -> None:
    assert t_quantile(5) == pytest.approx(2.571, abs=0.01)
    assert t_quantile(22) == pytest.approx(2.074, abs=0.001)


def test_too_few_samples_have_no_slope() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        slope([0.0, 1.0, 2.0], [1.0, 1.0, 1.0])


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3.0, 1.0, 2.0, 4.0], 50) == 2.0
    assert percentile(list(range(1, 101)), 99) == 99
    assert np.isnan(percentile([], 50))
