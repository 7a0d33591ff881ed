"""Boxes follow the flow: where they go, how they grow, and when they are lost."""

import numpy as np
import pytest

from pipeline.arrays import Array
from stages.detect.carry import MOST_GROWTH_PER_S, carried, nearest

WIDTH, HEIGHT = 200, 100
BOX = np.array([[80, 40, 120, 60]], np.float32)


def still() -> Array:
    """Flow at half the size of the picture."""
    return np.zeros((HEIGHT // 2, WIDTH // 2, 2), np.float16)


def diverging(per_s: float) -> Array:
    """What is at 100, 50 stays, and all else moves away from it."""
    y, x = np.mgrid[: HEIGHT // 2, : WIDTH // 2] * 2 + 1
    return (np.stack([x - 100, y - 50], axis=-1) * per_s / HEIGHT).astype(np.float16)


@pytest.mark.parametrize(("seconds", "shift"), [(0.2, (10, -5)), (-0.2, (-10, 5))])
def test_boxes_follow_the_flow_forwards_and_backwards(seconds: float, shift: tuple[float, float]) -> None:
    flow = still() + np.array([0.5, -0.25], np.float16)  # of 100 px per second
    boxes, inside = carried(BOX, flow, seconds, WIDTH, HEIGHT)
    np.testing.assert_allclose(boxes, BOX + np.tile(shift, 2), atol=1e-4)
    assert (boxes.dtype, inside.tolist()) == (np.float32, [True])


def test_each_box_follows_the_flow_of_its_own_middle() -> None:
    flow = still() + np.array([0.25, 0], np.float16)
    flow[22:28, 43:57] = (-0.5, 0)
    boxes, _ = carried(np.concatenate([BOX, BOX - 40]), flow, 0.2, WIDTH, HEIGHT)
    np.testing.assert_allclose(boxes[:, 0], [80 - 10, 40 + 5], atol=1e-4)
    np.testing.assert_allclose(boxes[:, 2] - boxes[:, 0], 40, atol=1e-4)


@pytest.mark.parametrize(
    ("per_s", "seconds", "times"),
    [(0.5, 0.2, 1.1), (0.5, -0.2, 0.9), (-0.5, 0.2, 0.9), (5.0, 0.2, 1 + 0.2 * MOST_GROWTH_PER_S)],
)
def test_a_box_grows_with_a_flow_that_diverges(per_s: float, seconds: float, times: float) -> None:
    boxes, _ = carried(BOX, diverging(per_s), seconds, WIDTH, HEIGHT)
    np.testing.assert_allclose(
        boxes, [[100 - 20 * times, 50 - 10 * times, 100 + 20 * times, 50 + 10 * times]], atol=0.1
    )


def test_a_box_that_leaves_the_picture_is_lost() -> None:
    flow = still() + np.array([1, 0], np.float16)
    rows = np.array([[150, 40, 190, 60], [170, 40, 210, 60], [250, 40, 290, 60]], np.float32)
    boxes, inside = carried(rows, flow, 0.2, WIDTH, HEIGHT)
    np.testing.assert_allclose(boxes[:, 0], [170, 190, 270], atol=1e-4)
    assert inside.tolist() == [True, False, False]


def test_no_boxes_and_boxes_without_area_can_be_carried() -> None:
    assert carried(BOX[:0], still(), 0.1, WIDTH, HEIGHT)[0].shape == (0, 4)
    boxes, inside = carried(np.array([[50, 50, 50, 50]], np.float32), still(), 0.1, WIDTH, HEIGHT)
    assert (boxes.tolist(), inside.tolist()) == ([[50, 50, 50, 50]], [False])


def test_the_nearest_frame_is_the_earlier_of_two() -> None:
    assert nearest([1, 5], 8) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert nearest([2], 3) == [0, 0, 0]
