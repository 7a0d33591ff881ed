"""Small grids of brightness, which are cheap to compare."""

import numpy as np

from pipeline.arrays import Array

ROWS, COLUMNS = 18, 32
"""Cells of the grid over a picture."""


def luma(picture: Array, step: int = 2) -> Array:
    """uint8 "h w": every `step`-th row and column of uint8 "H W 3" or "H W". Green stands for luma: it is 3/5 of it."""
    return picture[::step, ::step, 1] if picture.ndim == 3 else picture[::step, ::step]


def cells(plane: Array, rows: int = ROWS, columns: int = COLUMNS) -> Array:
    """float32 "rows columns": means over the cells of a grid. Planes with fewer lines have fewer cells."""
    rows, columns = min(rows, plane.shape[0]), min(columns, plane.shape[1])
    edges_y, edges_x = (
        np.arange(count) * size // count for count, size in zip((rows, columns), plane.shape, strict=True)
    )
    sums = np.add.reduceat(np.add.reduceat(plane, edges_y, axis=0, dtype=np.uint32), edges_x, axis=1)
    heights, widths = (np.diff(edges, append=size) for edges, size in zip((edges_y, edges_x), plane.shape, strict=True))
    means: Array = (sums / np.outer(heights, widths)).astype(np.float32)
    return means
