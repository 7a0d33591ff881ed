"""The assignment, compared with trying every permutation."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.track.association import FORBIDDEN, assign, match


@given(st.integers(1, 5).flatmap(lambda n: arrays(np.float64, (n, n), elements=st.integers(0, 9).map(float))))
def test_no_permutation_is_cheaper_than_the_assignment(cost: np.ndarray) -> None:
    n = len(cost)
    columns = assign(cost)
    assert sorted(columns) == list(range(n))
    least = min(sum(cost[i, p[i]] for i in range(n)) for p in permutations(range(n)))
    assert sum(cost[i, j] for i, j in enumerate(columns)) == pytest.approx(least)


@given(arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(0, 5)), elements=st.floats(0, 1)))
def test_matches_are_one_to_one_below_the_limit_and_as_many_as_possible(cost: np.ndarray) -> None:
    pairs = match(cost, 0.6)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(cost[i, j] <= 0.6 for i, j in pairs)
    full = np.full((5, 5), FORBIDDEN)
    full[: cost.shape[0], : cost.shape[1]] = np.where(cost <= 0.6, cost, FORBIDDEN)
    least = min(sum(full[i, p[i]] for i in range(5)) for p in permutations(range(5)))
    assert sum(cost[i, j] for i, j in pairs) + FORBIDDEN * (5 - len(pairs)) == pytest.approx(least)


def test_a_crowd_of_rivals_is_assigned_in_milliseconds() -> None:
    import time

    cost = np.random.default_rng(0).random((32, 32))
    start = time.process_time()
    assert len(match(cost, 1.0)) == 32
    assert time.process_time() - start < 0.2
