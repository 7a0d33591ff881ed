"""The capture clock: it follows this machine's, keeps the camera's distances, and never runs backwards."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stages.decode.live.clock import NS, CaptureClock

MS = 1_000_000
STEP_NS = 40 * MS


def place_all(
    delays_ns: list[int], drift: float = 0.0, start_ns: int = 5 * NS, at_ns: int = 1000 * NS
) -> list[tuple[int, int]]:
    """Times of capture as they are, and as the clock tells them. `drift`: how much too fast the camera's clock runs."""
    true = [at_ns + number * STEP_NS for number in range(len(delays_ns))]
    media = [start_ns + round((each - at_ns) * (1 + drift)) for each in true]
    arrivals = [each + delay_ns for each, delay_ns in zip(true, delays_ns, strict=True)]
    clock = CaptureClock(zip(media[:30], arrivals[:30], strict=True))
    told = [clock.place("video", *pair)[0] for pair in zip(media, arrivals, strict=True)]
    return list(zip(true, told, strict=True))


@given(some.lists(some.integers(0, 500 * MS), min_size=1, max_size=300))
def test_with_any_delays_times_keep_their_distances(delays_ns: list[int]) -> None:
    """Before the least delay is known the clock may move by a tenth."""
    for (true, told), (after_true, after_told) in pairwise(place_all(delays_ns)):
        assert 0.89 * (after_true - true) <= after_told - told <= 1.11 * (after_true - true)


def test_a_burst_at_the_start_makes_no_time_late() -> None:
    """What was sent while the stream was being opened arrives together, up to a second late."""
    delays_ns = [max(0, NS - number * STEP_NS) for number in range(200)]
    assert all(abs(told - true) < MS for true, told in place_all(delays_ns))


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_a_clock_that_runs_wrong_is_followed_for_hours(drift: float) -> None:
    """After two hours it is 1.44 s off."""
    delays_ns = [(number * 7919) % (30 * MS) for number in range(2 * 3600 * 25)]
    assert all(abs(told - true) < 50 * MS for true, told in place_all(delays_ns, drift))


def test_a_delay_for_a_while_moves_nothing() -> None:
    """A camera that hung for 5 s sends the rest in a burst."""
    delays_ns = [0] * 500 + [5 * NS - number * STEP_NS for number in range(125)] + [0] * 500
    assert all(abs(told - true) < MS for true, told in place_all(delays_ns))


@given(some.lists(some.integers(-800, 800), min_size=1, max_size=100))
def test_no_time_runs_backwards_whatever_the_camera_says(jumps_ms: list[int]) -> None:
    clock, media_ns, last_ns = CaptureClock([(100 * NS, 1000 * NS)]), 100 * NS, 0
    for number, jump_ms in enumerate(jumps_ms):
        media_ns += STEP_NS + jump_ms * MS
        captured_ns, _ = clock.place("video", media_ns, 1000 * NS + number * STEP_NS)
        assert captured_ns >= last_ns
        last_ns = captured_ns


@pytest.mark.parametrize("to_s", [0, 5000])
def test_a_clock_that_is_set_is_told_once_for_both_streams(to_s: int) -> None:
    clock = CaptureClock([(100 * NS, 1000 * NS)])
    told, sets = [], []
    for number in range(100):
        for stream, jump_at in (("video", 50), ("audio", 53)):
            media_ns = (to_s * NS if number >= jump_at else 100 * NS) + number * STEP_NS
            captured_ns, is_set = clock.place(stream, media_ns, 1000 * NS + number * STEP_NS)
            told.append(captured_ns - 1000 * NS - number * STEP_NS)
            sets.append((number, stream) if is_set else None)
    assert [each for each in sets if each] == [(50, "video")]
    assert all(abs(late_ns) < MS for late_ns in told)


def test_a_camera_that_stays_late_gets_a_new_mapping() -> None:
    """Its clock stood still for a minute: everything after that seems a minute late."""
    clock = CaptureClock([(0, 1000 * NS)])
    sets, captured_ns = 0, 0
    for number in range(1500):
        late_ns = 60 * NS if number > 250 else 0
        arrival_ns = 1000 * NS + number * STEP_NS + late_ns
        captured_ns, is_set = clock.place("video", number * STEP_NS, arrival_ns)
        sets += is_set
    assert sets == 1
    assert abs(captured_ns - arrival_ns) < MS


def test_the_largest_delay_is_known() -> None:
    clock = CaptureClock([(0, 0)])
    for number in range(100):
        clock.place("video", number * STEP_NS, number * STEP_NS + (300 * MS if number % 10 == 9 else 0))
    assert clock.spread_ns == 300 * MS
