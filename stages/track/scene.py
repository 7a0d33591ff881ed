"""How the scene moves through the picture, because the camera does, and tracks that are carried along."""

import math
from bisect import bisect_right

import msgspec

from pipeline.arrays import Array
from stages.boxes import Box
from stages.track.motion_model import Axis, MovingBox


class Scene:
    """How the scene moves in a clip: affine, and constant between two frames.

    spans_ns: int64 "K 2", ascending; rates: float32 "K 2 3" in short sides per second, with x and y in [-1, 1] across
    the picture, as `stages.detect.camera.CameraMotion.matrix`. Where nothing is known, it is at rest.
    """

    def __init__(self, spans_ns: Array | None, rates: Array | None, width: int, height: int) -> None:
        known = spans_ns is not None and rates is not None and width > 0 and height > 0
        self._spans: list[tuple[int, int]] = spans_ns.tolist() if known and spans_ns is not None else []
        self._ends_ns = [end_ns for _, end_ns in self._spans]
        self._rates = rates
        self._width, self._height = width, height

    @property
    def is_still(self) -> bool:
        """Whether nothing is carried anywhere."""
        return self._rates is None or not self._spans or not self._rates.any()

    def carried(self, box: Box, from_ns: int, until_ns: int) -> Box:
        """A box where the scene takes it from one time to another."""
        x, y, grown = self._carried((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, from_ns, until_ns)
        half_width, half_height = (box[2] - box[0]) / 2 * grown, (box[3] - box[1]) / 2 * grown
        return x - half_width, y - half_height, x + half_width, y + half_height

    def carried_state(self, moving: MovingBox, from_ns: int, until_ns: int) -> MovingBox:
        """The same for a box that moves by itself, too. Its speed is its own, and stays."""
        x, y, grown = self._carried(moving.x.value, moving.y.value, from_ns, until_ns)
        width, height = moving.width.value * grown, moving.height.value * grown
        return MovingBox(_set(moving.x, x), _set(moving.y, y), _set(moving.width, width), _set(moving.height, height))

    def _carried(self, x: float, y: float, from_ns: int, until_ns: int) -> tuple[float, float, float]:
        """Where a point gets to, and by what factor things there grow."""
        grown = 0.0
        for row in range(bisect_right(self._ends_ns, from_ns), len(self._spans)):
            start_ns, end_ns = self._spans[row]
            seconds = (min(end_ns, until_ns) - max(start_ns, from_ns)) / 1e9
            if seconds <= 0:
                break
            vx, vy, growth = self._rate(row, x, y)
            x, y, grown = x + vx * seconds, y + vy * seconds, grown + growth * seconds
        return x, y, math.exp(grown)

    def _rate(self, row: int, x: float, y: float) -> tuple[float, float, float]:
        assert self._rates is not None
        (a, b, c), (d, e, f) = self._rates[row].tolist()
        across, down, short = 2 * x / self._width - 1, 2 * y / self._height - 1, min(self._width, self._height)
        growth = short * (a / self._width + e / self._height)
        return short * (a * across + b * down + c), short * (d * across + e * down + f), growth


REST = Scene(None, None, 0, 0)


def _set(axis: Axis, value: float) -> Axis:
    return msgspec.structs.replace(axis, value=value)
