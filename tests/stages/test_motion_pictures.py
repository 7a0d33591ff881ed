"""From frames to the pictures for a motion tower: the colours of stillness, direction and speed."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from engines.models.model import TowerSpec
from pipeline.arrays import Array
from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.flow import Flow
from stages.pictures import flow_pictures

SECOND = 1_000_000_000
SIDE = 224
TOWER = TowerSpec(network="clip_vision", space="clip", size_px=64, input="flow_picture", flow_bound=2.0)
STILL = (128, 128, 0)
"""The colour of no motion: 127.5, rounded, and no speed."""


def texture(side: int = SIDE) -> Array:
    random = np.random.default_rng(3)
    picture = np.zeros((side, side, 3))
    for cells in (4, 9, 20, 45):
        picture += cv2.resize(random.normal(size=(cells, cells, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(picture * 30 + 128, 0, 255), np.uint8)


def warped(matrix: list[list[float]]) -> Array:
    return np.asarray(cv2.warpAffine(texture(), np.array(matrix), (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT))


def shifted(x_sides: float, y_sides: float) -> Array:
    return warped([[1, 0, x_sides * SIDE], [0, 1, y_sides * SIDE]])


def pictures(scene: Callable[[float], Array], rate_hz: float, count: int = 5) -> Array:
    """Motion pictures of a scene, seconds -> frame: "P 3 S S", in 0 to 255."""
    frames = np.stack([scene(number / rate_hz) for number in range(count)])
    times_ns = np.array([round(number * SECOND / rate_hz) for number in range(count)], np.int64)
    stage = Flow(Flow.Options(), RunSettings(), Budget())
    stage.open(Resources())
    clip = Clip(ClipInfo("a.mp4", 0, 0, 0, 2 * SECOND), {"frames": frames, "frame_times_ns": times_ns})
    return flow_pictures(stage.process(clip)["flow"], TOWER) * 255


def colour(of: Array) -> Array:
    return np.asarray(of[..., 16:-16, 16:-16].mean((0, 2, 3)))


def test_a_still_scene_is_one_colour() -> None:
    seen = pictures(lambda time_s: texture(), 8)
    np.testing.assert_allclose(seen, np.broadcast_to(np.reshape(STILL, (1, 3, 1, 1)), seen.shape), atol=1e-3)


def test_slow_motion_is_not_amplified() -> None:
    """Colours are not stretched to fill the scale: half the speed is half the colour, and camera noise stays grey."""
    fast, slow = (
        colour(pictures(lambda time_s, speed=speed: shifted(speed * time_s, 0), 8)) - STILL for speed in (0.4, 0.2)
    )
    assert fast[0] == pytest.approx(2 * slow[0], rel=0.1)
    random = np.random.default_rng(0)
    noisy = pictures(
        lambda time_s: np.clip(texture() + random.normal(0, 3, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8), 8
    )
    assert np.abs(colour(noisy) - STILL).max() < 6


@pytest.mark.parametrize(
    ("x", "y", "red", "green"), [(0.3, 0, 1, 0), (-0.3, 0, -1, 0), (0, 0.3, 0, 1), (0, -0.3, 0, -1), (0.3, -0.3, 1, -1)]
)
def test_red_is_motion_to_the_right_and_green_down(x: float, y: float, red: int, green: int) -> None:
    seen = colour(pictures(lambda time_s: shifted(x * time_s, y * time_s), 8)) - STILL
    step = 0.3 / TOWER.flow_bound * 127.5
    np.testing.assert_allclose(seen[:2], [red * step, green * step], atol=3)
    assert seen[2] == pytest.approx(np.hypot(x, y) / TOWER.flow_bound * 255, abs=4)


def test_zooming_in_is_motion_outwards() -> None:
    def zoomed(time_s: float) -> Array:
        scale = 1 + 0.4 * time_s
        return warped([[scale, 0, (1 - scale) * SIDE / 2], [0, scale, (1 - scale) * SIDE / 2]])

    seen = pictures(zoomed, 8).mean(0) - np.reshape(STILL, (3, 1, 1))
    assert seen[0, :, -20:-8].mean() > 5 > -5 > seen[0, :, 8:20].mean()
    assert seen[1, -20:-8].mean() > 5 > -5 > seen[1, 8:20].mean()


def test_the_same_motion_is_the_same_picture_at_any_frame_rate() -> None:
    """Flow is per second, not per frame."""
    slow, usual, fast = (
        colour(pictures(lambda time_s: shifted(0.3 * time_s, 0.1 * time_s), rate)) for rate in (5, 8, 25)
    )
    np.testing.assert_allclose(slow, usual, atol=3)
    np.testing.assert_allclose(fast, usual, atol=3)


def test_speed_beyond_the_bound_is_clipped() -> None:
    flow = np.zeros((2, 64, 64, 2), np.float16)
    flow[0, ..., 0], flow[1, ..., 0] = 2.0, 50.0
    same = flow_pictures(flow, TOWER)
    np.testing.assert_array_equal(same[0], same[1])
    assert same.max() == pytest.approx(1.0)
