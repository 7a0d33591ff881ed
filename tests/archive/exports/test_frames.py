"""Times and timecodes as numbers of frames, compared with exact arithmetic and with OpenTimelineIO."""

from fractions import Fraction

import pytest
from opentimelineio.opentime import RationalTime, from_timecode

from archive.exports.frames import TICKS_HZ, frame_at, frames_to, is_drop_frame, rate_of

RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60000, 1001)]


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        (29.97, Fraction(30000, 1001)),
        (29.97002997, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (25.0, Fraction(25)),
        (30.001, Fraction(30)),
        (12.5, Fraction(25, 2)),
        (0.2, Fraction(1, 5)),
    ],
)
def test_rates_are_fractions(told: float, meant: Fraction) -> None:
    assert rate_of(told) == meant


@pytest.mark.parametrize("rate_hz", RATES, ids=str)
def test_the_time_of_a_frame_is_that_frame(rate_hz: Fraction) -> None:
    """In the first minute and around the 24th hour, with times as records have them, and as rounded as in a table."""
    last = int(86_400 * rate_hz)
    for frame in [*range(int(60 * rate_hz)), *range(last - 100, last)]:
        time_s = float(frame / rate_hz)
        assert frame_at(time_s, rate_hz) == frame
        assert frame_at(round(time_s, 3), rate_hz) == frame


DROPPING = [rate for rate in RATES if rate.denominator == 1001 and rate > 29]


@pytest.mark.parametrize(
    ("mark", "rate_hz"), [*((":", rate) for rate in RATES), *((";", rate) for rate in DROPPING)], ids=str
)
def test_timecodes_are_those_of_opentimelineio(mark: str, rate_hz: Fraction) -> None:
    for code in ("00:00:00:00", "00:00:59:23", "00:01:00:02", "00:10:00:00", "10:09:59:12", "23:59:59:04"):
        code = code[:8] + mark + code[9:]
        assert is_drop_frame(code, rate_hz) == (mark == ";")
        assert frames_to(code, rate_hz) == from_timecode(code, float(rate_hz)).value, code


def test_a_semicolon_drops_nothing_at_other_rates() -> None:
    assert frames_to("01:00:00;00", Fraction(25)) == 90_000
    assert frames_to("01:00:00;00", Fraction(24000, 1001)) == 86_400


def test_a_timecode_that_none_can_read_counts_nothing() -> None:
    for text in ("", "1:2:3", "10:00:00:25", "24:00:00:00", "10:60:00:00", "junk", "10:00:00:00:00"):
        assert frames_to(text, Fraction(25)) == 0
    assert frames_to("10:00:00:00", TICKS_HZ) == 0


def test_opentimelineio_alone_would_be_a_frame_early() -> None:
    """Why we round: see findings/. If this fails, the library has changed."""
    assert RationalTime.from_seconds(1.16, 25).to_frames() == 28
    assert frame_at(1.16, Fraction(25)) == 29
