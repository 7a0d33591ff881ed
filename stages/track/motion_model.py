"""Constant-velocity model in real time: the position of a box, its velocity, and the uncertainty of both.

A Kalman filter (Kalman 1960; boxes as in SORT, Bewley et al. 2016), with independent axes for centre x, centre y, width
and height. All noise scales with the size of the box, so nothing depends on the resolution.
"""

import math

import msgspec

from stages.boxes import Box


class MotionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Standard deviations in sizes of the box (square root of its area). The defaults suit boxes from motion, whose
    size fluctuates.
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
    start_growth: float = 0.0
    """Spread of the unknown rate at which a new box grows, per second. With 0, sizes only change at random."""
    growth_push: float = 0.0
    """Change of that rate, per second and root second."""
    growth_s: float = 0.7
    """Time after which an unseen box has lost two thirds of that rate: it must not grow for ever."""


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

    def fading(self, seconds: float, push: float, walk: float, fade_s: float) -> "Axis":
        """The same with a rate that fades within `fade_s` (Ornstein and Uhlenbeck 1930).

        walk: deviation of further change of the value itself, per root second.
        """
        left = math.exp(-seconds / fade_s)
        gone = fade_s * (1 - left)
        grown = self.value_variance + 2 * gone * self.covariance + gone**2 * self.rate_variance
        noise, lag = push * push, fade_s * (1 - left * left) / 2
        return Axis(
            self.value + gone * self.rate,
            left * self.rate,
            grown + walk * walk * seconds + noise * fade_s**2 * (seconds - 2 * gone + lag),
            left * (self.covariance + gone * self.rate_variance) + noise * gone**2 / 2,
            left * left * self.rate_variance + noise * lag,
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


class MovingBox(msgspec.Struct, array_like=True, frozen=True):
    x: Axis
    y: Axis
    width: Axis
    height: Axis

    @property
    def box(self) -> Box:
        half_width, half_height = max(1.0, self.width.value) / 2, max(1.0, self.height.value) / 2
        return (
            self.x.value - half_width,
            self.y.value - half_height,
            self.x.value + half_width,
            self.y.value + half_height,
        )

    @property
    def size(self) -> float:
        return math.sqrt(max(1.0, self.width.value) * max(1.0, self.height.value))


def start(box: Box, options: MotionOptions) -> MovingBox:
    """The state of a box seen for the first time; its speed is unknown."""
    width, height = max(1.0, box[2] - box[0]), max(1.0, box[3] - box[1])
    size = math.sqrt(width * height)
    known = options.place, options.start_speed, options.extent, options.start_growth
    place, speed, extent, growth = ((deviation * size) ** 2 for deviation in known)
    return MovingBox(
        Axis((box[0] + box[2]) / 2, 0.0, place, 0.0, speed),
        Axis((box[1] + box[3]) / 2, 0.0, place, 0.0, speed),
        Axis(width, 0.0, extent, 0.0, growth),
        Axis(height, 0.0, extent, 0.0, growth),
    )


def predict(moving: MovingBox, seconds: float, options: MotionOptions) -> MovingBox:
    size = moving.size
    push, growth, swell = options.push * size, options.growth_push * size, options.swell * size
    return MovingBox(
        moving.x.ahead(seconds, push),
        moving.y.ahead(seconds, push),
        moving.width.fading(seconds, growth, swell, options.growth_s),
        moving.height.fading(seconds, growth, swell, options.growth_s),
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
