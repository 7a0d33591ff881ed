"""Privacy masks hide every pixel that they touch, and no others."""

import numpy as np
import pytest

from stages.decode.live.masks import Mask, rasterise
from stages.decode.live.options import Polygon

HEIGHT, WIDTH = 36, 64
TRIANGLE: Polygon = ((0.1, 0.1), (0.9, 0.2), (0.4, 0.95))
STAR: Polygon = ((0.5, 0.05), (0.75, 0.95), (0.05, 0.35), (0.95, 0.35), (0.25, 0.95))
SLIVER: Polygon = ((0.013, 0.5), (0.987, 0.503), (0.987, 0.5031))
POLYGONS = [TRIANGLE, STAR, SLIVER, ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5))]
FINE = 8


def is_inside(polygon: Polygon, x: float, y: float) -> bool:
    """Even-odd rule at a point, in fractions."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) > x:
            crossings += 1
    return crossings % 2 == 1


def points_inside(polygon: Polygon) -> np.ndarray:
    """bool "H W 64": which of 8 × 8 points of each pixel are inside."""
    inside = np.zeros((HEIGHT, WIDTH, FINE * FINE), bool)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            inside[row, column] = [
                is_inside(polygon, (column + (i + 0.5) / FINE) / WIDTH, (row + (j + 0.5) / FINE) / HEIGHT)
                for i in range(FINE)
                for j in range(FINE)
            ]
    return inside


def pixels_on_edges(polygon: Polygon) -> np.ndarray:
    """bool "H W": pixels that an edge passes, or passes by within a thousandth of a pixel."""
    touched = np.zeros((HEIGHT, WIDTH), bool)
    for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        along = np.linspace(0, 1, 20_000)
        for nudge in (-1e-3, 0, 1e-3):
            columns = ((x0 + along * (x1 - x0)) * WIDTH + nudge).clip(0, WIDTH - 1).astype(int)
            rows = ((y0 + along * (y1 - y0)) * HEIGHT + nudge).clip(0, HEIGHT - 1).astype(int)
            touched[rows, columns] = True
    return touched


@pytest.mark.parametrize("polygon", POLYGONS)
def test_a_pixel_is_black_if_any_of_it_is_inside_or_an_edge_touches_it(polygon: Polygon) -> None:
    points, black = points_inside(polygon), Mask([polygon]).inside(HEIGHT, WIDTH)
    assert not (points.any(axis=2) & ~black).any()
    assert not (black & ~points.all(axis=2) & ~pixels_on_edges(polygon)).any()


def test_black_replaces_what_is_inside_and_nothing_else() -> None:
    picture = np.random.default_rng(1).integers(1, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    before = picture.copy()
    mask = Mask([TRIANGLE, ((0.8, 0.8), (1.0, 0.8), (1.0, 1.0), (0.8, 1.0))])
    masked = mask.apply(picture)
    black = rasterise(TRIANGLE, HEIGHT, WIDTH).copy()
    black[28:, 51:] = True
    assert np.array_equal(masked == 0, np.repeat(black[..., None], 3, axis=2))
    assert np.array_equal(masked[~black], before[~black])
    assert np.array_equal(picture, before)


def test_without_polygons_it_is_the_same_picture() -> None:
    picture = np.ones((4, 4, 3), np.uint8)
    assert Mask([]).apply(picture) is picture
    assert not Mask([])


def test_a_mask_covers_the_same_part_of_pictures_of_any_size() -> None:
    half = Mask([((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))])
    for width in (10, 640, 1920):
        columns = half.apply(np.full((9, width, 3), 9, np.uint8)).any(axis=(0, 2))
        # The edge lies between two pixels, and privacy takes the right one too.
        assert not columns[: width // 2 + 1].any()
        assert columns[width // 2 + 1 :].all()


@pytest.mark.parametrize(("is_full_range", "black"), [(False, 16), (True, 0)])
def test_planes_of_yuv_become_black_in_their_range(is_full_range: bool, black: int) -> None:
    luma, blue, red = np.full((36, 64), 90, np.uint8), np.full((18, 32), 60, np.uint8), np.full((18, 32), 70, np.uint8)
    Mask([((0.0, 0.0), (1.0, 0.0), (1.0, 0.24), (0.0, 0.24))]).apply_planes(luma, (blue, red), is_full_range)
    assert (luma[:9] == black).all()
    assert (luma[9:] == 90).all()
    assert (blue[:5] == 128).all()
    assert (red[:5] == 128).all()
    assert (blue[5:] == 60).all()
    assert (red[5:] == 70).all()


@pytest.mark.parametrize("polygon", [((0.1, 0.1), (0.2, 0.2)), ((0.1, 0.1), (float("nan"), 0.2), (0.3, 0.3))])
def test_what_is_no_polygon_is_refused(polygon: Polygon) -> None:
    with pytest.raises(ValueError, match="three or more corners"):
        Mask([polygon]).inside(9, 9)
