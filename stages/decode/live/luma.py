"""Small grids of brightness, which are cheap to compare."""

from functools import lru_cache

import numpy as np

from pipeline.arrays import Array

ROWS, COLUMNS = 18, 32
"""Cells of the grid over a picture."""
MOST_AT_ONCE = 200_000
"""Multiplications of one product."""


def luma(picture: Array, step: int = 2) -> Array:
    """uint8 "h w": every `step`-th row and column of uint8 "H W 3" or "H W". Green stands for luma: it is 3/5 of it."""
    return picture[::step, ::step, 1] if picture.ndim == 3 else picture[::step, ::step]


def cells(plane: Array, rows: int = ROWS, columns: int = COLUMNS) -> Array:
    """float32 "rows columns": means over the cells of a grid. Planes with fewer lines have fewer cells."""
    rows, columns = min(rows, plane.shape[0]), min(columns, plane.shape[1])
    halfway = _product(_means(rows, plane.shape[0]), plane.astype(np.float32))
    return _product(_means(columns, plane.shape[1]), halfway.T).T


def _product(one: Array, other: Array) -> Array:
    """`one @ other` in pieces so small that no library starts threads for them: these would take longer."""
    step = max(1, MOST_AT_ONCE // one.size)
    pieces = [one @ other[:, place : place + step] for place in range(0, other.shape[1], step)]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)


@lru_cache(maxsize=32)
def _means(cells: int, lines: int) -> Array:
    """float32 "cells lines", read-only: takes the mean of the lines of each cell."""
    edges = np.arange(cells + 1) * lines // cells
    places = np.arange(lines)
    inside = (places >= edges[:-1, None]) & (places < edges[1:, None])
    means: Array = (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
    means.flags.writeable = False
    return means
