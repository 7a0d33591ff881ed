"""The decoded frames of one stream, in order, with repaired times. Failures are counted and skipped."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
from av.container import InputContainer

from stages.decode.source import Stream, nanoseconds, reason
from stages.decode.timeline import Failures, Timeline

log = logging.getLogger(__name__)

MAX_READ_FAILURES = 50
"""Reading a container stops after this many failures in a row."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A decoded frame and the time at which it is shown or heard."""

    time_ns: int
    end_ns: int
    picture: Any
    """The decoded `av` frame, or the frame's number."""
    resets: int = 0
    """How often the clock was reset before it."""
    estimated: bool = False
    corrupt: bool = False


class DecodedStream:
    """Frames of one stream. Nothing else may read from its container."""

    def __init__(self, container: InputContainer, stream: Stream, origin_ns: int, timeline: Timeline) -> None:
        self.container = container
        self.stream = stream
        self.timeline = timeline
        self.packets = 0
        self.errors = 0
        self.first_error = ""
        self.failures = Failures()
        self._origin_ns = origin_ns
        self._frames = self._decoded()
        self._head: Shown | None = None
        self._ahead: _Decoded | None = None

    def peek(self) -> Shown | None:
        """The next frame, which stays the next one; None at the end."""
        if self._head is None:
            frame = self._next_frame()
            self._head = None if frame is None else self._placed(frame)
        return self._head

    def pop(self) -> Shown:
        """The frame that `peek` returns; the one after it becomes the next."""
        head = self.peek()
        assert head is not None, "pop after the end"
        self._head = None
        return head

    def seek(self, time_ns: int) -> bool:
        """Continue from the last key frame shown at or before a time; False if the container cannot seek."""
        try:
            self.container.seek(self.ticks(time_ns), stream=self.stream, backward=True)
        except av.error.FFmpegError as error:
            log.debug("seek to %d ns failed: %s", time_ns, reason(error))
            return False
        self._head = self._ahead = None
        self._frames = self._decoded(from_key=True)
        self.timeline.jump_to(time_ns)
        return True

    def ticks(self, time_ns: int) -> int:
        """A time on the repaired clock in ticks of the stream."""
        base = self.stream.time_base
        return int((time_ns + self._origin_ns) * base.denominator // (base.numerator * 1_000_000_000))

    def time_ns(self, ticks: int) -> int:
        """Ticks of the stream as a time on the repaired clock; valid until the first reset."""
        return nanoseconds(ticks, self.stream.time_base) - self._origin_ns

    def _next_frame(self) -> "_Decoded | None":
        if self._ahead is not None:
            frame, self._ahead = self._ahead, None
            return frame
        return next(self._frames, None)

    def _is_wrong(self, raw_ns: int | None) -> bool:
        """Whether a time is out of line but that of the next frame is not: one bad timestamp, not a jump."""
        if not self.timeline.is_out_of_line(raw_ns):
            return False
        self._ahead = self._next_frame()
        if self._ahead is None or self._ahead.ticks is None:
            return False
        return not self.timeline.is_out_of_line(self._raw_ns(self._ahead.ticks, self._ahead.frame.time_base))

    def _placed(self, decoded: "_Decoded") -> Shown:
        frame = decoded.frame
        raw_ns = self._raw_ns(decoded.ticks, frame.time_base)
        if self._is_wrong(raw_ns):
            raw_ns = None
        duration_ns = nanoseconds(frame.duration, frame.time_base) if frame.duration and frame.time_base else 0
        if isinstance(frame, av.AudioFrame) and frame.sample_rate:
            duration_ns = frame.samples * 1_000_000_000 // frame.sample_rate
        time_ns, estimated = self.timeline.place(raw_ns, duration_ns)
        return Shown(time_ns, self.timeline.end_ns, frame, self.timeline.resets, estimated, bool(frame.is_corrupt))

    def _raw_ns(self, ticks: int | None, time_base: Any) -> int | None:
        if ticks is None or not time_base:
            return None
        return nanoseconds(ticks, time_base) - self._origin_ns

    def _decoded(self, from_key: bool = False) -> "Iterator[_Decoded]":
        """All decodable frames. After a seek, those shown before the key frame are dropped: they lack references.

        An empty packet of a video shows the picture before it once more (part of Theora and of AVI).
        """
        key_ticks: int | None = None
        last: Any = None
        repeats: list[int] = []
        for packet in self._packets():
            if from_key and key_ticks is None:
                key_ticks = packet.pts
            if self._is_repeat(packet):
                repeats.append(packet.pts)
                continue
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                self._lost(packet, error)
                continue
            for frame in frames:
                if key_ticks is None or frame.pts is None or frame.pts >= key_ticks:
                    yield from _repeated(last, repeats, frame.pts)
                    yield _Decoded(frame, frame.pts)
                    last = frame
        yield from _repeated(last, repeats, None)

    def _is_repeat(self, packet: Any) -> bool:
        """Whether the packet is empty. The packet without a time, at the end, flushes the decoder."""
        return packet.size == 0 and packet.pts is not None and self.stream.type == "video"

    def _packets(self) -> Iterator[Any]:
        """Packets up to the end. A failed read is counted, and reading continues after the bad place."""
        failures = 0
        while failures < MAX_READ_FAILURES:
            try:
                for packet in self.container.demux(self.stream):
                    failures = 0
                    self.packets += packet.size > 0
                    yield packet
                return
            except av.error.FFmpegError as error:
                self._count(error)
                if isinstance(error, (av.error.ExitError, OSError)):  # a timeout, or a lost connection or disk
                    return
                failures += 1

    def _lost(self, packet: Any, error: Exception) -> None:
        self._count(error)
        raw_ns = self._raw_ns(packet.pts if packet.pts is not None else packet.dts, packet.time_base)
        if raw_ns is not None:
            duration_ns = nanoseconds(packet.duration, packet.time_base) if packet.duration else 0
            start_ns = self.timeline.mapped_ns(raw_ns)
            self.failures.add(start_ns, start_ns + (duration_ns or self.timeline.duration_ns))

    def _count(self, error: Exception) -> None:
        self.errors += 1
        self.first_error = self.first_error or reason(error)


@dataclass(frozen=True, slots=True)
class _Decoded:
    frame: Any
    ticks: int | None
    """When it is shown."""


def _repeated(frame: Any, repeats: list[int], before: int | None) -> Iterator[_Decoded]:
    """The frame again at those times that are before the next frame, or at all if there is none; they are used up."""
    while repeats and (before is None or repeats[0] < before):
        ticks = repeats.pop(0)
        if frame is not None:
            yield _Decoded(frame, ticks)
