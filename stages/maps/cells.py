"""Cells of a picture: where each of a tower's patches lies, and fields of values over cells as fields over pixels.

A tower reads squares. A picture is covered with overlapping ones twice: as large as it allows, for what things are, and
smaller, for where they are.
"""

from dataclasses import dataclass

import cv2
import msgspec
import numpy as np

from engines.models.model import TowerSpec
from pipeline.arrays import Array
from stages.pictures import frame_pictures

FINE = 0.6
"""Side of a small square, in short sides of the picture."""
LEAST_OVERLAP = 0.1
"""Of two neighbouring squares, in sides, so that no edge is seen by none."""


@dataclass(frozen=True)
class Square:
    top: int
    left: int
    side: int

    @property
    def place(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.side), slice(self.left, self.left + self.side)


def squares(height: int, width: int, share: float = 1.0) -> list[Square]:
    """Overlapping squares that cover a picture, with sides of this share of its short side."""
    side = max(1, round(share * min(height, width)))
    return [Square(top, left, side) for top in _starts(height, side) for left in _starts(width, side)]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / ((1 - LEAST_OVERLAP) * side)))
    return [round(start) for start in np.linspace(0, length - side, count)]


def square_pictures(frame: Array, places: list[Square], tower: TowerSpec) -> Array:
    """Squares of a frame uint8 "H W 3" as pictures of the tower, float32 "N 3 S S"."""
    cut = np.stack([frame[square.place] for square in places])
    return frame_pictures(cut, msgspec.structs.replace(tower, fit="stretch", resized_px=0))


def spread(cells: Array, places: list[Square], height: int, width: int) -> Array:
    """Values of the cells of all squares, "N C r c", over a picture: float32 "C H W".

    Bilinear between the cells' centres. Where squares overlap, the one whose middle is nearer counts more.
    """
    total = np.zeros((cells.shape[1], height, width), np.float32)
    weights = np.zeros((height, width), np.float32)
    for values, square in zip(cells.astype(np.float32), places, strict=True):
        size = square.side, square.side
        edge = np.minimum(np.arange(square.side) + 1, square.side - np.arange(square.side)).astype(np.float32)
        weight = np.minimum(edge[:, None], edge[None])
        for row, field in enumerate(values):
            total[(row, *square.place)] += weight * cv2.resize(field, size, interpolation=cv2.INTER_LINEAR)
        weights[square.place] += weight
    spread_over: Array = total / weights
    return spread_over


def guided(fields: Array, frame: Array, radius_px: int, noise: float = 1e-3) -> Array:
    """Fields "C H W" with their edges moved to those of the frame uint8 "H W 3" nearby.

    The guided filter (He, Sun and Tang 2010, equations 5 to 8): in each window a field is a linear function of the
    frame's grey. `noise` is the variance of grey in [0, 1] below which a window counts as flat.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    window = (2 * radius_px + 1, 2 * radius_px + 1)
    mean = cv2.blur(grey, window)
    variance = cv2.blur(grey * grey, window) - mean * mean + noise
    moved = np.empty_like(fields)
    for field, target in zip(fields, moved, strict=True):
        level = cv2.blur(field, window)
        slope = (cv2.blur(grey * field, window) - mean * level) / variance
        target[:] = cv2.blur(slope, window) * grey + cv2.blur(level - slope * mean, window)
    return moved
