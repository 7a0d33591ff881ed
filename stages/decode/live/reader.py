"""The reader of a camera: clips for as long as it runs, whatever happens to the connection."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from pipeline.arrays import Array
from pipeline.clip import ClipInfo, DecodedClip, Gap, LiveFacts, SourceInfo
from stages.decode.assembly import ClipMaker
from stages.decode.live.address import address_of
from stages.decode.live.backoff import Backoff
from stages.decode.live.connection import Connection
from stages.decode.live.luma import luma
from stages.decode.live.masks import Mask
from stages.decode.live.measures import Meter
from stages.decode.live.options import LiveOptions
from stages.decode.live.queue import Arrived, ClockSet, Connected, Lost, Shed
from stages.decode.live.ring import PacketRing
from stages.decode.live.session import Session
from stages.decode.live.stillness import Stillness
from stages.decode.live.viewer import Viewer
from stages.decode.live.wall import WallClock
from stages.decode.reader import NS

ReaderOptions = LiveOptions
BEAT_S = 0.1
BEAT_NS = NS // 20
SETTLED_S = 5.0
"""A connection that lasted so long was a good one."""
MOST_LEFT = 4
"""So many threads may hang in FFmpeg; with one more, this process is worth replacing."""
STALLED = "no data came for {:g} s"
Pictures = Sequence[tuple[int, Array]]
"""Times and masked pictures uint8 "H W 3"."""
NAMES = ("frames", "frame_times_ns", "previous_frame", "previous_time_ns", "audio", "audio_start_ns", "audio_mask")


class Stuck(Exception):
    """Too many connections hang where they cannot be ended. A new process is needed."""


class LiveReader(ClipMaker):
    """Reads a camera. Neither `open` nor `clips` fails because it is away."""

    options: LiveOptions

    def __init__(self, source: str, source_index: int, options: LiveOptions) -> None:
        super().__init__(source, source_index, options)
        feed = options.feed
        self.on_opened: Callable[[SourceInfo], None] = lambda info: None
        """Called when the camera answers, with what it offers."""
        self.on_connection: Callable[[str, str, str], None] = lambda state, text, transport: None
        """Called with state, text and transport, as in `pipeline.messages.Connection`, when one of them changes."""
        self._address = address_of(feed)
        self._ring = PacketRing(feed.keep_s, feed.keep_bytes)
        self._viewer = Viewer(options)
        self._meter = Meter(feed.zones)
        self._stillness = Stillness()
        self._backoff = Backoff()
        self._connection: Connection | None = None
        self._left: list[Connection] = []
        self._wait_s = 0.0
        self._is_away = False
        self._told: tuple[str, str, str] = ("", "", "")
        self._live_ns = 0
        self._beat_ns = 0
        self._shed = 0
        self._is_closed = False
        self._index = self._number = 0
        self._end_ns: int | None = None
        """End of the last clip."""

    def open(self) -> SourceInfo:
        self._info = SourceInfo(self.source, self.source_index)
        return self._info

    def close(self) -> None:
        self._is_closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()
            connection.join(0.5)

    def wake(self) -> None:
        """The next clip must be decoded in full, and not be marked as reused."""
        self._stillness.wake()

    def film(self, path: str, from_ns: int, until_ns: int) -> None:
        """Write a film of what the camera sent between two instants of the monotonic clock.

        Raises:
            FilmError: nothing is kept of that time, or it cannot be written.
        """
        self._ring.cut(path, from_ns, until_ns, Mask(self.options.feed.masks))

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap]:
        self._index = self._number = start_index
        self._tell("connecting")
        has_ended = False
        while not (self._is_closed or has_ended):
            connection = self._connect()
            session: Session | None = None
            for item in self._items(connection):
                if isinstance(item, Connected):
                    session = self._begin(item)
                elif isinstance(item, Lost):
                    yield from self._finish(session) if session else ()
                    has_ended = self._lose(item)
                elif session is not None:
                    yield from self._follow(session, item, connection.delay_ns)

    # The connection

    def _connect(self) -> Connection:
        self._left = [each for each in self._left if each.is_alive]
        if len(self._left) > MOST_LEFT:
            raise Stuck(f"{self.source}: {len(self._left)} connections hang and cannot be ended")
        made = Connection(self.source, self._address, self.options, self._ring, self._wait_s, self._is_away)
        self._connection = made
        made.start()
        return made

    def _items(self, connection: Connection) -> Iterator[Arrived | Connected | ClockSet | Shed | Lost | None]:
        """What comes from a connection, up to the loss of it; None if nothing came for a moment."""
        while not self._is_closed:
            for item in connection.queue.take(BEAT_S):
                self._beat()
                yield item
                if isinstance(item, Lost):
                    return
            self._beat()
            if connection.is_stalled():
                connection.abandon()
                self._left.append(connection)
                yield Lost(STALLED.format(connection.limit_s))
                return
            yield None

    def _begin(self, connected: Connected) -> Session:
        session = Session(connected, self.source, self.options, self._viewer.look)
        self._errors_reported = 0
        self._live_ns = time.monotonic_ns()
        tracks = {track.kind: track for track in connected.tracks}
        video, audio = tracks.get("video"), tracks.get("audio")
        self._info = SourceInfo(
            self.source,
            self.source_index,
            width=video.width if video else 0,
            height=video.height if video else 0,
            frame_rate_hz=video.rate_hz if video else 0.0,
            sample_rate_hz=int(audio.rate_hz) if audio else 0,
            has_video=video is not None,
            has_audio=audio is not None,
        )
        self.on_opened(self._info)
        self._tell("live", transport=connected.transport)
        return session

    def _lose(self, lost: Lost) -> bool:
        """Plan the next try. Returns whether there is none."""
        if lost.why == "ended":
            return True
        if self._live_ns and time.monotonic_ns() - self._live_ns > SETTLED_S * NS:
            self._backoff.succeeded()
        self._live_ns = 0
        self._wait_s = self._backoff.next_s(lost.why == "refused")
        self._is_away = lost.why == "unreachable"
        self._tell("refused" if lost.why == "refused" else "lost", lost.text)
        return False

    def _tell(self, state: str, text: str = "", transport: str = "") -> None:
        if (state, text, transport) != self._told:
            self._told = state, text, transport
            self.on_connection(state, text, transport)

    def _beat(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._beat_ns >= BEAT_NS:
            self._beat_ns = now_ns
            self.alive()

    # Clips

    def _follow(
        self, session: Session, item: Arrived | ClockSet | Shed | None, delay_ns: int
    ) -> Iterator[DecodedClip | Gap]:
        """Take an item; give out the clips that are complete."""
        if isinstance(item, Arrived):
            if session.follows_a_hole(item):
                yield from self._finish(session)
            if session.epoch is None and session.may_begin_with(item):
                session.begin(max(item.packet.pts, self._end_ns or 0))
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
            session.begin(max(turn_ns, self._end_ns or 0))

    def _finish(self, session: Session, at_ns: int | None = None) -> Iterator[DecodedClip | Gap]:
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
        self._stillness.reset()
        self._meter.reset()

    def _clip_until(self, session: Session, end_ns: int, is_whole: bool) -> Iterator[DecodedClip | Gap]:
        """The next clip, and before it the gap if it is the first of an epoch after one."""
        epoch, start_ns = session.epoch, session.start_ns
        assert epoch is not None
        if session.tile == 0 and self._end_ns is not None:
            self._number += 1
            if start_ns > self._end_ns:
                yield Gap(self.source, self.source_index, self._number, self._end_ns, start_ns, self._index)
        size = epoch.grid.size if epoch.grid else (0, 0)
        info = self._clip_info(self._number, self._index, start_ns, end_ns, size)
        if session.sound is not None:
            session.sound.forget(self._window(start_ns, end_ns)[0])
        self._viewer.middle_ns = (start_ns + end_ns) // 2
        clip = self._quiet(session, info, is_whole) or self._made(session, info, is_whole)
        is_reused = clip.info.live is not None and clip.info.live.reused
        session.is_eager = not is_reused or self._viewer.is_watched
        session.next_tile(end_ns)
        self._index, self._end_ns = self._index + 1, end_ns
        yield clip

    def _quiet(self, session: Session, info: ClipInfo, is_whole: bool) -> DecodedClip | None:
        """The clip without decoding it, if its key frames and its sound tell that nothing has changed; else None."""
        assert session.epoch is not None
        session.epoch.advance(info.end_ns)
        if session.is_eager or not is_whole or not self.options.feed.reuse:
            return None
        keys, packets = session.key_pictures(info.end_ns), session.packets(info.end_ns)
        sound, rate_hz = session.samples(info.end_ns), self.options.audio_rate_hz
        if not self._stillness.may_reuse(packets, lumas_of(keys), sound, rate_hz):
            return None
        session.skip(info.end_ns)
        self._previous = None
        return self._reused(session, info, keys)

    def _made(self, session: Session, info: ClipInfo, is_whole: bool) -> DecodedClip:
        """The clip, decoded in full. If it turns out that nothing has changed, it comes without its arrays as well."""
        session.decode(self._beat)
        assert session.epoch is not None
        clip = self._clip(session.epoch, session.tile, info, joined=False)
        pictures = list(zip(clip.arrays.get("frame_times_ns", ()), clip.arrays.get("frames", ()), strict=True))
        if self.options.feed.reuse and self._has_not_changed(session, info, pictures) and is_whole:
            return self._reused(session, clip.info, pictures)
        return replace(clip, info=self._with_facts(session, clip.info, pictures, reused=False))

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
        zero_ns, connection = self.options.feed.zero_ns, self._connection
        for time_ns, picture in pictures:
            self._meter.picture(picture, int(time_ns) + zero_ns)
        if (sound := session.samples(info.end_ns)) is not None:
            self._meter.sound(sound, self.options.audio_rate_hz)
        measures = self._meter.close()
        wall = (connection.wall if connection else WallClock()).at(info.start_ns + zero_ns)
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
            measures=measures,
        )
        return msgspec.structs.replace(info, live=live, decode_errors=info.decode_errors + (shed > 0))


def lumas_of(pictures: Pictures) -> list[Array]:
    return [luma(picture) for _, picture in pictures]


def make_live_reader(source: str, source_index: int, options: LiveOptions) -> LiveReader:
    """The reader of a camera. Nothing is opened yet. `source`: its name."""
    return LiveReader(source, source_index, options)
