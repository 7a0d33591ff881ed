"""Tells the time from what a reader yields of a clock film, and compares it with the time that the reader reports.

reading = read_clock(path)
reading.shifts            how late picture and sound are: medians and largest, in seconds
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import Array
from pipeline.clip import DecodedClip, Gap, SourceInfo
from stages.decode.reader import NS, Reader, ReaderOptions, make_reader
from tests.clock_film import DARK, FRACTION_LEVELS, HZ_PER_S, LOWEST_HZ

WINDOW_S = 0.05
QUIET = 1e-3
PURE = 0.8
"""Least share of a window's energy near its loudest pitch; less: it tells two times."""


@dataclass(frozen=True)
class Moment:
    """A picture or a piece of sound: the time that the reader reports, and the one that it tells."""

    time_s: float
    told_s: float

    @property
    def shift_s(self) -> float:
        """How late it is reported."""
        return self.time_s - self.told_s


@dataclass(frozen=True)
class Shifts:
    """How late picture and sound are reported, in seconds; NaN if there is none."""

    picture_median_s: float
    picture_largest_s: float
    sound_median_s: float
    sound_largest_s: float

    @property
    def largest_s(self) -> float:
        """The largest deviation of either; NaN only if there is neither."""
        return float(np.nanmax(np.abs([self.picture_largest_s, self.sound_largest_s])))


@dataclass
class ClockReading:
    """What a reader made of a clock film."""

    info: SourceInfo
    clips: list[DecodedClip] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    pictures: list[Moment] = field(default_factory=list)
    """Every picture of every clip, with those that a clip holds over from the one before."""
    sound: list[Moment] = field(default_factory=list)
    """One for each 0.05 s of real samples that tell a time."""

    @property
    def end_s(self) -> float:
        return self.clips[-1].info.end_ns / NS if self.clips else 0.0

    @property
    def errors(self) -> int:
        return sum(clip.info.decode_errors for clip in self.clips)

    @property
    def shown(self) -> list[Moment]:
        """The pictures without those that tell the same time as the one before: each when it is first shown."""
        pairs = zip([None, *self.pictures], self.pictures, strict=False)
        return [each for before, each in pairs if before is None or abs(each.told_s - before.told_s) > 0.015]

    @property
    def shifts(self) -> Shifts:
        return Shifts(*summary(self.shown), *summary(self.sound))

    def shown_at(self, time_s: float) -> float | None:
        """The time told by the picture on show, of the clip at that time; None if that clip has none."""
        for clip in self.clips:
            if clip.info.start_ns <= round(time_s * NS) < clip.info.end_ns and "frames" in clip.arrays:
                start_s = clip.info.start_ns / NS
                told = [each.told_s for each in self.pictures if start_s <= each.time_s <= time_s + 1e-9]
                return told[-1] if told else None
        return None

    def heard_at(self, time_s: float) -> float | None:
        """The time told by the sound nearest to a time; None if there is none within a tenth of a second."""
        near = min(self.sound, key=lambda each: abs(each.time_s - time_s), default=None)
        return near.told_s if near is not None and abs(near.time_s - time_s) < 0.1 else None


def read_clock(source: Path | str | Reader, level: float = 10.0, origin_s: float = 0.0, **options: Any) -> ClockReading:
    """Read a clock film whole.

    `level`: brightness per second (`Picture.level`). `origin_s`: the told time that the reader should report as 0.
    `options`: those of the reader.
    """
    if not isinstance(source, Reader):
        source = make_reader(str(source), 0, ReaderOptions(**{"short_side_px": 48, **options}))
    with source as reader:
        reading = ClockReading(reader.open())
        for item in reader.clips():
            if isinstance(item, Gap):
                reading.gaps.append(item)
                continue
            reading.clips.append(item)
            reading.pictures += picture_moments(item, level, origin_s)
            reading.sound += sound_moments(item, reader.options.audio_rate_hz, origin_s)
    return reading


def shifts(source: Path | str | Reader, **options: Any) -> Shifts:
    return read_clock(source, **options).shifts


def summary(moments: Sequence[Moment]) -> tuple[float, float]:
    """Median shift, and the one that deviates most from zero."""
    if not moments:
        return float("nan"), float("nan")
    values = [moment.shift_s for moment in moments]
    return float(np.median(values)), float(max(values, key=abs))


def picture_moments(clip: DecodedClip, level: float = 10.0, origin_s: float = 0.0) -> Iterator[Moment]:
    if "frames" in clip.arrays:
        for time_ns, picture in zip(clip.arrays["frame_times_ns"], clip.arrays["frames"], strict=True):
            yield Moment(time_ns / NS, picture_time_s(picture, level) - origin_s)


def picture_time_s(picture: Array, level: float = 10.0) -> float:
    """The time that a picture "H W 3" tells."""
    height = len(picture)
    upper, lower = (brightness(picture[height * a // 8 : height * b // 8]) for a, b in ((1, 3), (5, 7)))
    return round((upper - DARK) / level) + (lower - DARK) / FRACTION_LEVELS


def brightness(picture: Array) -> float:
    """Mean luma, in the video range of 16 to 235."""
    return float(picture.mean()) * 219 / 255 + 16


def sound_moments(clip: DecodedClip, rate_hz: int, origin_s: float = 0.0) -> Iterator[Moment]:
    """What is told by each `WINDOW_S` of the clip's sound, leaving out what was filled in."""
    if "audio" not in clip.arrays:
        return
    samples, mask, size = clip.arrays["audio"], clip.arrays["audio_mask"], round(WINDOW_S * rate_hz)
    start_s = int(clip.arrays["audio_start_ns"][0]) / NS
    skip = max(0, round((clip.info.start_ns / NS - start_s) * rate_hz))
    for place in range(skip, len(samples) - size + 1, size):
        told_s = sound_time_s(samples[place : place + size], rate_hz) if mask[place : place + size].all() else None
        if told_s is not None:
            yield Moment(start_s + (place + size / 2) / rate_hz, told_s - origin_s)


def sound_time_s(samples: Array, rate_hz: int) -> float | None:
    """The time that a piece of sound "S" tells at its middle; None if it is silent or tells several."""
    hz = pitch_hz(samples, rate_hz)
    return None if hz is None else (hz - LOWEST_HZ) / HZ_PER_S


def pitch_hz(samples: Array, rate_hz: int) -> float | None:
    """The pitch of a pure tone, None if it is silent or impure."""
    if np.sqrt(np.mean(np.square(samples))) < QUIET:
        return None
    size = 1 << 14
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size)) ** 2
    peak = int(power[1:-1].argmax()) + 1
    width = round(3 * size / len(samples))
    if power[max(0, peak - width) : peak + width + 1].sum() < PURE * power.sum():
        return None
    below, here, above = np.log(power[peak - 1 : peak + 2] + 1e-30)
    bend = below - 2 * here + above
    return float((peak + (0.5 * (below - above) / bend if bend else 0.0)) * rate_hz / size)
