"""Makes the clips of a camera out of what its connections bring."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from pipeline.arrays import Array
from pipeline.clip import ClipInfo, DecodedClip, Gap, LiveFacts, Missed, SourceInfo
from stages.decode.assembly import ClipMaker
from stages.decode.live.luma import luma
from stages.decode.live.measures import Meter
from stages.decode.live.options import LiveOptions
from stages.decode.live.queue import Arrived, ClockSet, Shed
from stages.decode.live.session import Session
from stages.decode.live.stillness import Stillness
from stages.decode.live.viewer import Viewer
from stages.decode.live.wall import WallClock
from stages.decode.reader import NS

BEAT_NS = NS // 20
LATE_NS = NS
"""A clip whose packets waited longer here is not decoded: the machine is overloaded, and newer ones wait behind it."""
LATE = "late"
Pictures = Sequence[tuple[int, Array]]
"""Times and masked pictures uint8 "H W 3"."""
NAMES = ("frames", "frame_times_ns", "previous_frame", "previous_time_ns", "audio", "audio_start_ns", "audio_mask")


class LiveClipMaker(ClipMaker):
    """Turns packets into clips. Indices and times count on over connections; each begins an epoch."""

    options: LiveOptions

    def __init__(self, source: str, source_index: int, options: LiveOptions) -> None:
        super().__init__(source, source_index, options)
        self.on_opened: Callable[[SourceInfo], None] = lambda info: None
        """Called when the camera answers, with what it offers, and when its pictures turn out to have another size."""
        self._viewer = Viewer(options)
        self._meter = Meter(options.feed.zones)
        self._stillness = Stillness()
        self._wall = WallClock()
        """Of the connection."""
        self._beat_ns = 0
        self._lag_ns = 0
        """How long the newest packet has waited here."""
        self._shed = 0
        """Packets that were thrown away since the last clip."""
        self._still_ns = 0
        """Length of the clips since the last one that was decoded in full."""
        self._index = self._number = 0
        """Of the next clip, and of the epoch."""
        self._end_ns: int | None = None
        """End of the last clip."""

    def wake(self) -> None:
        """The next clip must be decoded in full, and not be marked as reused."""
        self._stillness.wake()

    def _beat(self) -> None:
        """Call `alive`, but not for every packet."""
        now_ns = time.monotonic_ns()
        if now_ns - self._beat_ns >= BEAT_NS:
            self._beat_ns = now_ns
            self.alive()

    def _follow(
        self, session: Session, item: Arrived | ClockSet | Shed | None, delay_ns: int
    ) -> Iterator[DecodedClip | Gap | Missed]:
        """Take an item; give out the clips that are complete."""
        if isinstance(item, Arrived):
            self._lag_ns = time.monotonic_ns() - item.arrival_ns
            if self._is_late:
                session.is_eager = False
            if session.follows_a_hole(item):
                yield from self._finish(session)
            if session.epoch is None and session.may_begin_with(item):
                self._begin_epoch(session, item.packet.pts)
            if session.epoch is not None:
                session.add(item, self._beat)
        elif item is not None:
            yield from self._finish(session)
            if isinstance(item, Shed):
                self._shed += item.count
                session.drop()
        if session.epoch is None:
            return
        now_ns = time.monotonic_ns() - self.options.feed.zero_ns
        while session.turn_ns is None and session.is_complete(now_ns, delay_ns):
            yield from self._clip_until(session, session.end_ns, is_whole=True)
        if (turn_ns := session.turn_ns) is not None:
            yield from self._finish(session, turn_ns)
            self._begin_epoch(session, turn_ns)

    @property
    def _is_late(self) -> bool:
        return self._lag_ns > LATE_NS and not self.options.feed.every

    def _begin_epoch(self, session: Session, at_ns: int) -> None:
        session.begin(max(at_ns, self._end_ns or 0))
        self._viewer.middle_ns = (session.start_ns + session.end_ns) // 2

    def _finish(self, session: Session, at_ns: int | None = None) -> Iterator[DecodedClip | Gap | Missed]:
        """End the epoch, with a last, shorter clip if enough of it has come."""
        if session.epoch is not None:
            session.decode(self._beat)
            covered_ns = session.covered_ns if at_ns is None else at_ns
            while session.end_ns <= covered_ns:
                yield from self._clip_until(session, session.end_ns, is_whole=True)
            if covered_ns - session.start_ns >= self.options.tail_ns:
                yield from self._clip_until(session, covered_ns, is_whole=False)
        session.epoch = None
        session.is_eager = True
        self._previous = None
        self._still_ns = 0
        self._stillness.reset()
        self._meter.reset()

    def _clip_until(self, session: Session, end_ns: int, is_whole: bool) -> Iterator[DecodedClip | Gap | Missed]:
        """The next clip, and before it the gap if it is the first of an epoch after one."""
        epoch, start_ns = session.epoch, session.start_ns
        assert epoch is not None
        if session.tile == 0 and self._end_ns is not None:
            self._number += 1
            if start_ns > self._end_ns:
                wall = self._wall.at(self._end_ns + self.options.feed.zero_ns)
                place = self._end_ns, start_ns, self._index
                yield Gap(self.source, self.source_index, self._number, *place, wall.time_ns)
        size = epoch.grid.size if epoch.grid else (0, 0)
        info = self._clip_info(self._number, self._index, start_ns, end_ns, size)
        if session.sound is not None:
            session.sound.forget(self._window(start_ns, end_ns)[0])
        clip: DecodedClip | Missed
        if self._is_late and is_whole:
            clip = self._left_out(session, info)
        else:
            clip = self._quiet(session, info, is_whole) or self._made(session, info, is_whole)
        self._learn_size(epoch.grid.size if epoch.grid else (0, 0))
        is_reused = clip.info.live is not None and clip.info.live.reused
        session.is_eager = not (is_reused and self._stillness.keys_may_tell) or self._viewer.is_watched
        session.next_tile(end_ns)
        self._viewer.middle_ns = (session.start_ns + session.end_ns) // 2
        self._index, self._end_ns = self._index + 1, end_ns
        yield clip

    def _learn_size(self, size: tuple[int, int]) -> None:
        """The camera may have answered before its first picture came, or change its pictures."""
        if self._info is not None and all(size) and size != (self._info.width, self._info.height):
            self._info = msgspec.structs.replace(self._info, width=size[0], height=size[1])
            self.on_opened(self._info)

    def _quiet(self, session: Session, info: ClipInfo, is_whole: bool) -> DecodedClip | None:
        """The clip without decoding it, if its key frames and its sound tell that nothing has changed; else None."""
        assert session.epoch is not None
        session.epoch.advance(info.end_ns)
        if session.is_eager or not is_whole or not self.options.feed.reuse:
            return None
        keys, packets = session.key_pictures(info.end_ns, self._beat), session.packets(info.end_ns)
        sound, rate_hz = session.samples(info.end_ns), self.options.audio_rate_hz
        if not self._stillness.may_reuse(packets, lumas_of(keys), sound, rate_hz):
            return None
        session.skip(info.end_ns)
        self._previous = None
        return self._reused(session, info, keys)

    def _left_out(self, session: Session, info: ClipInfo) -> Missed:
        """The clip without its media, and without the work of decoding them."""
        assert session.epoch is not None
        session.epoch.advance(info.end_ns)
        session.skip(info.end_ns)
        self._previous = None
        return Missed(self._with_facts(session, info, (), reused=False), LATE)

    def _made(self, session: Session, info: ClipInfo, is_whole: bool) -> DecodedClip:
        """The clip, decoded in full. If it turns out that nothing has changed, it comes without its arrays as well."""
        session.decode(self._beat)
        assert session.epoch is not None
        clip = self._clip(session.epoch, session.tile, info, joined=False)
        pictures = list(zip(clip.arrays.get("frame_times_ns", ()), clip.arrays.get("frames", ()), strict=True))
        if self.options.feed.reuse and self._has_not_changed(session, info, pictures) and is_whole:
            return self._reused(session, clip.info, pictures)
        made = replace(clip, info=self._with_facts(session, clip.info, pictures, reused=False))
        self._still_ns = 0
        return made

    def _has_not_changed(self, session: Session, info: ClipInfo, pictures: Pictures) -> bool:
        """Whether a decoded clip is like those before."""
        sound, rate_hz = session.samples(info.end_ns), self.options.audio_rate_hz
        return self._stillness.decoded(lumas_of(pictures), sound, rate_hz, session.packets(info.end_ns))

    def _reused(self, session: Session, info: ClipInfo, pictures: Pictures) -> DecodedClip:
        return DecodedClip(
            self._with_facts(session, info, pictures, reused=True), {}, dict.fromkeys(NAMES, "not_asked")
        )

    def _with_facts(self, session: Session, info: ClipInfo, pictures: Pictures, reused: bool) -> ClipInfo:
        """What is known of the clip beyond its media; its still is written."""
        zero_ns = self.options.feed.zero_ns
        for time_ns, picture in pictures:
            self._meter.picture(picture, int(time_ns) + zero_ns)
        if (sound := session.samples(info.end_ns)) is not None:
            self._meter.sound(sound, self.options.audio_rate_hz)
        measures = self._meter.close()
        wall = self._wall.at(info.start_ns + zero_ns)
        if wall.offset_s is not None:
            measures["clock_offset_s"] = round(wall.offset_s, 4)
        shed, self._shed = self._shed, 0
        if shed:
            measures["shed_packets"] = float(shed)
        self._viewer.end_clip(info.index, pictures[len(pictures) // 2][1] if pictures else None)
        live = LiveFacts(
            wall_ns=wall.time_ns,
            clock=wall.clock,
            captured_ns=session.captured_ns(info.end_ns) + zero_ns,
            reused=reused,
            still_ns=self._still_ns,
            measures=measures,
        )
        if reused:
            self._still_ns += info.end_ns - info.start_ns
        return msgspec.structs.replace(info, live=live, decode_errors=info.decode_errors + (shed > 0))


def lumas_of(pictures: Pictures) -> list[Array]:
    return [luma(picture) for _, picture in pictures]
