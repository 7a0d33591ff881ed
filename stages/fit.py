"""How a picture is fitted to the square input of a tower: its scaled size, and the squares that are cut from it."""

from typing import NamedTuple

import numpy as np

from engines.models.model import TowerSpec


class Fit(NamedTuple):
    """height, width: of the scaled picture. corners: top and left of each square in it, negative where it is padded."""

    height: int
    width: int
    corners: tuple[tuple[int, int], ...]

    @property
    def is_padded(self) -> bool:
        return min(self.corners[0]) < 0


def fit_of(height: int, width: int, tower: TowerSpec) -> Fit:
    """The `fit` of the tower for a picture of this size."""
    size, short, long = tower.size_px, min(height, width), max(height, width)
    first = tower.resized_px or size
    if tower.fit == "stretch":
        return _middle(first, first, size)
    if tower.fit == "crop":
        return _middle(first * height // short, first * width // short, size)
    if tower.fit == "pad":
        high, wide = max(1, size * height // long), max(1, size * width // long)
        return Fit(high, wide, ((-((size - high) // 2), -((size - wide) // 2)),))
    high, wide = size * height // short, size * width // short
    room = max(high, wide) - size
    starts = [round(start) for start in np.linspace(0, room, -(-room // size) + 1)]
    return Fit(high, wide, tuple((0, start) if width >= height else (start, 0) for start in starts))


def _middle(height: int, width: int, size: int) -> Fit:
    return Fit(height, width, (((height - size) // 2, (width - size) // 2),))
