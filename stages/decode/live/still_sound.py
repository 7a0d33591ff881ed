"""Whether sound is that of the quiet: neither louder, nor of another pitch.

The level of each band (a third of an octave or so), averaged over windows of several lengths, is compared with its
mean and deviation in the quiet clips before: a tone that starts 10 dB below a whole background stands out in its band.
What is too slow to differ from the clips before is heard when answers are renewed.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Array

FRAME_S = 0.064
BANDS = 31
LOWEST_HZ = 80.0
WINDOWS_S = (0.3, 0.8, 2.0)
LIMITS = (5.2, 4.7, 4.1)
"""Deviations in any band that count as a change, for each window."""
DEVIATION_LEAST_DB = 0.4
DEVIATION_MOST_DB = 3.5
"""Of an even noise, in the shortest window. Rain and fans stay below it, speech and music reach 10."""
LEARNT_CLIPS, KEPT_CLIPS = 4, 20
NEW_QUIET = 5
"""After so many clips with other sound in a row, the new sound is the quiet."""
FLOOR = 3e-8
"""Power of rounding to 16 bits, in the units of `levels`."""


@dataclass(frozen=True)
class Heard:
    """Levels of bands in a clip, averaged over windows: for each window "W B" over all its places."""

    counts: Array
    sums: Array
    squares: Array
    least: Array
    most: Array

    @classmethod
    def of(cls, sound: Array | None, rate_hz: int) -> "Heard | None":
        """From a clip's samples, float32 "S"; None without sound."""
        if sound is None or not sound.size:
            return None
        found = levels(sound, rate_hz)
        means = [averaged(found, max(1, round(window_s / FRAME_S * 2))) for window_s in WINDOWS_S]
        return cls(
            counts=np.array([[len(each)] for each in means]),
            sums=np.stack([each.sum(axis=0) for each in means]),
            squares=np.stack([np.square(each).sum(axis=0) for each in means]),
            least=np.stack([each.min(axis=0) for each in means]),
            most=np.stack([each.max(axis=0) for each in means]),
        )


class StillSound:
    """Levels of quiet clips. `steady`: they hold only while they are an even noise, unlike speech or music."""

    def __init__(self, steady: bool = False) -> None:
        self._steady = steady
        self._quiet: deque[Heard] = deque(maxlen=KEPT_CLIPS)
        self._odd: list[Heard] = []
        self._has_sound = False

    def agrees(self, clip: Heard | None) -> bool:
        """Whether a clip sounds like the quiet. False until that is learnt."""
        if clip is None:
            return not self._has_sound
        return len(self._quiet) >= LEARNT_CLIPS and self._fits(clip, self._steady)

    def is_quiet(self, clip: Heard | None) -> bool:
        """Whether a clip that was added is of the quiet itself, so that what was said of it can be said of others."""
        return clip is None or (bool(self._quiet) and not self._odd)

    def add(self, clip: Heard | None) -> None:
        """Learn from a clip; each is told once."""
        self._has_sound = clip is not None
        if clip is None:
            self._quiet.clear()
            return
        if len(self._quiet) < LEARNT_CLIPS or self._fits(clip):
            self._quiet.append(clip)
            self._odd.clear()
            return
        self._odd.append(clip)
        if len(self._odd) >= NEW_QUIET:
            self._quiet.clear()
            self._quiet.extend(self._odd)
            self._odd.clear()

    def _fits(self, clip: Heard, steady: bool = False) -> bool:
        if clip.sums.shape != self._quiet[-1].sums.shape:
            return False
        count = np.sum([each.counts for each in self._quiet], axis=0)
        mean = np.sum([each.sums for each in self._quiet], axis=0) / count
        variance = np.sum([each.squares for each in self._quiet], axis=0) / count - np.square(mean)
        if steady and float(np.sqrt(np.maximum(variance, 0)).max(axis=1)[0]) > DEVIATION_MOST_DB:
            return False
        room = np.sqrt(np.maximum(variance, DEVIATION_LEAST_DB**2)) * np.array(LIMITS)[:, None]
        return bool((np.maximum(clip.most - mean, mean - clip.least) <= room).all())


def levels(sound: Array, rate_hz: int) -> Array:
    """float64 "N B": levels of bands in frames that overlap by half, in decibels."""
    size = 1 << max(6, round(np.log2(FRAME_S * rate_hz)))
    if sound.size < size:
        sound = np.pad(sound, (0, size - sound.size))
    frames = np.lib.stride_tricks.sliding_window_view(sound, size)[:: size // 2] * np.hanning(size).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1))) / size * 1024
    edges = np.unique(np.geomspace(max(2, LOWEST_HZ * size / rate_hz), size // 2, BANDS + 1).astype(int))
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1) / np.diff(edges)
    found: Array = 10 * np.log10(bands + FLOOR)
    return found


def averaged(levels_db: Array, window: int) -> Array:
    """Means over `window` frames in a row, or over all if there are fewer: "N B" -> "M B"."""
    window = min(window, len(levels_db))
    sums = np.cumsum(np.concatenate([np.zeros((1, levels_db.shape[1])), levels_db]), axis=0)
    means: Array = (sums[window:] - sums[:-window]) / window
    return means
