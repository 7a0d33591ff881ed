"""The packets of one stream in file order, with repaired times."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import av
from av.container import InputContainer

from stages.decode.clock import AHEAD, NS, Clock, Stamp
from stages.decode.source import Stream, nanoseconds, reason

log = logging.getLogger("percept.decode")
MAX_READ_FAILURES = 50
"""Reading a container stops after this many failures in a row."""
MOST_AHEAD = 400
"""Packets of all streams that are read ahead to judge a time."""


class Packets:
    """Packets of `own`. Those of `other`, if it is read from the same container, only tell the clock about it.

    The container must skip all further streams, and nothing else may read from it.
    """

    def __init__(
        self, container: InputContainer, own: Stream, other: Stream | None, clock: Clock, origin_ns: int
    ) -> None:
        self.container = container
        self.own = own
        self.clock = clock
        self.errors = 0
        self.first_error = ""
        self.read = 0
        """Packets of `own` with content so far."""
        self._origin_ns = origin_ns
        self._streams = [own] if other is None else [own, other]
        self._bases = {stream.index: stream.time_base for stream in self._streams}
        self._sounds = {stream.index for stream in self._streams if stream.type == "audio"}
        self._waiting: deque[Any] = deque()
        self._raw: Iterator[Any] = iter(())

    def restart(self) -> Iterator[Any]:
        """All packets from where the container is."""
        self._waiting.clear()
        self._raw = self._demuxed()
        index = self.own.index
        for packet in self._in_order():
            if packet.size or packet.pts is not None:
                self._place(packet)
            if packet.stream_index == index:
                self.read += packet.size > 0
                yield packet

    def count(self, error: Exception) -> None:
        self.errors += 1
        self.first_error = self.first_error or reason(error)

    def _in_order(self) -> Iterator[Any]:
        while True:
            if self._waiting:
                yield self._waiting.popleft()
                continue
            packet = next(self._raw, None)
            if packet is None:
                return
            yield packet

    def _place(self, packet: Any) -> None:
        """Put the repaired times into a packet."""
        stamp = self._stamp(packet)
        offset_ns = self.clock.place(stamp, self._ahead)
        if offset_ns is None:
            packet.pts = packet.dts = None
            return
        if not self.clock.is_shown_in_time(stamp, self._ahead):
            packet.pts = None
        if offset_ns:
            base = self._bases[packet.stream_index]
            ticks = round(offset_ns * base.denominator / (base.numerator * NS))
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _stamp(self, packet: Any) -> Stamp:
        index = packet.stream_index
        base = self._bases[index]
        pts, dts, duration = packet.pts, packet.dts, packet.duration
        if dts is None and index in self._sounds:
            dts = pts
        return Stamp(
            index,
            None if dts is None else nanoseconds(dts, base) - self._origin_ns,
            None if pts is None else nanoseconds(pts, base) - self._origin_ns,
            nanoseconds(duration, base) if duration else 0,
            packet.size,
        )

    def _ahead(self) -> Iterable[Stamp]:
        """The times of the packets after the current one."""
        lacking = dict.fromkeys(self._bases, AHEAD)
        for packet in self._waiting:
            lacking[packet.stream_index] -= 1
        while len(self._waiting) < MOST_AHEAD and any(count > 0 for count in lacking.values()):
            packet = next(self._raw, None)
            if packet is None:
                break
            self._waiting.append(packet)
            lacking[packet.stream_index] -= packet.size > 0
        return [self._stamp(packet) for packet in self._waiting if packet.size or packet.pts is not None]

    def _demuxed(self) -> Iterator[Any]:
        """Packets up to the end. A failed read is counted, and reading continues after the bad place."""
        failures = 0
        while failures < MAX_READ_FAILURES:
            try:
                for packet in self.container.demux(*self._streams):
                    failures = 0
                    if packet.stream_index in self._bases:
                        yield packet
                return
            except av.error.FFmpegError as error:
                self.count(error)
                if isinstance(error, (av.error.ExitError, OSError)):  # a timeout, or a lost connection or disk
                    return
                failures += 1
