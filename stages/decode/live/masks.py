"""Privacy masks: polygons of the picture that nothing after the decoder ever sees.

The even-odd rule says what is inside. A pixel that an edge touches is inside too: privacy errs to black.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pipeline.arrays import Array
from stages.decode.live.options import Polygon

BLACK_LUMA, BLACK_LUMA_FULL, GREY_CHROMA = 16, 0, 128
SIZES = 16
"""Sizes of pictures whose rasters are kept."""


class Mask:
    """Polygons that become black, in pictures of any size."""

    def __init__(self, polygons: Sequence[Polygon]) -> None:
        self.polygons = tuple(polygons)
        self._keep: dict[tuple[int, int], Array] = {}

    def __bool__(self) -> bool:
        """Whether anything is masked."""
        return bool(self.polygons)

    def inside(self, height: int, width: int) -> Array:
        """bool "H W": the pixels that become black."""
        inside: Array = self._kept(height, width)[..., 0] == 0
        return inside

    def apply(self, picture: Array) -> Array:
        """A copy of uint8 "H W 3" (or "H W") with black in the mask; the picture itself if there are no polygons."""
        if not self.polygons:
            return picture
        keep = self._kept(*picture.shape[:2])
        masked: Array = picture & (keep if picture.ndim == 3 else keep[..., 0])
        return masked

    def apply_planes(self, luma: Array, chroma: Sequence[Array], is_full_range: bool) -> None:
        """Blacken the planes of a YUV picture in place: luma uint8 "H W", chroma uint8 "h w" of any smaller size."""
        if not self.polygons:
            return
        luma[self.inside(*luma.shape)] = BLACK_LUMA_FULL if is_full_range else BLACK_LUMA
        for plane in chroma:
            plane[self.inside(*plane.shape)] = GREY_CHROMA

    def _kept(self, height: int, width: int) -> Array:
        """uint8 "H W 3": 255 where a pixel stays, else 0."""
        size = height, width
        if size not in self._keep:
            if len(self._keep) >= SIZES:
                self._keep.clear()
            inside = np.zeros(size, bool)
            for polygon in self.polygons:
                inside |= rasterise(polygon, height, width)
            self._keep[size] = np.repeat(np.where(inside, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        return self._keep[size]


@lru_cache(maxsize=64)
def rasterise(polygon: Polygon, height: int, width: int) -> Array:
    """bool "H W", read-only: the cells of a grid over the picture that are inside a polygon or touched by its edges."""
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    if len(corners) < 3 or not np.isfinite(corners).all():
        raise ValueError(f"a polygon has three or more corners, which are numbers; got {polygon!r}")
    corners = np.clip(corners, 0.0, 1.0) * (width, height)
    toggles = np.zeros((height, width + 1), np.int64)
    touched = np.zeros((height, width), bool)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        _toggle(toggles, start, end)
        _touch(touched, start, end)
    raster: Array = (np.cumsum(toggles, axis=1)[:, :width] % 2 == 1) | touched
    raster.flags.writeable = False
    return raster


def _toggle(toggles: Array, start: Array, end: Array) -> None:
    """Count an edge in the first cell of each row whose centre is to its right."""
    (x0, y0), (x1, y1) = (start, end) if start[1] <= end[1] else (end, start)
    rows = np.arange(np.ceil(y0 - 0.5), np.ceil(y1 - 0.5)).astype(int)
    if rows.size:
        crossings = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        columns = np.clip(np.ceil(crossings - 0.5), 0, toggles.shape[1] - 1).astype(int)
        np.add.at(toggles, (rows, columns), 1)


def _touch(touched: Array, start: Array, end: Array) -> None:
    """Mark all cells that an edge passes through."""
    height, width = touched.shape
    (x0, y0), (x1, y1) = (start, end) if start[1] <= end[1] else (end, start)
    for row in range(min(int(y0), height - 1), min(int(y1), height - 1) + 1):
        top, bottom = max(y0, row), min(y1, row + 1)
        xs = (x0, x1) if y1 == y0 else tuple(x0 + (y - y0) * (x1 - x0) / (y1 - y0) for y in (top, bottom))
        first, last = (min(int(x), width - 1) for x in (min(xs), max(xs)))
        touched[row, first : last + 1] = True
