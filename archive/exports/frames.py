"""Times as numbers of frames: rates are fractions, and a time is the frame nearest to it."""

import re
from fractions import Fraction
from math import floor

TICKS_HZ = Fraction(1000)
"""Where a source has no frames, or nobody knows their rate."""
NEAR = 2e-4
"""A rate that is nearer than this to a whole one, or to one of NTSC, is that one."""
_TIMECODE = re.compile(r"(\d{1,2}):(\d\d):(\d\d)([:;.,])(\d{2,3})")


def rate_of(rate_hz: float) -> Fraction:
    """The exact rate: 29.97 is 30000/1001."""
    for rate in (Fraction(round(rate_hz)), Fraction(round(rate_hz * 1.001) * 1000, 1001)):
        if rate and abs(rate_hz / rate - 1) < NEAR:
            return rate
    return Fraction(rate_hz).limit_denominator(1001)


def frame_at(time_s: float, rate_hz: Fraction) -> int:
    """The number of the nearest frame, counted from 0, on a steady grid."""
    return floor(Fraction(time_s) * rate_hz + Fraction(1, 2))


def is_drop_frame(timecode: str, rate_hz: Fraction) -> bool:
    """Whether numbers are left out so that the timecode keeps up with the clock: a semicolon, at 29.97 or 59.94."""
    return any(mark in timecode for mark in ";,") and rate_hz.denominator == 1001 and round(rate_hz) % 30 == 0


def frames_to(timecode: str, rate_hz: Fraction) -> int:
    """How many frames a timecode `hh:mm:ss:ff` is after 00:00:00:00; 0 if it is none at this rate."""
    match, in_second = _TIMECODE.fullmatch(timecode.strip()), round(rate_hz)
    if match is None or rate_hz == TICKS_HZ:
        return 0
    hours, minutes, seconds, frames = (int(match[place]) for place in (1, 2, 3, 5))
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= in_second:
        return 0
    minutes += 60 * hours
    dropped = in_second // 15 * (minutes - minutes // 10) if is_drop_frame(timecode, rate_hz) else 0
    return (60 * minutes + seconds) * in_second + frames - dropped
