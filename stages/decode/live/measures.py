"""What a clip of a camera measures, whatever it shows. These names are stable.

    brightness    mean of the pictures, 0 (black) to 255
    spread        standard deviation of brightness over a picture: a covered lens has next to none
    sharpness     how much neighbouring pixels differ at the picture's edges (98th percentile, levels): low out of focus
    change        largest share of a picture's cells that differ from the clip before, beyond the sensor's noise
    zone:<name>   the same of the cells of a zone
    noise         standard deviation of the noise of a cell's mean, as estimated, in levels
    same_s        for how long the pictures have been equal, beyond what a sensor gives
    level_dbfs    level of the sound (RMS); a full-scale sine has -3, digital silence has `SILENCE_DBFS`
    peak_dbfs     its largest sample
    silent_s      for how long all samples have had one value: no microphone gives that

A cell is one of 18 × 32 over the picture. Its mean is compared after a common change of all cells is taken off: slow
daylight and automatic exposure are no motion. A clip without pictures (or sound) lacks their measures.
"""

import time
from collections import deque
from collections.abc import Mapping

import numpy as np

from pipeline.arrays import Array
from stages.decode.live.luma import cells, luma
from stages.decode.live.masks import rasterise
from stages.decode.live.options import Polygon

SILENCE_DBFS = -120.0
ONE_VALUE = 1.5 / 32768
"""Samples that differ by less are the same value: 16 bits, after resampling."""
NOISE_LEAST, NOISE_MOST = 0.15, 2.0
NOISE_PICTURES = 64
"""The noise is that of the quietest fifth of so many pictures."""
SIGMAS = 6.0
LEVELS = 1.5
"""A cell changes by at least so many levels."""


class Meter:
    """Measures one camera, clip by clip."""

    def __init__(self, zones: Mapping[str, Polygon] | None = None) -> None:
        self._zones = dict(zones or {})
        self._pictures = _Pictures(self._zones)
        self._sound = _Sound()

    def picture(self, picture: Array, time_ns: int | None = None) -> None:
        """Measure the next picture, uint8 "H W 3". `time_ns`: when it was captured; none: now."""
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
        self._last: Array | None = None
        self._last_picture: Array | None = None
        self._last_ns = 0
        self._same_ns = 0
        self._noises: deque[float] = deque(maxlen=NOISE_PICTURES)
        self._found: dict[str, list[float]] = {}

    def add(self, picture: Array, time_ns: int) -> None:
        plane = luma(picture)
        grid = cells(plane)
        if self._last is not None and self._last.shape != grid.shape:
            self._reference = self._last = self._last_picture = None
        self._measure_same(plane, time_ns)
        self._note("brightness", float(grid.mean()))
        self._note("spread", float(plane.std(dtype=np.float32)))
        self._note("sharpness", sharpness(picture))
        if self._last is not None:
            self._noises.append(common_noise(grid - self._last))
        if self._reference is not None:
            self._measure_change(grid - self._reference)
        elif self._last is None:
            self._reference = grid
        self._last, self._last_ns = grid, time_ns

    def close(self) -> dict[str, float]:
        found, self._found = self._found, {}
        if not found:
            return {}
        self._reference = self._last
        largest = {name for name in found if name == "change" or name.startswith("zone:")}
        measures = {name: max(values) if name in largest else float(np.mean(values)) for name, values in found.items()}
        return measures | {"noise": self.noise, "same_s": self._same_ns / 1e9}

    @property
    def noise(self) -> float:
        """Standard deviation of a cell's difference between two pictures of a scene in which nothing happens."""
        quiet = float(np.quantile(self._noises, 0.2)) if self._noises else NOISE_MOST
        return min(max(quiet, NOISE_LEAST), NOISE_MOST)

    def _measure_change(self, difference: Array) -> None:
        moved = np.abs(difference - np.median(difference)) > max(LEVELS, SIGMAS * self.noise)
        self._note("change", float(moved.mean()))
        for name, polygon in self._zones.items():
            self._note(f"zone:{name}", float(moved[rasterise(polygon, *moved.shape)].mean()))

    def _measure_same(self, plane: Array, time_ns: int) -> None:
        is_same = self._last_picture is not None and np.array_equal(plane, self._last_picture)
        self._same_ns = self._same_ns + max(0, time_ns - self._last_ns) if is_same else 0
        self._last_picture = plane if is_same and self._last_picture is None else np.ascontiguousarray(plane)

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
        is_same = is_one_value and self._value is not None and abs(low - self._value) < ONE_VALUE
        self._silent_s = (self._silent_s if is_same else 0.0) + samples.size / rate_hz if is_one_value else 0.0
        self._value = low if is_one_value else None

    def close(self) -> dict[str, float]:
        if not self._count:
            return {}
        level, peak = decibels(self._energy / self._count), 2 * decibels(self._peak)
        self._energy, self._count, self._peak = 0.0, 0, 0.0
        return {"level_dbfs": level, "peak_dbfs": max(peak, SILENCE_DBFS), "silent_s": self._silent_s}


def decibels(power: float) -> float:
    """Ten times the logarithm of a power, at least `SILENCE_DBFS`."""
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS


def common_noise(difference: Array) -> float:
    """Standard deviation of cells about their common change, by the median of deviations: movers do not count."""
    return 1.4826 * float(np.median(np.abs(difference - np.median(difference))))


def sharpness(picture: Array) -> float:
    """98th percentile of the differences between horizontal neighbours, in every eighth row of uint8 "H W 3"."""
    rows = picture[::8, :, 1].astype(np.int16)
    return float(np.percentile(np.abs(np.diff(rows, axis=1)), 98)) if rows.shape[1] > 1 else 0.0
