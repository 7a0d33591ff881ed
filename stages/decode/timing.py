"""Starts the streams of one source with what their packets need to have right times.

Times are those of the container, except in three cases: the stream has none and comes from the network (arrival.py),
only its first packets have none (leading.py), or segments of an HLS playlist are missing (hls.py).
"""

from fractions import Fraction

from pipeline.media import is_url
from stages.decode.arrival import Arrivals, comes_live, has_no_times
from stages.decode.clock import Clock
from stages.decode.container import RUNNING, names_of
from stages.decode.frames import DecodedStream
from stages.decode.hardware import HardwareDecoder
from stages.decode.hls import Losses, LossWatch
from stages.decode.leading import LeadingTimes
from stages.decode.links import Kind, Link, Reopen, demux
from stages.decode.packets import Filter, Packets
from stages.decode.playlist import PlaylistFile, open_playlist
from stages.decode.reader import NS, ReaderOptions
from stages.decode.source import Stream, nanoseconds, origin_ns, shown_name

ESTIMATED = "times are estimated: the pictures have no timestamps"
ARRIVED = "times are estimated: the pictures have no timestamps, and get those of their arrival"


class Timing:
    """The times of one source."""

    def __init__(self, source: str, options: ReaderOptions) -> None:
        self.losses = Losses(shown_name(source))
        self.leading_ns = 0
        """Duration of what is missing at the start."""
        self.declared_end_ns: int | None = None
        """End of a recorded playlist, at the least."""
        self._source = source
        self._options = options
        self._timeout_s = (options.open_timeout_s, options.read_timeout_s)
        self._playlists: dict[int, PlaylistFile | None] = {}
        self._arrivals: Arrivals | None = None
        self._streams: list[DecodedStream] = []
        self._early_ns = 0

    def start(self, link: Link, kind: Kind, clock: Clock, reopen: Reopen) -> DecodedStream:
        """Begin with a stream; its origin is right once all are begun and `settle` was called."""
        container, stream = link.container, link.current[kind]
        filters: list[Filter] = []
        origin, duration_ns = origin_ns(container), frame_duration_ns(stream)
        is_estimated = kind == "video" and has_no_times(container)
        watch = self._watch(link, kind)
        if is_estimated:
            if comes_live(self._source, container) and not is_reordered(stream):
                self._arrivals, origin = Arrivals(), 0
                filters.append(self._arrivals.timed)
        elif RUNNING & names_of(container):
            filters.append(self._leading(link, kind, origin, duration_ns).timed)
        if watch is not None:
            filters.append(watch.watched)
        packets = Packets(link, kind, clock, origin, reopen, shown_name(self._source), filters)
        is_file = kind == "video" and not is_url(self._source)
        is_hard = kind == "video" and self._options.device != "cpu"
        decoded = DecodedStream(
            packets,
            duration_ns,
            has_no_times=is_estimated,
            key_frames=self._options.key_frames and kind == "video",
            spares=is_file,
            reads_ahead=self._options.reuse and is_file and watch is None,
            hardware=HardwareDecoder(self._options, stream, shown_name(self._source)) if is_hard else None,
        )
        if watch is not None:
            watch.decoded = decoded
        self._streams.append(decoded)
        return decoded

    def _leading(self, link: Link, kind: Kind, origin: int, duration_ns: int) -> LeadingTimes:
        stream = link.current[kind]
        step = max(1, int(duration_ns / NS / stream.time_base))
        leading = LeadingTimes(demux(link), stream.index, step, is_reordered(stream))
        if leading.first is not None:
            self._early_ns = max(self._early_ns, origin - nanoseconds(leading.first, stream.time_base))
        return leading

    def settle(self) -> None:
        """Move the origin of all streams to before what has no time, or is missing, at their start."""
        for decoded in self._streams:
            decoded.move_origin(-(self._early_ns + self.leading_ns))
            if self.leading_ns:
                decoded.failures.add(0, self.leading_ns)

    def close(self) -> None:
        """Nothing is decoded any more."""
        while self._streams:
            self._streams.pop().close()

    def note(self) -> str:
        """For a source whose first picture has an estimated time."""
        return ESTIMATED if self._arrivals is None or self._arrivals.is_recording else ARRIVED

    def _watch(self, link: Link, kind: Kind) -> LossWatch | None:
        if "hls" not in names_of(link.container):
            return None
        file = self._playlist(link.current[kind].id)
        if file is None or not file.playlist.segments:
            return None
        return LossWatch(link, kind, file, self.losses)

    def _playlist(self, number: int) -> PlaylistFile | None:
        """The playlist that a stream comes from."""
        if number not in self._playlists:
            file = self._playlists[number] = open_playlist(self._source, number, self._timeout_s)
            if file is not None and file.playlist.is_recorded:
                self._look_at(file)
        return self._playlists[number]

    def _look_at(self, file: PlaylistFile) -> None:
        """Find what is missing at the start, and when the playlist ends."""
        leading_ns, end_ns = file.leading_ns(), file.playlist.surely_until_ns
        self.declared_end_ns = max(self.declared_end_ns or 0, end_ns)
        if leading_ns:
            missing = [segment for segment in file.playlist.segments if segment.end_ns <= leading_ns]
            self.losses.add(0, leading_ns, missing)
        self.leading_ns = max(self.leading_ns, leading_ns)


def is_reordered(stream: Stream) -> bool:
    """Whether pictures are not shown in the order in which they are decoded."""
    return stream.type == "video" and bool(stream.codec_context.has_b_frames)


def frame_duration_ns(stream: Stream) -> int:
    """Duration of a frame without its own: from the stream's rate if that is plausible, else 1/25 s."""
    for rate in (stream.guessed_rate, stream.average_rate) if stream.type == "video" else ():
        if rate and Fraction(1, 60) <= rate <= 240:
            return int(NS / rate)
    return NS // 25
