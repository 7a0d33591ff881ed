"""Small grids of brightness, which are cheap to compare."""

from functools import lru_cache

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
    means: Array = _means(rows, plane.shape[0]) @ plane.astype(np.float32) @ _means(columns, plane.shape[1]).T
    return means


@lru_cache(maxsize=32)
def _means(cells: int, lines: int) -> Array:
    """float32 "cells lines", read-only: takes the mean of the lines of each cell."""
    edges = np.arange(cells + 1) * lines // cells
    places = np.arange(lines)
    inside = (places >= edges[:-1, None]) & (places < edges[1:, None])
    means: Array = (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
    means.flags.writeable = False
    return means
