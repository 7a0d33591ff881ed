"""The reader of a camera: clips for as long as it runs, whatever happens to the connection."""

import time
from collections.abc import Callable, Iterator

from pipeline.clip import DecodedClip, Gap, Missed, SourceInfo
from stages.decode.live.address import address_of
from stages.decode.live.backoff import Backoff
from stages.decode.live.clips import LiveClipMaker
from stages.decode.live.connection import Connection
from stages.decode.live.masks import Mask
from stages.decode.live.options import LiveOptions
from stages.decode.live.queue import Arrived, ClockSet, Connected, Lost, Shed, Track
from stages.decode.live.ring import PacketRing
from stages.decode.live.session import Session
from stages.decode.reader import NS

ReaderOptions = LiveOptions
BEAT_S = 0.1
REST_S = 0.1
"""Packets are taken together, so often. To wake for each one costs a quarter of all work on a camera."""
SETTLED_S = 5.0
"""A connection that lasted so long was a good one."""
SOON_S = 2.0
"""The next try after one that took long: the camera was not troubled by many."""
STALLED = "no data came for {:g} s"


class Stuck(Exception):
    """Too many connections hang where they cannot be ended. A new process is needed."""


class LiveReader(LiveClipMaker):
    """Reads a camera. Neither `open` nor `clips` fails because it is away."""

    most_left = 4
    """So many threads may hang in FFmpeg; with one more, this process is worth replacing."""

    def __init__(self, source: str, source_index: int, options: LiveOptions) -> None:
        super().__init__(source, source_index, options)
        feed = options.feed
        self.on_connection: Callable[[str, str, str], None] = lambda state, text, transport: None
        """Called with state, text and transport, as in `pipeline.messages.Connection`, when one of them changes."""
        self._address = address_of(feed)
        self._ring = PacketRing(feed.keep_s, feed.keep_bytes)
        self._backoff = Backoff()
        self._connection: Connection | None = None
        self._left: list[Connection] = []
        self._wait_s = 0.0
        self._tried_ns = 0
        self._is_away = False
        self._told: tuple[str, str, str] = ("", "", "")
        self._live_ns = 0
        """Since when the camera has been there; 0: it is not."""
        self._was_live = False
        self._is_closed = False

    def open(self) -> SourceInfo:
        self._info = SourceInfo(self.source, self.source_index)
        return self._info

    def close(self) -> None:
        self._is_closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()
            connection.join(0.5)

    def film(self, path: str, from_ns: int, until_ns: int) -> None:
        """Write a film of what the camera sent between two instants of the monotonic clock.

        Raises:
            FilmError: nothing is kept of that time, or it cannot be written.
        """
        self._ring.cut(path, from_ns, until_ns, Mask(self.options.feed.masks))

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap | Missed]:  # type: ignore[override]
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
        if len(self._left) > self.most_left:
            raise Stuck(f"{self.source}: {len(self._left)} connections hang and cannot be ended")
        made = Connection(self.source, self._address, self.options, self._ring, self._wait_s, self._is_away)
        self._connection, self._wall = made, made.wall
        self._tried_ns = time.monotonic_ns() + int(self._wait_s * NS)
        made.start()
        return made

    def _items(self, connection: Connection) -> Iterator[Arrived | Connected | ClockSet | Shed | Lost | None]:
        """What comes from a connection, up to the loss of it; None if nothing came for a moment."""
        while not self._is_closed:
            time.sleep(REST_S)
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
        self._live_ns, self._was_live = time.monotonic_ns(), True
        self._info = info_of(self.source, self.source_index, connected.tracks)
        self.on_opened(self._info)
        self._tell("live", transport=connected.transport)
        return session

    def _lose(self, lost: Lost) -> bool:
        """Plan the next try. Returns whether there is none."""
        if lost.why == "ended":
            return True
        if self._live_ns and time.monotonic_ns() - self._live_ns > SETTLED_S * NS:
            self._backoff.succeeded()
        took_s = (time.monotonic_ns() - self._tried_ns) / NS
        self._live_ns = 0
        is_refused = lost.why == "refused"
        usual_s = self._backoff.next_s(is_refused and not self._was_live)  # a camera that starts may refuse for a while
        self._wait_s = min(usual_s, self._address.longest_wait_s, SOON_S if took_s > SETTLED_S else usual_s)
        self._is_away = lost.why == "unreachable"
        self._tell("refused" if is_refused else "lost", lost.text)
        return False

    def _tell(self, state: str, text: str = "", transport: str = "") -> None:
        if (state, text, transport) != self._told:
            self._told = state, text, transport
            self.on_connection(state, text, transport)


def info_of(source: str, source_index: int, tracks: tuple[Track, ...]) -> SourceInfo:
    """What a camera offers."""
    kinds = {track.kind: track for track in tracks}
    video, audio = kinds.get("video"), kinds.get("audio")
    return SourceInfo(
        source,
        source_index,
        width=video.width if video else 0,
        height=video.height if video else 0,
        frame_rate_hz=video.rate_hz if video else 0.0,
        sample_rate_hz=int(audio.rate_hz) if audio else 0,
        has_video=video is not None,
        has_audio=audio is not None,
    )


def make_live_reader(source: str, source_index: int, options: LiveOptions) -> LiveReader:
    """The reader of a camera. Nothing is opened yet. `source`: its name."""
    return LiveReader(source, source_index, options)
