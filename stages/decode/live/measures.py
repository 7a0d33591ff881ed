"""What a clip of a camera measures, whatever it shows. These names are stable.

    brightness    mean of the pictures, 0 (black) to 255
    spread        standard deviation of brightness over a picture: a covered lens has next to none
    sharpness     how much horizontal neighbours differ at edges (98th percentile, levels): low out of focus
    change        largest share of a picture's cells that differ from the clip before, beyond the sensor's noise
    zone:<name>   the same of the cells of a zone
    noise         how much a cell's mean differs from the clip before where nothing moves: standard deviation, levels
    same_s        for how long the pictures have been the same, which no sensor gives
    level_dbfs    level of the sound (RMS); a full-scale sine has -3, digital silence has `SILENCE_DBFS`
    peak_dbfs     its largest sample
    silent_s      for how long all samples have had one value, which no microphone gives

A cell is one of 18 × 32 over the picture. Its mean is compared after a common change of all cells is taken off: slow
daylight and automatic exposure are no motion. A clip without pictures (or sound) lacks their measures.

Pictures are the same while at most `SAME_SHARE` of the pixels have another value than when the stretch began. A camera
that repeats one picture stays below 0.21 through its key frames, as the encoder only polishes it. One with the least
noise (0.3 levels) exceeds 0.5 at each key frame; between two, a strongly compressed still scene may well repeat itself.
So a picture is frozen when `same_s` is longer than the camera's key frames are apart, which is rarely over 10 s. It is
not found where the bit rate is too low for one still picture, and a black picture may count as frozen.
"""

import time
from collections.abc import Mapping

import numpy as np

from pipeline.arrays import Array
from stages.decode.live.luma import cells, luma
from stages.decode.live.masks import rasterise
from stages.decode.live.options import Polygon

SILENCE_DBFS = -120.0
ONE_VALUE = 1.5 / 32768
"""Samples that differ by less are the same value: 16 bits, after resampling."""
SAME_SHARE = 0.3
LEVELS = 4.0
SIGMAS = 10.0
"""A cell changes by at least so many levels, and so many deviations of the noise."""
CHANGE_NS, LOOK_NS = 240_000_000, 960_000_000
"""Pictures so far apart, or the first of a clip, are compared with the clip before, and looked at in all other ways."""
NOISE_MOST = 1.0
"""More than this is no noise: all of the picture moves."""


class Meter:
    """Measures one camera, clip by clip."""

    def __init__(self, zones: Mapping[str, Polygon] | None = None) -> None:
        self._zones = dict(zones or {})
        self.reset()

    def picture(self, picture: Array, time_ns: int | None = None) -> None:
        """Measure the next picture, uint8 "H W 3", unless the last one was just before. `time_ns`: of its capture."""
        self._pictures.add(picture, time.monotonic_ns() if time_ns is None else time_ns)

    def sound(self, samples: Array, rate_hz: int) -> None:
        """Measure the next samples, float32 "S" in [-1, 1]."""
        self._sound.add(samples, rate_hz)

    def close(self) -> dict[str, float]:
        """The measures of the clip; then the next one begins."""
        return {name: round(value, 4) for name, value in (self._pictures.close() | self._sound.close()).items()}

    def reset(self) -> None:
        """Forget what came before: another connection begins."""
        self._pictures, self._sound = _Pictures(self._zones), _Sound()


class _Pictures:
    def __init__(self, zones: Mapping[str, Polygon]) -> None:
        self._zones = zones
        self._reference: Array | None = None
        """Cells of the last picture of the clip before."""
        self._shape: tuple[int, ...] = ()
        self._last: Array | None = None
        self._first_same: Array | None = None
        """The pixels with which a stretch of same pictures began."""
        self._compared_ns = self._looked_ns = 0
        self._since_ns = 0
        self._same_ns = 0
        self._found: dict[str, list[float]] = {}

    def add(self, picture: Array, time_ns: int) -> None:
        is_first = not self._found
        if not is_first and time_ns - self._compared_ns < CHANGE_NS:
            return
        self._compared_ns = time_ns
        plane = np.ascontiguousarray(luma(picture))
        grid = cells(plane)
        if is_first or time_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns = time_ns
            self._note("brightness", float(grid.mean()))
            self._note("spread", float(plane.std(dtype=np.float32)))
            self._note("sharpness", sharpness(picture))
            self._measure_same(plane, time_ns)
        if self._reference is None or self._shape != plane.shape:
            self._reference, self._shape = grid, plane.shape
        self._measure_change(grid - self._reference)
        self._last = grid

    def close(self) -> dict[str, float]:
        found, self._found = self._found, {}
        if not found:
            return {}
        self._reference = self._last
        largest = {name for name in found if name == "change" or name.startswith("zone:")}
        measures = {name: max(values) if name in largest else float(np.mean(values)) for name, values in found.items()}
        return measures | {"same_s": self._same_ns / 1e9}

    def _measure_change(self, difference: Array) -> None:
        deviation = np.abs(difference - np.median(difference))
        noise = 1.4826 * float(np.median(deviation))
        moved = deviation > max(LEVELS, SIGMAS * min(noise, NOISE_MOST))
        self._note("noise", noise)
        self._note("change", float(moved.mean()))
        for name, polygon in self._zones.items():
            self._note(f"zone:{name}", float(moved[rasterise(polygon, *moved.shape)].mean()))

    def _measure_same(self, plane: Array, time_ns: int) -> None:
        first = self._first_same
        is_same = first is not None and first.shape == plane.shape and (plane != first).mean() <= SAME_SHARE
        if not is_same:
            self._first_same, self._since_ns = plane, time_ns
        self._same_ns = max(0, time_ns - self._since_ns)

    def _note(self, name: str, value: float) -> None:
        self._found.setdefault(name, []).append(value)


class _Sound:
    def __init__(self) -> None:
        self._energy, self._count, self._peak = 0.0, 0, 0.0
        self._value: float | None = None
        self._silent_s = 0.0

    def add(self, samples: Array, rate_hz: int) -> None:
        if not samples.size:
            return
        self._energy += float(np.dot(samples, samples))
        self._count += samples.size
        low, high = float(samples.min()), float(samples.max())
        self._peak = max(self._peak, -low, high)
        is_one_value = high - low < ONE_VALUE
        if not is_one_value or self._value is None or abs(low - self._value) >= ONE_VALUE:
            self._silent_s = 0.0
        self._silent_s += samples.size / rate_hz if is_one_value else 0.0
        self._value = low if is_one_value else None

    def close(self) -> dict[str, float]:
        if not self._count:
            return {}
        levels = {"level_dbfs": decibels(self._energy / self._count), "peak_dbfs": decibels(self._peak**2)}
        self._energy, self._count, self._peak = 0.0, 0, 0.0
        return levels | {"silent_s": self._silent_s}


def decibels(power: float) -> float:
    """Ten times the logarithm of a power, at least `SILENCE_DBFS`."""
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS


def sharpness(picture: Array) -> float:
    """98th percentile of the differences between horizontal neighbours, in every eighth row of uint8 "H W 3"."""
    rows = picture[::8, :, 1]
    if rows.shape[1] < 2:
        return 0.0
    steps = np.abs(np.diff(rows.astype(np.int16), axis=1)).ravel()
    place = int(0.98 * (steps.size - 1))
    return float(np.partition(steps, place)[place])
