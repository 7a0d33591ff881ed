"""The pictures and the sound of one connection, decoded in the order in which the packets came."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import av

from pipeline.arrays import Array
from stages.decode.canvas import Canvas
from stages.decode.frames import Shown
from stages.decode.grid import Pictures
from stages.decode.key_frames import Keys
from stages.decode.live.queue import Arrived, Track
from stages.decode.reader import NS
from stages.decode.shape import Shapes
from stages.decode.source import nanoseconds
from stages.decode.tiling import spread_indices
from stages.decode.timeline import Failures, Timeline

USUAL_RATE_HZ = 25.0
MOST_SKIPPED = 1000
"""Some cameras send no key frames: their pictures become whole bit by bit."""
SOUND_NS = NS // 50
"""Length of a piece of sound that does not tell its own."""


class Decoding:
    """A decoder, and the frames that it gave and nobody has taken yet."""

    def __init__(self, context: Any, duration_ns: int) -> None:
        self.context = context
        self.failures = Failures()
        self.errors = 0
        self.timeline = Timeline(duration_ns)
        self._frames: deque[Shown] = deque()

    def peek(self) -> Shown | None:
        """The next frame, which stays the next one; None if none is there yet."""
        return self._frames[0] if self._frames else None

    def pop(self) -> Shown:
        return self._frames.popleft()

    def decoded(self, item: Arrived) -> list[Any]:
        """The frames that a packet completes. A failure is counted."""
        try:
            return list(self.context.decode(item.packet))
        except av.error.FFmpegError:
            self.errors += 1
            start_ns = item.packet.pts
            self.failures.add(start_ns, start_ns + (item.packet.duration or self.timeline.duration_ns))
            return []


class SoundStream(Decoding):
    """Sound, decoded as it comes: what a `SoundTrack` reads."""

    ends = False
    """Without a next frame, more may come."""
    broken_off = ""

    def __init__(self, track: Track) -> None:
        super().__init__(track.context, SOUND_NS)

    def add(self, item: Arrived) -> None:
        for frame in self.decoded(item):
            duration_ns = frame.samples * NS // frame.sample_rate if frame.sample_rate else 0
            time_ns, estimated = self.timeline.place_sound(time_of(frame), duration_ns)
            self._frames.append(Shown(time_ns, self.timeline.end_ns, frame, 0, estimated))


class VideoStream(Decoding):
    """Pictures. Packets are held until `decode`, so that those of a still scene need not be decoded at all."""

    def __init__(self, track: Track) -> None:
        super().__init__(track.context, round(NS / (track.rate_hz or USUAL_RATE_HZ)))
        self.shapes = Shapes(track)
        self._held: list[Arrived] = []
        self._keys = Keys(track.context)
        self._aspect: Any = None
        self._must_restart = False
        self._skipped: int | None = 0
        """Packets before the first key frame; None: it has come."""

    def add(self, item: Arrived) -> None:
        """Take a packet. Those before the first key frame cannot be decoded."""
        if self._skipped is not None:
            if not item.starts and self._skipped < MOST_SKIPPED:
                self._skipped += 1
                return
            self._skipped = None
        self._held.append(item)

    def decode(self, after: Callable[[], None]) -> None:
        """Decode what is held. `after` is called after each packet, and should take the frames: they are large."""
        held, self._held = self._held, []
        if held and self._must_restart:
            self.context.flush_buffers()
            self._must_restart = False
        for item in held:
            for frame in self.decoded(item):
                if item.packet.is_keyframe:
                    self._aspect = self.shapes.aspect(self.context)
                self._frames.append(self._placed(frame))
            after()

    def restart(self) -> None:
        """Go on with the next key frame, after packets were lost."""
        self._must_restart, self._skipped = True, 0

    def key_pictures(self, from_ns: int, until_ns: int, most: int) -> Iterator[Shown]:
        """The key frames among what is held, of a stretch of time; at most so many, evenly spread. They stay held."""
        keys = [item.packet for item in self._held if item.packet.is_keyframe and from_ns <= item.packet.pts < until_ns]
        for place in spread_indices(len(keys), most):
            for frame in self._keys.decoded(keys[place]):
                size, time_ns = self.shapes.of(frame, self._aspect), keys[place].pts
                canvas = self.shapes.size if all(self.shapes.size) else size  # nothing may have been decoded before
                yield Shown(time_ns, time_ns, frame, size=size, canvas=canvas)

    def skip(self, until_ns: int) -> None:
        """Throw away what is held before the last key frame that is decoded before a time."""
        keys = [place for place, item in enumerate(self._held) if item.packet.is_keyframe and item.decode_ns < until_ns]
        if keys:
            del self._held[: keys[-1]]
            self._frames.clear()
            self._must_restart = True

    def _placed(self, frame: Any) -> Shown:
        duration_ns = nanoseconds(frame.duration, frame.time_base) if frame.duration and frame.time_base else 0
        time_ns, estimated = self.timeline.place(time_of(frame), duration_ns)
        size = self.shapes.of(frame, self._aspect)
        self.shapes.follow(size, size)
        return Shown(
            time_ns,
            self.timeline.end_ns,
            frame,
            0,
            estimated,
            bool(frame.is_corrupt),
            size,
            self.shapes.size,
            self.shapes.turns,
        )


class LivePictures(Pictures):
    """Pictures of a connection for the grid."""

    def __init__(self, stream: VideoStream, canvas: Canvas, look: Callable[[Shown, Array], Array]) -> None:
        """`look` is given every picture that is converted, and returns what others may see of it."""
        super().__init__(stream.failures)
        self.stream = stream
        self._canvas = canvas
        self._look = look
        self._conversion_errors = 0

    @property
    def errors(self) -> int:  # type: ignore[override]
        return self.stream.errors + self._conversion_errors

    def peek(self) -> Shown | None:
        return self.stream.peek()

    def pop(self) -> Shown:
        return self.stream.pop()

    def convert(self, shown: Shown) -> Array | None:
        try:
            return self._look(shown, self._canvas.convert(shown))
        except (av.error.FFmpegError, ValueError, MemoryError):
            self._conversion_errors += 1
            return None

    def whole_until_ns(self, time_ns: int) -> int:
        return -1

    def skip_to(self, time_ns: int) -> None:
        """Nothing can be skipped."""


def time_of(frame: Any) -> int | None:
    if frame.pts is None or not frame.time_base:
        return None
    return nanoseconds(frame.pts, frame.time_base)
