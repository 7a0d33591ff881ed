"""Times of capture for the packets of a connection."""

from fractions import Fraction
from typing import Any

import av

from stages.decode.live.queue import Arrived, ClockSet
from stages.decode.live.stamps import Stamps
from stages.decode.live.wall import WallClock

NS = 1_000_000_000
MS = 1_000_000
TICK = Fraction(1, 90_000)
ZERO_NS = 500 * NS


def packet(time_s: float | None, shown_later: int = 0) -> Any:
    made = av.Packet(b"x")
    made.time_base, made.duration = TICK, 3600
    if time_s is not None:
        made.dts = round(time_s / TICK)
        made.pts = made.dts + shown_later
    return made


def stamps(by_arrival: bool = False, kept: list[int] | None = None) -> Stamps:
    def keep(packet: Any, captured_ns: int) -> None:
        if kept is not None:
            kept.append(captured_ns)

    return Stamps(ZERO_NS, by_arrival, WallClock(), keep)


def take_all(given: Stamps, packets: list[tuple[Any, int]]) -> list[Arrived | ClockSet]:
    items = [item for each, arrival_ns in packets for item in given.take("video", each, arrival_ns)]
    return items + list(given.release())


def test_packets_keep_the_distances_that_the_camera_gave_them() -> None:
    kept: list[int] = []
    arrivals = [ZERO_NS + number * 40 * MS + number % 3 * 9 * MS for number in range(50)]
    items = take_all(stamps(kept=kept), [(packet(7 + n * 0.04), at_ns) for n, at_ns in enumerate(arrivals)])
    times = [item.packet.pts for item in items if isinstance(item, Arrived)]
    assert times == [number * 40 * MS for number in range(50)]
    assert kept == [ZERO_NS + time_ns for time_ns in times]
    assert items[0].packet.time_base == Fraction(1, NS)  # type: ignore[union-attr]
    assert items[0].packet.duration == 40 * MS  # type: ignore[union-attr]


def test_a_first_picture_without_a_time_is_one_step_before_the_second() -> None:
    packets = [(packet(None if n == 0 else 3 + n * 0.04), ZERO_NS + n * 40 * MS) for n in range(10)]
    times = [item.packet.pts for item in take_all(stamps(), packets) if isinstance(item, Arrived)]
    assert times == [number * 40 * MS for number in range(10)]


def test_pictures_that_are_shown_later_than_they_are_decoded_stay_so() -> None:
    packets = [(packet(n * 0.04, shown_later=3600 * (n % 3)), ZERO_NS + n * 40 * MS) for n in range(9)]
    items = [item for item in take_all(stamps(), packets) if isinstance(item, Arrived)]
    assert [item.packet.pts - item.decode_ns for item in items] == [n % 3 * 40 * MS for n in range(9)]


def test_a_clock_that_is_set_is_told_before_the_packet() -> None:
    packets = [(packet(n * 0.04 if n < 5 else 900 + n * 0.04), ZERO_NS + n * 40 * MS) for n in range(10)]
    items = take_all(stamps(), packets)
    assert [place for place, item in enumerate(items) if isinstance(item, ClockSet)] == [5]
    times = [item.decode_ns for item in items if isinstance(item, Arrived)]
    assert times == [number * 40 * MS for number in range(10)]


def test_packets_that_carry_no_times_have_that_of_their_arrival() -> None:
    arrivals = [ZERO_NS + 100 * MS, ZERO_NS + 100 * MS, ZERO_NS + 350 * MS]
    items = take_all(stamps(by_arrival=True), [(packet(n * 0.04), at_ns) for n, at_ns in enumerate(arrivals)])
    assert [item.decode_ns for item in items if isinstance(item, Arrived)] == [100 * MS, 100 * MS + 1, 350 * MS]
