"""One connection to a camera, or one try: a thread that opens it, reads it once, and waits for nobody who decodes."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Literal

import av
from av.container import InputContainer

from pipeline.errors import SourceError
from pipeline.media import open_media
from stages.decode.arrival import has_no_times
from stages.decode.links import Kind
from stages.decode.live.address import Address
from stages.decode.live.options import LiveOptions
from stages.decode.live.pace import paced
from stages.decode.live.queue import Connected, Lost, PacketQueue, Track
from stages.decode.live.ring import PacketRing
from stages.decode.live.stamps import Stamps
from stages.decode.live.wall import WallClock
from stages.decode.source import check_pixels, choose_streams, is_unreachable

NS = 1_000_000_000
MOST_CLIPS = 4
"""Packets of more clips than these are not kept for whoever decodes too slowly."""
MOST_CLIPS_OF_ALL = 60
"""The same for a camera of which no clip may be left out."""
LONGEST_OPEN_S = 10.0
SLACK = 1.5
"""FFmpeg's own timeout is longer. When it comes, RTSP gives out half a picture, as if the camera were there."""
KNOCK_S = 1.5
"""While a connection waits for its turn, it looks so often whether the camera is back."""
KNOCK_TIMEOUT_S = 2.0
AWAY = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}
"""Nothing listens; when something does, the camera is back."""
NO_TRANSPORT = 93
"""FFmpeg's errno of a server that does not offer the transport: EPROTONOSUPPORT."""


class Connection:
    """Reads a camera into its queue until it is lost, which is the last item; or until it is abandoned.

    The thread cannot be interrupted in a native call that hangs. It is then left behind, and ends by itself if the call
    ever returns.
    """

    def __init__(
        self, name: str, address: Address, options: LiveOptions, ring: PacketRing, wait_s: float, is_away: bool
    ) -> None:
        """`wait_s`: before it is opened, if the camera does not come back earlier. `is_away`: nothing listens there."""
        most_clips = MOST_CLIPS_OF_ALL if options.feed.every else MOST_CLIPS
        self.queue = PacketQueue(most_clips * options.clip_ns / NS)
        self.wall = WallClock()
        self._name = name
        self._address = address
        self._options = options
        self._ring = ring
        self._wait_s = wait_s
        self._is_away = is_away
        self._stop = threading.Event()
        self._stamps: Stamps | None = None
        self._since_ns = time.monotonic_ns() + int(wait_s * NS)
        self._open_s = min(options.open_timeout_s, LONGEST_OPEN_S)
        self._stall_s = options.feed.stall_s * address.patience
        self.limit_s = self._open_s * len(address.transports) + 1.0
        """Without anything for so long, it is stalled."""
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def abandon(self) -> None:
        """End it with the next packet, or with FFmpeg's own timeout."""
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def delay_ns(self) -> int:
        """How late packets may come."""
        return self._stamps.delay_ns if self._stamps is not None else 0

    def is_stalled(self) -> bool:
        """Whether nothing has come for too long."""
        return time.monotonic_ns() - self._since_ns > self.limit_s * NS

    # The thread

    def _run(self) -> None:
        try:
            lost = self._waited() or self._read()
        except SourceError as error:
            lost = Lost(str(error), "refused")
        except Exception as error:  # whatever it is, it must not end without a word
            lost = Lost(*explained(error))
        self.queue.put(Lost(self._address.without_secrets(lost.text), lost.why))

    def _waited(self) -> Lost | None:
        """Wait until it is time to open the camera, or until it listens again."""
        until_s = time.monotonic() + self._wait_s
        while (left_s := until_s - time.monotonic()) > 0:
            if self._stop.wait(min(left_s, KNOCK_S)):
                return Lost("closed", "ended")
            if self._address.endpoint is None:
                continue
            is_there = accepts(self._address.endpoint)
            if is_there and self._is_away:
                break
            self._is_away = not is_there
        self._since_ns = time.monotonic_ns()
        return None

    def _read(self) -> Lost:
        container, transport = self._opened()
        with container:
            return Lost("closed", "ended") if self._stop.is_set() else self._followed(container, transport)

    def _followed(self, container: InputContainer, transport: str) -> Lost:
        """Read the streams to their end."""
        streams = self._streams(container)
        wall, zero_ns = self.wall, self._options.feed.zero_ns
        stamps = self._stamps = Stamps(zero_ns, has_no_times(container), wall, self._ring.add)
        self._ring.open(list(streams.values()))
        self.queue.put(Connected(tuple(track_of(kind, stream) for kind, stream in streams.items()), transport))
        kinds: dict[int, Kind] = {stream.index: kind for kind, stream in streams.items()}
        self._since_ns, self.limit_s = time.monotonic_ns(), self._stall_s
        try:
            for packet, arrival_ns in self._packets(container, list(streams.values())):
                if self._stop.is_set():
                    return Lost("closed", "ended")
                self._since_ns = arrival_ns
                for item in stamps.take(kinds[packet.stream_index], packet, arrival_ns):
                    self.queue.put(item)
        finally:
            for item in stamps.release():
                self.queue.put(item)
        if self._address.kind == "file":
            return Lost("the file has ended", "ended")
        return Lost("the camera has ended the stream")

    def _packets(self, container: InputContainer, streams: list[Any]) -> Iterator[tuple[Any, int]]:
        if self._address.kind == "file":
            again = (lambda: open_media(self._address.url)) if self._options.feed.loop else None
            yield from paced(container, streams, again, self._stop)
            return
        for packet in container.demux(streams):
            if packet.size or self._stop.is_set():
                yield packet, time.monotonic_ns()

    def _opened(self) -> tuple[InputContainer, str]:
        """The open container, and the transport that the camera offers."""
        address = self._address
        if address.kind == "file":
            return open_media(address.url), ""
        for transport in address.transports:
            options = address.options | ({"rtsp_transport": transport} if transport else {})
            timeout_s = self._open_s, SLACK * self._stall_s
            try:
                return av.open(
                    address.url, format=address.format, options=options, metadata_errors="ignore", timeout=timeout_s
                ), transport
            except OSError as error:
                if transport == address.transports[-1] or error.errno != NO_TRANSPORT:
                    raise
        raise AssertionError("no transport")

    def _streams(self, container: InputContainer) -> dict[Kind, Any]:
        chosen = choose_streams(container, self._name, self._options)
        found: dict[Kind, Any] = {}
        if chosen.video is not None:
            check_pixels(chosen.video.width, chosen.video.height, self._options, self._name)
            context = chosen.video.codec_context
            context.thread_type = "NONE" if self._options.threads == 1 else "AUTO"
            context.thread_count = self._options.threads
            context.options = {"max_pixels": str(self._options.max_pixels)}
            found["video"] = chosen.video
        if chosen.audio is not None:
            found["audio"] = chosen.audio
        return found


def track_of(kind: Kind, stream: Any) -> Track:
    context = stream.codec_context
    if kind == "audio":
        return Track(kind, context, rate_hz=float(context.sample_rate or 0))
    rate = stream.average_rate or stream.guessed_rate
    aspect = stream.sample_aspect_ratio
    return Track(kind, context, context.width, context.height, aspect, float(rate or 0))


def accepts(endpoint: tuple[str, int]) -> bool:
    """Whether something listens there."""
    try:
        with socket.create_connection(endpoint, KNOCK_TIMEOUT_S):
            return True
    except OSError:
        return False


Why = Literal["lost", "refused", "unreachable", "ended"]


def explained(error: Exception) -> tuple[str, Why]:
    """What a failure means. FFmpeg's text is taken without the address, which may hold a password."""
    if isinstance(error, av.error.HTTPUnauthorizedError):
        return "the camera refuses the user or the password (401)", "refused"
    if isinstance(error, av.error.HTTPForbiddenError):
        return "the camera refuses this user (403)", "refused"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "the camera has no stream under this path (404)", "refused"
    if isinstance(error, av.error.ProtocolNotFoundError):
        return "this kind of address is not supported by FFmpeg as it is installed", "refused"
    if isinstance(error, av.error.InvalidDataError):
        return "what came is no picture and no sound, or nothing came in time", "lost"
    if isinstance(error, av.error.ExitError | av.error.TimeoutError):
        return "no data came for too long", "unreachable"
    if getattr(error, "errno", None) in AWAY:
        return f"cannot be reached ({words(error)})", "unreachable"
    if is_unreachable(error):
        return f"cannot be reached ({words(error)}): check its name and the network", "lost"
    return words(error), "lost"


def words(error: Exception) -> str:
    """The text of an error without what it was about."""
    if isinstance(error, OSError | av.error.FFmpegError):
        return str(getattr(error, "strerror", None) or type(error).__name__)
    return type(error).__name__
