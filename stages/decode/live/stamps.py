"""Gives the packets of one connection the times at which they were captured."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from stages.decode.leading import leading_ticks
from stages.decode.links import Kind
from stages.decode.live.clock import CaptureClock
from stages.decode.live.queue import Arrived, ClockSet
from stages.decode.live.wall import WallClock
from stages.decode.source import nanoseconds

NS = 1_000_000_000
NANOSECOND = Fraction(1, NS)
WAIT_NS = NS // 200
"""A packet that took longer than this to come was waited for; those before had come while the stream was opened."""
ENOUGH_WAITS = 3
LONGEST_START_NS = NS
MOST_HELD = 2000

Keep = Callable[[Any, int], None]
"""What becomes of each packet with its time of capture, on the monotonic clock."""


class Stamps:
    """Packets in, packets with times out. The first ones are held until it is clear which were not delayed."""

    def __init__(self, zero_ns: int, by_arrival: bool, wall: WallClock, keep: Keep) -> None:
        """`by_arrival`: the stream carries no times of its own."""
        self._zero_ns = zero_ns
        self._by_arrival = by_arrival
        self._wall = wall
        self._keep = keep
        self._held: list[tuple[Kind, Any, int]] | None = [] if not by_arrival else None
        self._clock: CaptureClock | None = None
        self._last: dict[Kind, tuple[int, int]] = {}
        """Camera time and duration of the last packet of each kind."""
        self._arrived: dict[Kind, int] = {}

    @property
    def delay_ns(self) -> int:
        """How late packets may come, as far as the last minute shows."""
        return self._clock.spread_ns if self._clock is not None else 0

    def take(self, kind: Kind, packet: Any, arrival_ns: int) -> Iterator[Arrived | ClockSet]:
        if self._held is None:
            yield from self._stamped(kind, packet, arrival_ns)
            return
        self._held.append((kind, packet, arrival_ns))
        if self._is_enough([arrival for _, _, arrival in self._held]):
            yield from self.release()

    def release(self) -> Iterator[Arrived | ClockSet]:
        """The packets that are held."""
        held, self._held = self._held or [], None
        for kind in {kind for kind, _, _ in held}:
            fill_in([packet for each, packet, _ in held if each == kind])
        for kind, packet, arrival_ns in held:
            yield from self._stamped(kind, packet, arrival_ns, held)

    def _is_enough(self, arrivals: list[int]) -> bool:
        waits = sum(after - before > WAIT_NS for before, after in pairwise(arrivals))
        return waits >= ENOUGH_WAITS or arrivals[-1] - arrivals[0] > LONGEST_START_NS or len(arrivals) >= MOST_HELD

    def _stamped(
        self, kind: Kind, packet: Any, arrival_ns: int, first: list[tuple[Kind, Any, int]] | None = None
    ) -> Iterator[Arrived | ClockSet]:
        if self._by_arrival:
            captured_ns = self._arrived[kind] = max(arrival_ns, self._arrived.get(kind, 0) + 1)
            reorder_ns = 0
        else:
            media_ns, reorder_ns = self._media_ns(kind, packet)
            if self._clock is None:
                pairs = [(decoded_ns(each), arrival) for _, each, arrival in first or [] if has_time(each)]
                self._clock = CaptureClock(pairs or [(media_ns, arrival_ns)])
            captured_ns, is_set = self._clock.place(kind, media_ns, arrival_ns)
            if is_set:
                yield ClockSet()
        self._wall.look(packet, captured_ns + reorder_ns)
        self._keep(packet, captured_ns + reorder_ns)
        decode_ns = captured_ns - self._zero_ns
        restamp(packet, decode_ns, decode_ns + reorder_ns)
        yield Arrived(kind, packet, decode_ns, arrival_ns)

    def _media_ns(self, kind: Kind, packet: Any) -> tuple[int, int]:
        """When a packet is decoded, by the camera's clock, and how much later it is shown."""
        if has_time(packet):
            media_ns = decoded_ns(packet)
        else:
            before_ns, duration_ns = self._last.get(kind, (0, 0))
            media_ns = before_ns + duration_ns
        reorder_ns = 0
        if packet.pts is not None and packet.dts is not None:
            reorder_ns = nanoseconds(packet.pts - packet.dts, packet.time_base)
        duration_ns = nanoseconds(packet.duration, packet.time_base) if packet.duration else NS // 25
        self._last[kind] = media_ns, duration_ns
        return media_ns, reorder_ns


def fill_in(packets: list[Any]) -> None:
    """Give times to the first packets of a stream that have none."""
    times = leading_ticks([(packet.dts or packet.pts, packet.duration or 0) for packet in packets], 1)
    for packet, time in zip(packets, times, strict=False):
        packet.pts = packet.dts = time


def has_time(packet: Any) -> bool:
    return packet.dts is not None or packet.pts is not None


def decoded_ns(packet: Any) -> int:
    return nanoseconds(packet.dts if packet.dts is not None else packet.pts, packet.time_base)


def restamp(packet: Any, decode_ns: int, shown_ns: int) -> None:
    """Put times and duration in nanoseconds into a packet."""
    duration_ns = nanoseconds(packet.duration, packet.time_base) if packet.duration else 0
    packet.time_base = NANOSECOND
    packet.pts, packet.dts, packet.duration = shown_ns, decode_ns, duration_ns
