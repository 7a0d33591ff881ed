"""Rate, length and stored size of a source: as the archive tells them, else as the file does, if it is still there."""

import os
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from archive.exports.frames import TICKS_HZ, rate_of
from archive.links import path_of

if TYPE_CHECKING:
    from archive.schema import Facts

TIMEOUT_S = (10.0, 10.0)
Size = tuple[int, int]


@dataclass(frozen=True)
class Probed:
    """What a file says."""

    rate_hz: float = 0.0
    duration_s: float = 0.0
    size: Size = (0, 0)
    """Upright, in stored pixels, which need not be square."""


class Media:
    """The media of a source. The file is opened only if somebody asks what the archive does not know."""

    def __init__(self, facts: "Facts") -> None:
        self._facts = facts

    @property
    def rate_hz(self) -> Fraction:
        """Frames per second; `TICKS_HZ` if it has none or they are unknown. The mean, where the rate varies."""
        rate_hz = self._facts.frame_rate_hz or self._file.rate_hz
        return rate_of(rate_hz) if 0 < rate_hz < TICKS_HZ else TICKS_HZ

    @property
    def duration_s(self) -> float:
        """0 if it is unknown."""
        return self._facts.duration_s or self._file.duration_s

    @property
    def stored_size(self) -> Size:
        """Upright, in stored pixels; (0, 0) if the file is gone."""
        return self._file.size

    @cached_property
    def _file(self) -> Probed:
        path, before = path_of(self._facts.source), self._facts.fingerprint
        try:
            if "://" in path or (before is not None and os.path.getsize(path) != before.size):
                return Probed()
            return probe(path)
        except (OSError, ValueError):
            return Probed()


def probe(path: str) -> Probed:
    """Raises: av.error.FFmpegError, OSError, ValueError: it cannot be read."""
    from av.stream import Disposition

    from pipeline.media import open_media

    with open_media(path, TIMEOUT_S) as container:
        cover = Disposition.attached_pic
        video = next((each for each in container.streams.video if not each.disposition & cover), None)
        duration_s = (container.duration or 0) / 1e6
        if video is None:
            return Probed(duration_s=duration_s)
        rate = video.average_rate or video.guessed_rate or 0
        frame = next(container.decode(video), None)
        if frame is None:
            return Probed(float(rate), duration_s)
        size = (frame.height, frame.width) if frame.rotation % 180 else (frame.width, frame.height)
        return Probed(float(rate), duration_s, size)
