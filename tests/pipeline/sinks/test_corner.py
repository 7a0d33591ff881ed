"""Where a panel may lie: in a corner without boxes, calm, and the same from clip to clip."""

import numpy as np
import pytest

from pipeline.arrays import Array
from pipeline.sinks.corner import CornerChooser, Rect, overlap, unrest
from pipeline.sinks.panel import Panel

WIDTH, HEIGHT = 640, 480
FLAT = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)


def panel(width: int, height: int) -> Panel:
    return Panel(np.zeros((height, width, 3), np.uint8), np.ones((height, width, 1), np.float32))


def busy(*rects: Rect) -> Array:
    """A picture with large patches of colour in some places."""
    picture = FLAT.copy()
    patches = np.random.default_rng(1).integers(0, 255, (HEIGHT // 40, WIDTH // 40, 3)).astype(np.uint8)
    large = patches.repeat(40, axis=0).repeat(40, axis=1)
    for x0, y0, x1, y1 in rects:
        picture[y0:y1, x0:x1] = large[y0:y1, x0:x1]
    return picture


def chooser() -> CornerChooser:
    return CornerChooser(WIDTH, HEIGHT, margin_px=10)


def place(taken: list[Rect], picture: Array = FLAT, chosen: CornerChooser | None = None) -> tuple[int, int] | None:
    placed = (chosen or chooser()).place([panel(200, 100)], taken, picture)
    return None if placed is None else (placed.x, placed.y)


def test_a_panel_lies_in_a_corner_with_a_margin() -> None:
    assert place([]) == (10, 370)
    assert place([(0, 400, 50, 470)]) == (430, 370)
    assert place([(0, 400, 640, 470)]) == (10, 10)
    assert place([(0, 400, 640, 470), (100, 50, 120, 60)]) == (430, 10)


def test_no_panel_is_over_a_box() -> None:
    assert place([(0, 400, 640, 470), (100, 50, 600, 60)]) is None
    assert place([(209, 200, 431, 380)]) == (10, 10)


def test_a_smaller_panel_is_taken_if_the_larger_one_has_no_room() -> None:
    sizes = [panel(600, 400), panel(300, 200), panel(100, 50)]
    placed = chooser().place(sizes, [(200, 100, 440, 380)], FLAT)
    assert placed is not None
    assert placed.picture.shape[:2] == (50, 100)


def test_the_calmest_corner_is_preferred() -> None:
    assert place([], busy((0, 240, 640, 480), (0, 0, 320, 240))) == (430, 10)
    assert place([], busy((320, 0, 640, 480), (0, 240, 320, 480))) == (10, 10)


def test_grass_and_noise_are_calm() -> None:
    noise = np.random.default_rng(2).integers(90, 160, FLAT.shape).astype(np.uint8)
    rect = (10, 10, 210, 110)
    assert unrest(FLAT, rect) == 0
    assert unrest(noise, rect) < 0.2 * unrest(busy(rect), rect)


def test_a_panel_stays_in_its_corner_until_a_box_is_there() -> None:
    chosen = chooser()
    busy_left = busy((0, 240, 320, 480), (0, 0, 320, 240))
    assert place([], busy_left, chosen) == (430, 370)
    assert place([], busy((320, 0, 640, 480)), chosen) == (430, 370), "the picture has changed, no box has come"
    assert place([(600, 400, 630, 470)], FLAT, chosen) == (10, 370)
    assert place([], busy_left, chosen) == (10, 370)


def test_a_panel_that_is_larger_than_the_picture_begins_at_its_edge() -> None:
    placed = CornerChooser(50, 40, margin_px=10).place([panel(200, 100)], [], FLAT[:40, :50])
    assert placed is not None
    assert (placed.x, placed.y) == (0, 0)


@pytest.mark.parametrize(("other", "expected"), [((5, 5, 9, 9), True), ((10, 0, 20, 10), False), ((0, 9, 1, 20), True)])
def test_rectangles_overlap_if_they_share_a_pixel(other: Rect, expected: bool) -> None:
    assert overlap((0, 0, 10, 10), other) == overlap(other, (0, 0, 10, 10)) == expected
