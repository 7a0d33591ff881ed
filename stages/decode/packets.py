"""The packets of one kind of stream in file order, with repaired times, over all links of a source."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import av

from stages.decode.clock import AHEAD, NS, Clock, Stamp
from stages.decode.links import Kind, Link, Reopen, Watch, demux, goes_on
from stages.decode.source import nanoseconds, reason

log = logging.getLogger("percept.decode")
MAX_READ_FAILURES = 50
"""Reading a container stops after this many failures in a row."""
MOST_AHEAD = 400
"""Packets of all streams that are read ahead to judge a time."""
MOVED = 8
"""Packets of another stream, and none of the current one, after which the current one has moved there."""
MOVED_S = 1.0
"""How long they last at least, if the current stream comes back soon. Tracks side by side take turns in less."""
LATE = 2
"""The last packets of a stream may come late: the demuxer and the parser hold one each."""
Filter = Callable[[Iterable[Any]], Iterator[Any]]
"""Packets of all streams as they come to packets with better times."""
NUMBERS: dict[Kind, int] = {"video": 0, "audio": 1}
"""What the clock calls the streams."""


class Packets:
    """Packets of one kind. Those of the other, if it is read from the same container, only tell the clock about it."""

    def __init__(
        self,
        link: Link,
        kind: Kind,
        clock: Clock,
        origin_ns: int,
        reopen: Reopen,
        name: str,
        filters: Sequence[Filter] = (),
    ) -> None:
        self.link = self._first = link
        self.kind: Kind = kind
        self.clock = clock
        self.name = name
        """Of the source, for warnings."""
        self.context = link.current[kind].codec_context
        """The decoder of the current stream."""
        self.errors = 0
        self.first_error = ""
        self.broken_off = ""
        """Why reading stopped before the end, if a connection or a disk was lost."""
        self.read = 0
        """Packets of this kind with content so far."""
        self.origin_ns = origin_ns
        """The container's time that counts as 0."""
        self._filters = filters
        self._reopen = reopen
        self._bases: dict[int, Any] = {}
        self._reported: set[str] = set()
        self._parallel: set[int] = set()
        self._taken: dict[Kind, int] = {}
        """Where the last packet is in the file, by kind, in bytes."""
        self._count_taken: Counter[Kind] = Counter()
        """Packets of the current streams."""
        self._last_ns = 0
        self._waiting: deque[Any] = deque()
        """Packets that were read ahead, and links to enter between them."""
        self._raw: Iterator[Any] = iter(())

    def restart(self) -> Iterator[Any]:
        """All packets from where the container is, without those that only flush a decoder."""
        self._waiting.clear()
        self._raw = self._demuxed()
        while True:
            packet = self._waiting.popleft() if self._waiting else next(self._raw, None)
            if packet is None:
                return
            if isinstance(packet, Link):
                self._enter(packet)
                self._raw = self._demuxed()
                continue
            kind = self._kind(packet)
            if kind is None or not self._is_current(packet, kind):
                continue
            if packet.pos is not None:
                self._taken[kind] = packet.pos
            self._count_taken[kind] += 1
            self._place(packet)
            if kind == self.kind:
                self.read += packet.size > 0
                yield packet

    def count(self, error: Exception) -> None:
        self.errors += 1
        self.first_error = self.first_error or reason(error)

    # The streams

    def _kind(self, packet: Any) -> Kind | None:
        return self.link.kind_of(packet.stream_index)

    def _is_current(self, packet: Any, kind: Kind) -> bool:
        """Whether a packet is of the current stream of its kind, or of the one to which that has moved."""
        index, current = packet.stream_index, self.link.current[kind].index
        if index == current:
            return True
        if index in self._parallel or not packet.size:
            return False
        ahead = self._look_ahead()
        own = list(before_return(ahead, index, current))
        is_over = sum(after.stream_index == current for after in ahead) <= LATE
        if self._count_taken[kind] < MOVED or len(own) < MOVED or not (is_over or lasts(own, MOVED_S)):
            self._parallel.add(index)
            return False
        return follows(packet, own[0]) and self._moves(packet, kind)

    def _moves(self, packet: Any, kind: Kind) -> bool:
        """Go on with the stream of a packet. Returns whether the packet itself is the first of it."""
        what = "the pictures move" if kind == "video" else "the sound moves"
        log.warning("%s: at %.1f s %s to another stream", self.name, self._last_ns / NS, what)
        if packet.pos is not None:
            following = self._following({**self._taken, kind: packet.pos}, (kind, packet.stream.id))
            if following is not None:
                self._waiting.clear()
                self._enter(following)
                self._raw = self._demuxed()
                return False
        self.link.move(kind, packet.stream_index)
        self._parallel.clear()
        if kind == self.kind:
            self.context = self.link.current[kind].codec_context
        return True

    def _following(self, taken: dict[Kind, int], moved: tuple[Kind, int] | None = None) -> Link | None:
        """The source opened again where it goes on with other streams; None if it does not.

        `moved`: a kind and the identity of its new stream; None: with those that were unknown so far.
        """
        following = self._reopen(min(taken.values())) if taken else None
        if following is None:
            return None
        before = self.link
        for kind, stream in before.current.items():
            if moved is None:
                following.prefer_unknown(kind, before)
            else:
                following.prefer(kind, moved[1] if kind == moved[0] else stream.id)
        if all(goes_on(before, following, kind) for kind in following.current):
            following.container.close()
            return None
        following.skip_until = {kind: position for kind, position in taken.items() if goes_on(before, following, kind)}
        return following

    def _enter(self, link: Link) -> None:
        """Go on with another link. A stream that goes on in it keeps its decoder."""
        before, self.link = self.link, link
        self._parallel.clear()
        self._bases.clear()
        if self.kind in link.current and not goes_on(before, link, self.kind):
            self.context = link.current[self.kind].codec_context
        if before is not self._first:  # the reader still asks the streams of the first one
            before.container.close()

    # Times

    def _place(self, packet: Any) -> None:
        """Put the repaired times into a packet."""
        stamp = self._stamp(packet)
        offset_ns = self.clock.place(stamp, self._ahead)
        if self.clock.remark:
            self._report(stamp)
        if offset_ns is None:
            packet.pts = packet.dts = None
            return
        if not self.clock.is_shown_in_time(stamp, self._ahead):
            packet.pts = None
        if stamp.decode_ns is not None:
            self._last_ns = stamp.decode_ns + offset_ns
        if offset_ns:
            base = self._base(packet)
            ticks = round(offset_ns * base.denominator / (base.numerator * NS))
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _report(self, stamp: Stamp) -> None:
        """Say what the clock did, once; the stream concerned says it."""
        remark, self.clock.remark = self.clock.remark, ""
        if stamp.stream == NUMBERS[self.kind] and remark not in self._reported:
            self._reported.add(remark)
            log.warning("%s: at %.1f s %s", self.name, self._last_ns / NS, remark)

    def _base(self, packet: Any) -> Any:
        index = packet.stream_index
        if index not in self._bases:
            self._bases[index] = packet.time_base
        return self._bases[index]

    def _stamp(self, packet: Any) -> Stamp:
        base, kind = self._base(packet), self._kind(packet)
        assert kind is not None
        pts, dts, duration = packet.pts, packet.dts, packet.duration
        if dts is None and kind == "audio":
            dts = pts
        return Stamp(
            NUMBERS[kind],
            None if dts is None else nanoseconds(dts, base) - self.origin_ns,
            None if pts is None else nanoseconds(pts, base) - self.origin_ns,
            nanoseconds(duration, base) if duration else 0,
            packet.size,
        )

    def _ahead(self) -> Iterable[Stamp]:
        """The times of the packets of the current streams after this one."""
        current = {stream.index for stream in self.link.current.values()}
        return [self._stamp(packet) for packet in self._look_ahead() if packet.stream_index in current]

    def _look_ahead(self) -> list[Any]:
        """The next packets of this link: enough of each current stream, or as many as may wait."""
        lacking = Counter({stream.index: AHEAD for stream in self.link.current.values()})
        for place, packet in enumerate(self._waiting):
            if isinstance(packet, Link):
                return list(self._waiting)[:place]
            lacking[packet.stream_index] -= packet.size > 0
        current = [stream.index for stream in self.link.current.values()]
        while len(self._waiting) < MOST_AHEAD and any(lacking[index] > 0 for index in current):
            packet = next(self._raw, None)
            if packet is None:
                break
            self._waiting.append(packet)
            if isinstance(packet, Link):
                return list(self._waiting)[:-1]
            lacking[packet.stream_index] -= packet.size > 0
        return list(self._waiting)

    def _demuxed(self) -> Iterator[Any]:
        """Packets up to the end, and a link in place of those that this one does not know.

        A failed read is counted, and reading continues after the bad place.
        """
        link, failures = self.link, 0
        watch = Watch(set(link.current)) if link.may_grow else None
        read: dict[Kind, int] = {}
        while failures < MAX_READ_FAILURES:
            try:
                packets = demux(link)
                for each in self._filters:
                    packets = each(packets)
                for packet in packets:
                    kind = link.kind_of(packet.stream_index)
                    if kind is None or is_flush(packet) or link.was_read(packet, kind):
                        continue
                    failures = 0
                    if watch is not None and watch.may_have_moved(kind, packet.pos, packet.size):
                        following = self._looked_up(watch, read)
                        if following is not None:
                            yield following
                            return
                    if packet.pos is not None:
                        read[kind] = packet.pos
                    yield packet
                if watch is not None and watch.has_passed(link.container.size):
                    yield from filter(None, [self._looked_up(watch, read)])
                return
            except av.error.FFmpegError as error:
                if isinstance(error, av.error.PatchWelcomeError) and (following := self._following(read)) is not None:
                    yield following
                    return
                self.count(error)
                if isinstance(error, (av.error.ExitError, OSError)):  # a timeout, or a lost connection or disk
                    self.broken_off = reason(error)
                    return
                failures += 1
        log.warning("%s: reading stops at %.1f s: %s", self.name, self._last_ns / NS, self.first_error)

    def _looked_up(self, watch: Watch, read: dict[Kind, int]) -> Link | None:
        """The link in which streams go on that seem to have moved."""
        following = self._following(read)
        if following is None:
            watch.attempts -= 1
        else:
            log.warning("%s: at %.1f s other streams begin", self.name, self._last_ns / NS)
        return following


def follows(packet: Any, following: Any) -> bool:
    """Whether a packet belongs to the one after it. What a demuxer kept from long before does not."""
    if packet.dts is None or following.dts is None:
        return True
    return bool(0 <= (following.dts - packet.dts) * packet.time_base <= 1)


def before_return(packets: Iterable[Any], index: int, current: int) -> Iterator[Any]:
    """Packets of the stream `index` before the stream `current` comes back."""
    returned = 0
    for packet in packets:
        returned += packet.stream_index == current
        if returned > LATE:
            return
        if packet.stream_index == index:
            yield packet


def lasts(packets: Sequence[Any], seconds: float) -> bool:
    """Whether packets of one stream last so long, without the first, which may be old ones that come late."""
    times = [packet.dts for packet in packets if packet.dts is not None]
    return len(times) > LATE and bool((times[-1] - times[LATE]) * packets[0].time_base >= seconds)


def is_flush(packet: Any) -> bool:
    """Whether a packet only tells that there are no more of its stream."""
    return packet.size == 0 and packet.pts is None and packet.dts is None
