"""Cells of a picture: where each of a tower's patches lies, and fields of values over cells as fields over pixels.

A picture that is not square is covered with overlapping squares, since a tower reads squares.
"""

from dataclasses import dataclass

import cv2
import msgspec
import numpy as np

from engines.models.model import TowerSpec
from pipeline.arrays import Array
from stages.pictures import frame_pictures


@dataclass(frozen=True)
class Squares:
    """How squares of `side` pixels cover a picture of `height` x `width`: at `starts` along its longer side."""

    height: int
    width: int
    starts: tuple[int, ...]

    @property
    def side(self) -> int:
        return min(self.height, self.width)

    @classmethod
    def of(cls, height: int, width: int) -> "Squares":
        side, room = min(height, width), abs(height - width)
        return cls(height, width, tuple(round(start) for start in np.linspace(0, room, -(-room // side) + 1)))

    def places(self) -> list[tuple[slice, slice]]:
        """Rows and columns of each square."""
        across = [slice(start, start + self.side) for start in self.starts]
        whole = slice(0, self.side)
        return [(whole, each) if self.width >= self.height else (each, whole) for each in across]


def square_pictures(frame: Array, tower: TowerSpec) -> Array:
    """A frame uint8 "H W 3" as the tower's pictures of its squares, float32 "N 3 S S"."""
    squares = np.stack([frame[place] for place in Squares.of(*frame.shape[:2]).places()])
    return frame_pictures(squares, msgspec.structs.replace(tower, fit="stretch", resized_px=0))


def spread(cells: Array, height: int, width: int) -> Array:
    """Values of the cells of all squares, "N C r c", over a picture: float32 "C H W".

    Bilinear between the cells' centres. Where squares overlap, the nearer one counts more.
    """
    squares = Squares.of(height, width)
    total = np.zeros((cells.shape[1], height, width), np.float32)
    weights = np.zeros((height, width), np.float32)
    edge = np.minimum(np.arange(squares.side) + 1, squares.side - np.arange(squares.side)).astype(np.float32)
    weight = np.broadcast_to(edge if width >= height else edge[:, None], (squares.side, squares.side))
    for values, place in zip(cells.astype(np.float32), squares.places(), strict=True):
        for row, field in enumerate(values):
            total[(row, *place)] += weight * cv2.resize(field, weight.shape, interpolation=cv2.INTER_LINEAR)
        weights[place] += weight
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
    spread_of_grey = cv2.blur(grey * grey, window) - mean * mean + noise
    moved = np.empty_like(fields)
    for field, target in zip(fields, moved, strict=True):
        level = cv2.blur(field, window)
        slope = (cv2.blur(grey * field, window) - mean * level) / spread_of_grey
        target[:] = cv2.blur(slope, window) * grey + cv2.blur(level - slope * mean, window)
    return moved
