"""The decoded frames of one stream, in order, with repaired times. Failures are counted and skipped."""

import logging
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import av

from stages.decode.key_frames import Place, Sent, from_last_key, key_packets
from stages.decode.packets import NUMBERS, Packets
from stages.decode.read_ahead import ReadAhead
from stages.decode.shape import Shapes, Size
from stages.decode.source import nanoseconds, reason
from stages.decode.timeline import Failures, Timeline
from stages.decode.unused import Sparing, Unused, with_neighbours

if TYPE_CHECKING:
    from stages.decode.hardware import HardwareDecoder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """A decoded frame and the time at which it is shown or heard."""

    time_ns: int
    end_ns: int
    picture: Any
    """The decoded `av` frame, or the frame's number."""
    epoch: int = 0
    """How often the clock started again or left a gap before it."""
    estimated: bool = False
    corrupt: bool = False
    size: Size = (0, 0)
    """Of a picture: upright and with square pixels."""
    canvas: Size = (0, 0)
    """The size of the first picture of this shape."""
    turns: int = 0
    """How often the shape of the pictures changed before it."""
    shot: int = 0
    """Number of its shot, if shots are told apart."""


class DecodedStream:
    """Frames of one stream. Nothing else may read from its container."""

    ends = True
    """Without a next frame, there are no more."""

    def __init__(
        self,
        packets: Packets,
        duration_ns: int,
        has_no_times: bool = False,
        key_frames: bool = False,
        spares: bool = False,
        reads_ahead: bool = False,
        hardware: "HardwareDecoder | None" = None,
    ) -> None:
        """`duration_ns`: of a frame without its own. `has_no_times`: the times of the packets are estimates.

        `key_frames`: only these are decoded. `spares`: see `spare`. `reads_ahead`: there is an `ahead`. `hardware`:
        decodes in place of the stream's own decoder.
        """
        self.container = packets.link.container
        self.stream = packets.link.current[packets.kind]
        """The first one, if it moves."""
        self.clock = packets.clock
        self.timeline = Timeline(duration_ns)
        self.shapes = Shapes(self.stream)
        self.failures = Failures()
        self._packets = packets
        self._has_no_times = has_no_times
        self._key_frames = key_frames
        self._has_warned = False
        self._frames = self._decoded()
        self._head: Shown | None = None
        self._ahead: _Decoded | None = None
        self._first_ticks: int | None = None
        """Of the first packet since the start or the last seek."""
        self._from_key = False
        """Decoding began with a key frame under way: pictures shown before it lack references."""
        self.ahead: ReadAhead | None = None
        """The packets to come, once reading has begun."""
        self._has_dropped = False
        self._reads_ahead = reads_ahead and not has_no_times
        self._sparing = Sparing() if spares and not key_frames else None
        self._pass: tuple[int, int] | None = None
        """Time and epoch up to which packets are passed over."""
        self._hardware = hardware
        if hardware is not None:
            hardware.lost = self._lost

    @property
    def packets(self) -> int:
        return self._packets.read

    @property
    def errors(self) -> int:
        return self._packets.errors

    @property
    def broken_off(self) -> str:
        """Why reading stopped before the end; "" if it did not."""
        return self._packets.broken_off

    @property
    def first_error(self) -> str:
        return self._packets.first_error

    @property
    def notes(self) -> list[str]:
        """What is odd about how it is decoded, once the first picture was."""
        return [self._hardware.note] if self._hardware is not None and self._hardware.note else []

    def peek(self) -> Shown | None:
        """The next frame, which stays the next one; None at the end."""
        while self._head is None:
            decoded = self._next_frame()
            if decoded is None:
                return None
            self._head = self._placed(decoded)
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
        self._from_key = True
        self._frames = self._decoded()
        if self._hardware is not None:
            self._hardware.restart()
        self.clock.jump()
        self.timeline.jump_to(time_ns)
        return True

    def pass_to(self, time_ns: int) -> None:
        """Continue from the last key frame shown at or before a time, without a seek: packets before it are read, but
        not decoded. Nothing is passed over that the clock takes for another epoch.
        """
        if (head := self.peek()) is not None:
            self._pass = time_ns, head.epoch

    def drop_to(self, time_ns: int) -> None:
        """Do not decode what was read ahead, up to the last key frame shown at or before a time."""
        if self.ahead is not None:
            self._has_dropped |= self.ahead.drop_to(time_ns)

    def spare(self, unused: Unused, epoch: int) -> None:
        """Do not decode pictures of this epoch that are unused, if nothing refers to them. The picture before such a
        one is shown instead.
        """

        def left_out(before_ns: int, time_ns: int, after_ns: int) -> bool:
            ends = self.clock.epoch_at(before_ns), self.clock.epoch_at(after_ns)
            return unused(before_ns, time_ns, after_ns) and ends == (epoch, epoch)

        if self._sparing is not None:
            self._sparing.unused = left_out

    def close(self) -> None:
        """Let go of a hardware decoder."""
        if self._hardware is not None:
            self._hardware.close()

    def ticks(self, time_ns: int) -> int:
        """A time on the repaired clock in ticks of the stream."""
        base = self.stream.time_base
        return int((time_ns + self._packets.origin_ns) * base.denominator // (base.numerator * 1_000_000_000))

    def time_ns(self, ticks: int) -> int:
        """Ticks of the stream as a time on the repaired clock; valid until the first reset."""
        return nanoseconds(ticks, self.stream.time_base) - self._packets.origin_ns

    def move_origin(self, by_ns: int) -> None:
        """Move the container's time that counts as 0, before anything was read."""
        self._packets.origin_ns += by_ns

    def lose(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Note that nothing came between two times of the container. Returns them on the repaired clock."""
        start_ns, end_ns = self.shown_ns(start_ns), self.shown_ns(end_ns)
        self.failures.add(start_ns, end_ns)
        return start_ns, end_ns

    def shown_ns(self, time_ns: int) -> int:
        """A time of the container on the repaired clock."""
        return self.clock.repaired_ns(NUMBERS[self._packets.kind], time_ns - self._packets.origin_ns)

    def _next_frame(self) -> "_Decoded | None":
        if self._ahead is not None:
            frame, self._ahead = self._ahead, None
            return frame
        return next(self._frames, None)

    def _placed(self, decoded: "_Decoded") -> Shown | None:
        """The frame at its time; None for a picture that was shown before."""
        if isinstance(decoded.frame, av.AudioFrame):
            return self._placed_sound(decoded)
        frame, raw_ns, before_ns = decoded.frame, self._raw_ns(decoded), None
        if raw_ns is not None and self.timeline.is_late(raw_ns):
            following = self._following()
            before_ns = self._raw_ns(following) if following is not None else None
            if self.clock.is_repeat(raw_ns) or (before_ns is not None and self.timeline.catches_up(raw_ns, before_ns)):
                return None
        ticks = frame.duration if decoded.duration is None else decoded.duration
        duration_ns = nanoseconds(ticks, frame.time_base) if ticks and frame.time_base else 0
        time_ns, estimated = self.timeline.place(raw_ns, duration_ns, before_ns)
        size = self._follow_shape(decoded)
        return Shown(
            time_ns,
            self.timeline.end_ns,
            frame,
            self.clock.epoch_at(time_ns),
            estimated or self._has_no_times,
            bool(frame.is_corrupt),
            size,
            self.shapes.size,
            self.shapes.turns,
        )

    def _placed_sound(self, decoded: "_Decoded") -> Shown:
        frame = decoded.frame
        duration_ns = frame.samples * 1_000_000_000 // frame.sample_rate if frame.sample_rate else 0
        time_ns, estimated = self.timeline.place_sound(self._raw_ns(decoded), duration_ns)
        return Shown(time_ns, self.timeline.end_ns, frame, self.clock.epoch_at(time_ns), estimated)

    def _follow_shape(self, decoded: "_Decoded") -> Size:
        size = self.shapes.of(decoded.frame, decoded.aspect)
        following = self._following() if self.shapes.is_other(size) else None
        self.shapes.follow(size, self.shapes.of(following.frame, following.aspect) if following else None)
        return size

    def _following(self) -> "_Decoded | None":
        """The frame after the current one."""
        if self._ahead is None:
            self._ahead = self._next_frame()
        return self._ahead

    def _raw_ns(self, decoded: "_Decoded") -> int | None:
        base = decoded.frame.time_base
        if decoded.ticks is None or not base:
            return None
        return nanoseconds(decoded.ticks, base) - self._packets.origin_ns

    def _decoded(self) -> "Iterator[_Decoded]":
        """All decodable frames, without those shown before a key frame with which decoding began under way.

        An empty packet of a video shows the picture before it once more (part of Theora and of AVI). So does one whose
        picture was left out because nobody uses it.
        """
        last: _Decoded | None = None
        repeats: list[_Repeat] = []
        self._first_ticks = None
        for repeat, frame, aspect in self._raw_frames():
            first_ticks = self._first_ticks if self._from_key else None
            if repeat is not None:
                insort(repeats, repeat, key=TICKS)
            elif first_ticks is None or frame.pts is None or frame.pts >= first_ticks:
                repeats = [each for each in repeats if each.ticks != frame.pts]  # it was not left out after all
                yield from _repeated(last, repeats, frame.pts)
                last = _Decoded(frame, frame.pts, aspect)
                yield last
        yield from _repeated(last, repeats, None)

    def _raw_frames(self) -> "Iterator[tuple[_Repeat | None, Any, Fraction | None]]":
        """Every frame that packets complete, with its pixel aspect. For an empty packet, and at first for one whose
        picture may be left out, there is none, but what is shown once more."""
        context, aspect, base = self._packets.context, None, self.stream.time_base
        for sent in self._sent():
            packet, decoder = sent.packet, sent.decoder
            if self._first_ticks is None:
                self._first_ticks = packet.pts
            if decoder is not context:
                for frame in self._flushed(context, base):
                    yield None, frame, aspect
                context = decoder
            base = packet.time_base
            if self._is_repeat(packet):
                yield _Repeat(packet.pts), None, aspect
                continue
            spares = self._sparing is not None and not self._in_hardware and self._sparing.tell(sent, self._packet_ns)
            try:
                frames = self._decode_key(context, packet) if self._key_frames else self._decode(context, packet)
            except av.error.FFmpegError as error:
                self._lost(packet, error)
                continue
            if packet.is_keyframe and self.stream.type == "video":
                aspect = self.shapes.aspect(context)
            if spares:
                yield _Repeat(packet.pts, packet.duration, sent.before), None, aspect
            for frame in frames:
                if self._sparing is not None:
                    self._sparing.see(frame)
                yield None, frame, aspect
        for frame in self._flushed(context, base):
            yield None, frame, aspect

    def _sent(self) -> Iterator[Sent]:
        """The packets to decode."""
        sent: Iterator[Sent] = (Sent(packet, self._packets.context) for packet in self._packets.restart())
        if self._sparing is not None:
            sent = with_neighbours(sent, self._packet_ns)
        if self._reads_ahead:
            sent = self.ahead = ReadAhead(sent, self._ticks_ns)
        passed = self._passed(sent)
        if not self._key_frames:
            return passed
        usual_s = Fraction(self.timeline.duration_ns, 1_000_000_000)
        return key_packets(passed, usual_s, self._epoch_of, self._warn_of_few)

    def _passed(self, sent: Iterator[Sent]) -> Iterator[Sent]:
        """Packets without those that are passed over."""
        for first in sent:
            if self._has_dropped:
                self._has_dropped = False
                self._begin_with(first)
            if self._pass is None:
                yield first
                continue
            held, left_out = from_last_key(chain([first], sent), self._is_passed)
            self._pass = None
            if left_out:
                self._begin_with(held[0])
            yield from held

    def _begin_with(self, key: Sent) -> None:
        """Decode from a key frame on, after others were left out."""
        self._first_ticks, self._from_key = key.packet.pts, True
        key.decoder.flush_buffers()
        if self._hardware is not None:
            self._hardware.restart()

    def _is_passed(self, packet: Any) -> bool:
        """Whether a packet may be passed over: what is shown then is its picture or a later one."""
        ticks = packet.pts if packet.is_keyframe or packet.dts is None else packet.dts
        if ticks is None or self._pass is None:
            return False
        time_ns = nanoseconds(ticks, packet.time_base) - self._packets.origin_ns
        until_ns, epoch = self._pass
        return self.clock.epoch_at(time_ns) == epoch and time_ns <= until_ns

    def _epoch_of(self, packet: Any) -> int:
        return 0 if packet.pts is None else self.clock.epoch_at(self._packet_ns(packet))

    def _packet_ns(self, packet: Any) -> int:
        return self._ticks_ns(packet.pts, packet.time_base)

    def _ticks_ns(self, ticks: int, base: Fraction) -> int:
        return nanoseconds(ticks, base) - self._packets.origin_ns

    def _warn_of_few(self, packet: Any, lasts_s: float) -> None:
        if not self._has_warned:
            self._has_warned = True
            name, since_s = self._packets.name, self._packet_ns(packet) / 1e9
            logging.getLogger("percept.decode").warning(
                "%s: at %.1f s there is no key frame for %.0f s: its picture stays", name, since_s, lasts_s
            )

    def _decode_key(self, context: Any, packet: Any) -> list[Any]:
        """A key frame by itself: no other is needed for it, and none comes soon that would push it out."""
        frames = [*context.decode(packet), *self._flushed(context, packet.time_base)]
        context.flush_buffers()
        return frames

    @property
    def _in_hardware(self) -> bool:
        return self._hardware is not None and self._hardware.is_on

    def _decode(self, context: Any, packet: Any | None) -> list[Any]:
        return list(context.decode(packet) if self._hardware is None else self._hardware.decode(context, packet))

    def _flushed(self, context: Any, base: Fraction) -> list[Any]:
        """The frames that a decoder still holds. PyAV leaves them without a time base."""
        try:
            frames = self._decode(context, None)
        except av.error.FFmpegError as error:
            self._packets.count(error)
            return []
        for frame in frames:
            frame.time_base = base
        return frames

    def _is_repeat(self, packet: Any) -> bool:
        return bool(packet.size == 0) and self._packets.kind == "video"

    def _lost(self, packet: Any | None, error: Exception) -> None:
        self._packets.count(error)
        if packet is None:
            return
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None:
            start_ns = nanoseconds(ticks, packet.time_base) - self._packets.origin_ns
            duration_ns = nanoseconds(packet.duration, packet.time_base) if packet.duration else 0
            self.failures.add(start_ns, start_ns + (duration_ns or self.timeline.duration_ns))


@dataclass(frozen=True, slots=True)
class _Decoded:
    frame: Any
    ticks: int | None
    """When it is shown."""
    aspect: Fraction | None = None
    """Of its pixels."""
    duration: int | None = None
    """How long it is shown, in ticks; None: as the frame says."""


class _Repeat(NamedTuple):
    """When a picture is shown once more."""

    ticks: int
    duration: int | None = None
    after: Place | None = None
    """Only after this picture, and not last: it stands for a picture that was left out, if that could be decoded."""


TICKS = attrgetter("ticks")


def _repeated(last: _Decoded | None, repeats: list[_Repeat], before: int | None) -> Iterator[_Decoded]:
    """The frame again at those times that are before the next frame, or at all if there is none; they are used up."""
    while repeats and (before is None or repeats[0].ticks < before):
        ticks, duration, after = repeats.pop(0)
        follows = after is None or (before is not None and last is not None and last.ticks == after.ticks)
        if last is not None and follows:
            last = replace(last, ticks=ticks, duration=duration)
            yield last
