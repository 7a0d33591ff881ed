"""Which waiting clips would come out too late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.lateness import Lateness

SECOND_NS = 1_000_000_000


def after(*took_s: float, limit_s: float = 3.0, least_s: float = 0.5) -> Lateness:
    """What is expected after clips that took so long from group 0 on."""
    lateness = Lateness(round(limit_s * SECOND_NS), round(least_s * SECOND_NS))
    now_ns = 0
    for clip, seconds in enumerate(took_s):
        lateness.begin((0, clip, 0), now_ns)
        now_ns += round(seconds * SECOND_NS)
        lateness.end(0, clip, range(2), now_ns)
    return lateness


def test_before_anything_is_known_a_clip_may_be_as_old_as_a_result() -> None:
    assert after().longest_wait_ns(0) == 3 * SECOND_NS
    assert after(1.0, 1.0).longest_wait_ns(1) == 3 * SECOND_NS, "another group"


def test_what_always_takes_a_second_may_begin_until_a_second_before_the_limit() -> None:
    assert after(*[1.0] * 50).longest_wait_ns(0) == pytest.approx(2 * SECOND_NS, rel=0.01)


def test_work_that_varies_is_expected_to_take_longer() -> None:
    steady, varied = after(*[0.5] * 60), after(*[0.25, 0.75] * 30)
    assert varied.longest_wait_ns(0) < steady.longest_wait_ns(0) - 0.5 * SECOND_NS


def test_on_a_slow_machine_a_clip_may_still_wait_a_moment() -> None:
    assert after(*[20.0] * 5).longest_wait_ns(0) == SECOND_NS // 2


def test_a_clip_that_is_no_result_tells_nothing_and_is_forgotten() -> None:
    lateness = after(1.0)
    known = lateness.longest_wait_ns(0)
    lateness.begin((0, 7, 0), 0)
    lateness.end(0, 7, range(2), None)
    lateness.end(0, 7, range(2), 50 * SECOND_NS)
    assert lateness.longest_wait_ns(0) == known


@given(st.lists(st.floats(0.0, 60.0), max_size=40), st.floats(0.1, 2.0))
def test_the_wait_is_between_the_least_and_the_limit(took_s: list[float], least_s: float) -> None:
    wait_ns = after(*took_s, least_s=least_s).longest_wait_ns(0)
    assert round(least_s * SECOND_NS) <= wait_ns <= 3 * SECOND_NS


def test_after_a_busy_hour_the_expectation_falls_again() -> None:
    assert after(*[2.0] * 30, *[0.2] * 60).longest_wait_ns(0) > 2.6 * SECOND_NS
