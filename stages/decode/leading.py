"""Times for the first packets of a stream that have none, although later ones do.

The first key frame of H.264 over RTSP has no time; nor have the first pictures of an MPEG-TS recording that begins
between two timestamps. Such a packet is a frame duration earlier than the one after it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

MAX_LEADING = 64
"""A stream with more packets in a row without a time has none."""
MAX_READ = 1000
"""Packets of all streams among which the first of this one is looked for."""
TIMED = 2
"""Packets with a time that are read after those without; their distance is a frame duration."""
REORDERED = 5
"""The same with B-frames, where the earliest picture is not the first in the file."""


def leading_ticks(packets: Sequence[tuple[int | None, int]], step: int) -> list[int]:
    """Times for the packets before the first that has one; empty if none has, or the first has.

    `packets`: time or None, and duration, or 0 if unknown, of the first packets in the order of decoding, all in
    ticks. `step`: duration of a packet, if neither it nor the times of those that have one tell.
    """
    times = sorted(time for time, _ in packets if time is not None)
    if not times:
        return []
    count = next(place for place, (time, _) in enumerate(packets) if time is not None)
    step = min((after - before for before, after in pairwise(times) if after > before), default=step)
    time, leading = times[0], deque[int]()
    for _, duration in reversed(packets[:count]):
        time -= duration or step
        leading.appendleft(time)
    return list(leading)


class LeadingTimes:
    """Reads the first packets of a source and gives times to those of one stream that have none."""

    def __init__(self, packets: Iterable[Any], index: int, step: int, is_reordered: bool) -> None:
        self.first: int | None = None
        """Time in ticks that the first packet was given; None if it had one."""
        self._index = index
        self._error: Exception | None = None
        self._held: deque[Any] = deque()
        try:
            self._read(packets, REORDERED if is_reordered else TIMED)
        except Exception as error:  # for whoever reads the packets
            self._error = error
        own = [packet for packet in self._held if packet.stream_index == index]
        times = leading_ticks([(packet.pts, packet.duration or 0) for packet in own], step)
        for packet, time in zip(own, times, strict=False):
            packet.pts = packet.dts = time
        self.first = next(iter(times), None)

    def timed(self, packets: Iterable[Any]) -> Iterator[Any]:
        """The packets that were read, then the rest: `packets`. A second call, after a seek, adds nothing."""
        held, self._held = self._held, deque()
        yield from held
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        yield from packets

    def _read(self, packets: Iterable[Any], timed: int) -> None:
        """Read up to as many packets with a time as `timed`; just one packet if it has one."""
        first: Any = None
        for packet in packets:
            if packet.size == 0 and packet.dts is None:
                return  # the end: the next reader gets it again
            self._held.append(packet)
            if packet.stream_index != self._index:
                if len(self._held) > MAX_READ:
                    return
                continue
            first = first or packet
            timed -= packet.pts is not None
            if timed <= 0 or first.pts is not None or len(self._held) > MAX_LEADING:
                return
