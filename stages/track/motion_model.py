"""Constant-velocity model in real time: the position of a box, its velocity, and the uncertainty of both.

A Kalman filter (Kalman 1960; boxes as in SORT, Bewley et al. 2016), with independent axes for centre x, centre y, width
and height. All noise scales with the size of the box, so nothing depends on the resolution.
"""

import math

import msgspec

from stages.boxes import Box


class MotionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Standard deviations in sizes of the box (square root of its area). The defaults suit boxes from motion, whose
    size fluctuates; for the tighter boxes of a trained detector halve `place` and `extent`.
    """

    place: float = 0.12
    """Noise of a detected centre: larger trusts the prediction more."""
    extent: float = 0.2
    """Noise of a detected width or height."""
    start_speed: float = 2.0
    """Spread of the unknown speed of a new box, per second."""
    push: float = 1.0
    """Change of speed, per second and root second: larger follows turns sooner and drifts sooner."""
    swell: float = 0.4
    """Change of width and height, per root second."""


class Axis(msgspec.Struct, array_like=True, frozen=True):
    """Value, its rate per second, and their covariance."""

    value: float
    rate: float
    value_variance: float
    covariance: float
    rate_variance: float

    def ahead(self, seconds: float, push: float) -> "Axis":
        """The prediction after `seconds`; `push` is the deviation of white acceleration noise, per root second."""
        grown = self.value_variance + 2 * seconds * self.covariance + seconds**2 * self.rate_variance
        noise = push * push
        return Axis(
            self.value + seconds * self.rate,
            self.rate,
            grown + noise * seconds**3 / 3,
            self.covariance + seconds * self.rate_variance + noise * seconds**2 / 2,
            self.rate_variance + noise * seconds,
        )

    def seen(self, value: float, deviation: float) -> "Axis":
        """The state after a measurement."""
        total = self.value_variance + deviation * deviation
        gain, rate_gain = self.value_variance / total, self.covariance / total
        error = value - self.value
        return Axis(
            self.value + gain * error,
            self.rate + rate_gain * error,
            (1 - gain) * self.value_variance,
            (1 - gain) * self.covariance,
            self.rate_variance - rate_gain * self.covariance,
        )


class Extent(msgspec.Struct, array_like=True, frozen=True):
    """Width or height: a random walk without a rate, because a lost box must not keep growing."""

    value: float
    variance: float

    def ahead(self, seconds: float, swell: float) -> "Extent":
        return Extent(self.value, self.variance + swell * swell * seconds)

    def seen(self, value: float, deviation: float) -> "Extent":
        gain = self.variance / (self.variance + deviation * deviation)
        return Extent(self.value + gain * (value - self.value), (1 - gain) * self.variance)


class MovingBox(msgspec.Struct, array_like=True, frozen=True):
    x: Axis
    y: Axis
    width: Extent
    height: Extent

    @property
    def box(self) -> Box:
        half_width, half_height = self.width.value / 2, self.height.value / 2
        return (
            self.x.value - half_width,
            self.y.value - half_height,
            self.x.value + half_width,
            self.y.value + half_height,
        )

    @property
    def size(self) -> float:
        return math.sqrt(self.width.value * self.height.value)


def start(box: Box, options: MotionOptions) -> MovingBox:
    """The state of a box seen for the first time; its speed is unknown."""
    width, height = max(1.0, box[2] - box[0]), max(1.0, box[3] - box[1])
    size = math.sqrt(width * height)
    place, speed, extent = ((d * size) ** 2 for d in (options.place, options.start_speed, options.extent))
    return MovingBox(
        Axis((box[0] + box[2]) / 2, 0.0, place, 0.0, speed),
        Axis((box[1] + box[3]) / 2, 0.0, place, 0.0, speed),
        Extent(width, extent),
        Extent(height, extent),
    )


def predict(moving: MovingBox, seconds: float, options: MotionOptions) -> MovingBox:
    push, swell = options.push * moving.size, options.swell * moving.size
    return MovingBox(
        moving.x.ahead(seconds, push),
        moving.y.ahead(seconds, push),
        moving.width.ahead(seconds, swell),
        moving.height.ahead(seconds, swell),
    )


def correct(predicted: MovingBox, box: Box, options: MotionOptions, doubt: float = 1.0) -> MovingBox:
    """The state after a detected box; `doubt` multiplies its deviations."""
    size = predicted.size
    place, extent = options.place * size * doubt, options.extent * size * doubt
    return MovingBox(
        predicted.x.seen((box[0] + box[2]) / 2, place),
        predicted.y.seen((box[1] + box[3]) / 2, place),
        predicted.width.seen(max(1.0, box[2] - box[0]), extent),
        predicted.height.seen(max(1.0, box[3] - box[1]), extent),
    )
