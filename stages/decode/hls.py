"""Finds what is missing of an HLS source. FFmpeg passes over a segment that it cannot get without a word.

The times of what follows stay right, so a missing segment shows as a jump. It is told from a picture that is shown for
long by asking for the segments around it. A segment of MPEG-TS that was cut off shows as a jump, too. After a cut
segment of fragmented MP4, FFmpeg takes all further segments for the rest of it and ends; a seek to the next continues.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

import av

from stages.decode.frames import DecodedStream
from stages.decode.links import Kind, Link, demux
from stages.decode.playlist import MAX_ASKED, PlaylistFile, Segment
from stages.decode.reader import NS
from stages.decode.source import nanoseconds
from stages.decode.timeline import KEPT_FAILURES

log = logging.getLogger("percept.decode")

LEAST_NS = NS // 2
"""Shorter jumps are none."""
REGULAR_STEPS = 25
"""Pictures that come regularly for so long do not pause by themselves."""
TOUCH_NS = NS // 20
"""A loss concerns a clip if they overlap by more than this."""


class Losses:
    """Stretches of a source that are missing, each reported once although every stream meets it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._stretches: deque[tuple[int, int]] = deque(maxlen=KEPT_FAILURES)

    def add(self, start_ns: int, end_ns: int, missing: Sequence[Segment] = (), cut: str = "a segment") -> None:
        """Report a stretch: its segments are missing, or one, `cut`, was cut off."""
        if self.count(start_ns, end_ns):
            return
        self._stretches.append((start_ns, end_ns))
        names, verb = ", ".join(segment.name for segment in missing), "are" if len(missing) > 1 else "is"
        what = f"segment{'s' * (verb == 'are')} {names} {verb} missing;" if missing else f"{cut} was cut off; up to"
        length_s, start_s, end_s = (end_ns - start_ns) / NS, start_ns / NS, end_ns / NS
        log.warning("%s: %s %.1f s are lost, from %.1f to %.1f s", self.name, what, length_s, start_s, end_s)

    def count(self, start_ns: int, end_ns: int) -> int:
        """How many of them concern the time from `start_ns` to `end_ns`."""
        return sum(first + TOUCH_NS < end_ns and start_ns < last - TOUCH_NS for first, last in self._stretches)


class LossWatch:
    """Looks for losses in the packets of one stream, and continues after a segment that was cut off."""

    def __init__(self, link: Link, kind: Kind, file: PlaylistFile, losses: Losses) -> None:
        self.file = file
        self.losses = losses
        self.leading_ns = file.leading_ns()
        self.decoded: DecodedStream
        self._link = link
        self._stream = link.current[kind]
        self._first_ns: int | None = None
        self._dts_ns = 0
        """When the last packet ends, by the times of decoding and of showing."""
        self._pts_ns = 0
        self._steps: deque[int] = deque(maxlen=100)
        self._corrupt: deque[bool] = deque(maxlen=4)
        self._reported: set[str] = set()
        self._sought_ns = 0
        self._cut: Segment | None = None
        """What is believed to be cut, until the packets after a seek prove it."""

    def watched(self, packets: Iterable[Any]) -> Iterator[Any]:
        """The same packets of all streams, and those after a cut segment; packets that flush decoders come last."""
        flushes = []
        while True:
            for packet in packets:
                if packet.size == 0 and packet.dts is None:
                    flushes.append(packet)
                elif packet.stream_index != self._stream.index:
                    if self._cut is None:
                        yield packet
                elif not self._is_before_seek(packet):
                    self._see(packet)
                    yield packet
            if not self._continue():
                break
            packets = demux(self._link)
        yield from flushes

    def _is_before_seek(self, packet: Any) -> bool:
        """Whether a packet after a seek was read before. The first that was not shows that a segment was cut."""
        if self._cut is None:
            return False
        if packet.dts is None or nanoseconds(packet.dts, packet.time_base) < self._dts_ns - LEAST_NS:
            return True
        cut, self._cut = self._cut, None
        start_ns, end_ns = (self.decoded.shown_ns(time_ns + self._zero_ns) for time_ns in (cut.start_ns, cut.end_ns))
        self.losses.add(start_ns, end_ns, cut=f"segment {cut.name}")
        return False

    def _see(self, packet: Any) -> None:
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None:
            return
        dts_ns = nanoseconds(ticks, packet.time_base)
        pts_ns = nanoseconds(packet.pts, packet.time_base) if packet.pts is not None else dts_ns
        duration_ns = nanoseconds(packet.duration, packet.time_base) if packet.duration else 0
        self._corrupt.append(packet.is_corrupt)
        if self._first_ns is None:
            self._first_ns = pts_ns
        else:
            jump_ns = dts_ns - self._dts_ns
            if jump_ns > max(LEAST_NS, 4 * max(self._steps, default=0)):
                self._judge(dts_ns, pts_ns)
            elif jump_ns > -LEAST_NS:
                self._steps.append(max(1, jump_ns + duration_ns))
        self._dts_ns = dts_ns + duration_ns
        self._pts_ns = max(self._pts_ns, pts_ns + duration_ns) if pts_ns > self._pts_ns - NS else pts_ns + duration_ns

    def _judge(self, dts_ns: int, pts_ns: int) -> None:
        """Decide whether the jump to these times is a loss, and report it."""
        self.file.refresh()
        near = self._near(self._dts_ns, dts_ns)
        missing = [segment for segment in self.file.missing(near) if segment.uri not in self._reported]
        self._reported.update(segment.uri for segment in missing)
        has_break = any(segment.follows_break for segment in near)
        if has_break and not self._fits(missing, dts_ns - self._dts_ns):
            return
        if missing or any(self._corrupt) or self._is_regular():
            before_ns = self._dts_ns - self._zero_ns - LEAST_NS // 10
            cut = [segment.name for segment in near if segment.start_ns <= before_ns < segment.end_ns]
            is_known = self.file.playlist.is_recorded and not self.file.playlist.is_rounded and cut
            name = f"segment {cut[0]}" if is_known else "a segment"
            self.losses.add(*self.decoded.lose(self._pts_ns, pts_ns), missing, name)

    def _near(self, start_ns: int, end_ns: int) -> list[Segment]:
        """The segments around a stretch, at most `MAX_ASKED`; of a live playlist, the newest."""
        playlist = self.file.playlist
        if not playlist.is_recorded:
            return playlist.segments[-MAX_ASKED:]
        from_ns, until_ns = (time_ns - self._zero_ns for time_ns in (start_ns, end_ns))
        drift = NS // 2 if playlist.is_rounded else 0
        near = []
        for place, segment in enumerate(playlist.segments):
            margin_ns = segment.end_ns - segment.start_ns + place * drift
            if segment.start_ns - margin_ns < until_ns and from_ns < segment.end_ns + margin_ns:
                near.append(segment)
        return near[:MAX_ASKED]

    def _fits(self, missing: Sequence[Segment], jump_ns: int) -> bool:
        """Whether the clock goes on after a break as if nothing had been missing but these segments."""
        lost_ns = sum(segment.end_ns - segment.start_ns for segment in missing)
        return lost_ns > 0 and abs(jump_ns - lost_ns) < lost_ns / 2

    def _is_regular(self) -> bool:
        if self._stream.type == "audio":
            return True
        return len(self._steps) >= REGULAR_STEPS and max(self._steps) <= 2 * median(self._steps)

    def _continue(self) -> bool:
        """At the end: seek to the segment after the last one that was read, if one is there."""
        playlist = self.file.playlist
        if not playlist.is_recorded or self._first_ns is None:
            return False
        reached_ns = self._dts_ns - self._zero_ns
        rest = [segment for segment in playlist.segments if segment.start_ns > reached_ns - LEAST_NS]
        present = next((segment for segment in rest[:MAX_ASKED] if not self.file.is_missing(segment)), None)
        if rest and present is None:
            start_ns = self.decoded.shown_ns(self._pts_ns)
            self.losses.add(start_ns, start_ns + rest[-1].end_ns - rest[0].start_ns, rest)
        if present is None or present.start_ns <= self._sought_ns or self.leading_ns or playlist.is_rounded:
            return False
        self._sought_ns = present.start_ns
        try:
            self._link.container.seek((self._sought_ns + self._first_ns) // 1000 + 1)
        except av.error.FFmpegError as error:
            log.debug("seek to %d ns failed: %s", self._sought_ns, error)
            return False
        before = playlist.segments[: playlist.segments.index(present)]
        self._cut = next((segment for segment in before if segment.end_ns > reached_ns - LEAST_NS), None)
        return True

    @property
    def _zero_ns(self) -> int:
        """Start of the playlist on the clock of the container."""
        return (self._first_ns or 0) - self.leading_ns
