"""The playlist of an HLS source: which segments it has, when each is shown, and whether one is there at all."""

import logging
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin, urlsplit

import av

from pipeline.media import END_MARK, LONGEST_PLAYLIST, is_url
from stages.decode.reader import NS
from stages.decode.source import RAW

log = logging.getLogger(__name__)

MAX_ASKED = 24
"""Segments that are asked for at once."""
Timeout = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Segment:
    uri: str
    """A path or URL."""
    start_ns: int
    """After the start of the first segment in the list."""
    end_ns: int
    follows_break: bool
    """The clock may start again with it (EXT-X-DISCONTINUITY)."""

    @property
    def name(self) -> str:
        """The file name, without the parameters of a URL, which may be secret."""
        return PurePosixPath(urlsplit(self.uri).path if is_url(self.uri) else self.uri).name


@dataclass(frozen=True)
class Playlist:
    segments: list[Segment]
    is_recorded: bool
    """It is complete: no segments are added any more."""
    is_rounded: bool
    """Its durations are whole seconds, as in old versions of the format: each is up to half a second wrong."""

    @property
    def end_ns(self) -> int:
        return self.segments[-1].end_ns if self.segments else 0

    @property
    def surely_until_ns(self) -> int:
        """The end, at the least."""
        return self.end_ns - (len(self.segments) * NS // 2 if self.is_rounded else 0)


def parse_playlist(text: str, address: str) -> Playlist:
    """The segments of a media playlist at `address`. A local one is always complete."""
    segments: list[Segment] = []
    durations: list[str] = []
    start_ns, duration_ns, follows_break = 0, 0, False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#EXTINF:"):
            durations.append(line.removeprefix("#EXTINF:").split(",")[0].strip())
            duration_ns = round(float(durations[-1]) * NS)
        elif line.startswith("#EXT-X-DISCONTINUITY") and not line.startswith("#EXT-X-DISCONTINUITY-SEQUENCE"):
            follows_break = True
        elif line and not line.startswith("#"):
            segments.append(Segment(joined(address, line), start_ns, start_ns + duration_ns, follows_break))
            start_ns, duration_ns, follows_break = start_ns + duration_ns, 0, False
    is_rounded = all(float(duration).is_integer() and "." not in duration for duration in durations)
    return Playlist(segments, END_MARK in text or not is_url(address), is_rounded)


def variants(text: str, address: str) -> list[str]:
    """The addresses of the media playlists in a master playlist, in FFmpeg's order; empty for a media playlist."""
    found, is_next = [], False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#EXT-X-STREAM-INF:"):
            is_next = True
        elif line.startswith("#EXT-X-MEDIA:") and 'URI="' in line:
            found.append(joined(address, line.split('URI="')[1].split('"')[0]))
        elif line and not line.startswith("#") and is_next:
            found.append(joined(address, line))
            is_next = False
    return found


def joined(address: str, uri: str) -> str:
    """A URI of a playlist at `address`, complete."""
    if is_url(uri) or is_url(address):
        return urljoin(address, uri)
    return str(Path(address).absolute().parent / uri)


@dataclass
class PlaylistFile:
    """A playlist that can be read again, and its segments looked for."""

    address: str
    timeout_s: Timeout | None
    playlist: Playlist
    _looked: dict[str, bool] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read a live playlist again."""
        if not self.playlist.is_recorded:
            try:
                self.playlist = parse_playlist(read_text(self.address, self.timeout_s), self.address)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                log.debug("the playlist cannot be read again: %s", error)

    def is_missing(self, segment: Segment) -> bool:
        """Whether a segment cannot be had, or is empty; asked once."""
        if segment.uri not in self._looked:
            self._looked[segment.uri] = is_missing(segment.uri, self.timeout_s)
        return self._looked[segment.uri]

    def missing(self, segments: list[Segment]) -> list[Segment]:
        """Those that are missing; none if all are, as then it is us who cannot reach them."""
        found = [segment for segment in segments if self.is_missing(segment)]
        return found if len(found) < len(segments) else []

    def leading_ns(self) -> int:
        """Duration of the segments that are missing at the start of a recorded playlist."""
        if self.playlist.is_recorded:
            for segment in self.playlist.segments[:MAX_ASKED]:
                if not self.is_missing(segment):
                    return segment.start_ns
        return 0


def open_playlist(address: str, number: int, timeout_s: Timeout | None) -> PlaylistFile | None:
    """The playlist that FFmpeg counts as `number` at an address; None if it cannot be read here."""
    try:
        text = read_text(address, timeout_s)
        if addresses := variants(text, address):
            address = addresses[number]
            text = read_text(address, timeout_s)
        return PlaylistFile(address, timeout_s, parse_playlist(text, address))
    except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
        log.debug("the playlist cannot be read: %s", error)
        return None


def read_text(address: str, timeout_s: Timeout | None) -> str:
    """A text file, or a URL, fetched by FFmpeg, which knows its password and its certificates.

    Raises: av.error.FFmpegError, OSError.
    """
    data = bytearray()
    with av.open(address, format="data", options=RAW, timeout=timeout_s if is_url(address) else None) as container:
        for packet in container.demux():
            data += bytes(packet)
            if len(data) > LONGEST_PLAYLIST:
                break
    return data.decode(errors="replace")


def is_missing(address: str, timeout_s: Timeout | None) -> bool:
    """Whether a file or URL is refused, or is empty. A server that does not answer at all is no reason."""
    try:
        with av.open(address, format="data", options=RAW, timeout=timeout_s if is_url(address) else None) as container:
            first = next(container.demux(), None)
            return first is None or first.size == 0
    except (av.error.HTTPClientError, av.error.HTTPServerError, FileNotFoundError, EOFError):
        return True
    except (av.error.FFmpegError, OSError):
        return False
