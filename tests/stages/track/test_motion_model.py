"""Constant velocity with real time steps."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.track.motion_model import Axis, MotionOptions, MovingBox, correct, predict, start
from stages.track.options import NETWORK

OPTIONS = MotionOptions()
GROWING = NETWORK.motion


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


NO_NOISE = msgspec.structs.replace(GROWING, push=0.0, growth_push=0.0, swell=0.0)


@pytest.mark.parametrize("options", [OPTIONS, NO_NOISE], ids=["same size", "growing"])
@given(first=st.floats(0.01, 2), second=st.floats(0.01, 2))
def test_two_steps_equal_one(options: MotionOptions, first: float, second: float) -> None:
    """Noise scales with the size. So where boxes grow, this holds without noise only."""
    moving = correct(predict(start((10, 20, 50, 90), options), 0.1, options), (14, 21, 55, 92), options)
    twice, once = predict(predict(moving, first, options), second, options), predict(moving, first + second, options)
    for a, b in zip(axes(twice), axes(once), strict=True):
        assert np.allclose(msgspec.structs.astuple(a), msgspec.structs.astuple(b))


@given(st.floats(0.01, 2), st.floats(0.01, 2))
def test_noise_of_a_fading_rate_adds_up(first: float, second: float) -> None:
    axis = Axis(40.0, 12.0, 9.0, 4.0, 100.0)
    twice = axis.fading(first, 20.0, 3.0, 0.7).fading(second, 20.0, 3.0, 0.7)
    assert np.allclose(msgspec.structs.astuple(twice), msgspec.structs.astuple(axis.fading(first + second, 20, 3, 0.7)))


def axes(moving: MovingBox) -> tuple[Axis, ...]:
    return moving.x, moving.y, moving.width, moving.height


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


def test_a_box_that_grows_is_expected_to_grow_for_a_while_and_not_for_ever() -> None:
    moving = start((0, 0, 30, 50), GROWING)
    for i in range(1, 10):
        moving = correct(predict(moving, 0.1, GROWING), (0, 0, 30 + 5 * i, 50 + 5 * i), GROWING)
    soon, late, later = (predict(moving, seconds, GROWING).width.value for seconds in (0.1, 10, 20))
    assert moving.width.value + 2 < soon < late < moving.width.value + 80
    assert later == pytest.approx(late, abs=0.1)
    steady = predict(start((0, 0, 30, 50), OPTIONS), 10, OPTIONS)
    assert (steady.width.value, steady.height.value) == (30, 50)
