"""Constant velocity with real time steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.track.motion_model import MotionOptions, correct, predict, start

OPTIONS = MotionOptions()


def follow(rate_hz: float, seconds: float, speed_px: float = 40.0) -> tuple[float, float, float]:
    """Velocity, place and true place after a box of 30 by 50 px has moved right for a while."""
    moving = start((0, 0, 30, 50), OPTIONS)
    for i in range(1, round(seconds * rate_hz) + 1):
        x = speed_px * i / rate_hz
        moving = correct(predict(moving, 1 / rate_hz, OPTIONS), (x, 0, x + 30, 50), OPTIONS)
    return moving.x.rate, moving.x.value, speed_px * seconds + 15


@pytest.mark.parametrize("rate_hz", [4, 8, 30])
def test_velocity_is_learned_at_any_frame_rate(rate_hz: float) -> None:
    rate, place, true_place = follow(rate_hz, 3)
    assert rate == pytest.approx(40, rel=0.05)
    assert place == pytest.approx(true_place, abs=1)


@given(st.floats(0.01, 2), st.floats(0.01, 2))
def test_two_steps_equal_one(first: float, second: float) -> None:
    moving = correct(predict(start((10, 20, 50, 90), OPTIONS), 0.1, OPTIONS), (14, 21, 55, 92), OPTIONS)
    twice = predict(predict(moving, first, OPTIONS), second, OPTIONS)
    once = predict(moving, first + second, OPTIONS)
    for a, b in ((twice.x, once.x), (twice.y, once.y)):
        assert np.allclose(
            [a.value, a.rate, a.value_variance, a.covariance, a.rate_variance],
            [b.value, b.rate, b.value_variance, b.covariance, b.rate_variance],
        )
    assert twice.width.variance == pytest.approx(once.width.variance)


def test_uncertainty_grows_unseen_and_falls_when_seen() -> None:
    moving = start((0, 0, 30, 50), OPTIONS)
    later = predict(moving, 0.5, OPTIONS)
    seen = correct(later, (5, 0, 35, 50), OPTIONS)
    assert later.x.value_variance > moving.x.value_variance > seen.x.value_variance


def test_a_box_without_area_becomes_one_pixel() -> None:
    assert start((5, 5, 5, 5), OPTIONS).box == (4.5, 4.5, 5.5, 5.5)


def test_doubt_moves_the_box_less() -> None:
    moving = predict(start((0, 0, 30, 50), OPTIONS), 0.1, OPTIONS)
    certain, doubtful = (correct(moving, (10, 0, 40, 50), OPTIONS, doubt=d) for d in (1.0, 4.0))
    assert moving.x.value < doubtful.x.value < certain.x.value
