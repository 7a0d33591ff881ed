"""Opens a container, chooses the streams to read, and describes what is wrong with it in plain words."""

import difflib
import errno
import logging
import os
import re
import shlex
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import av
from av.container import InputContainer

from pipeline.errors import SourceError
from pipeline.media import is_url, open_media
from stages.decode.programme import sounds_beside
from stages.decode.reader import NS, ReaderOptions

log = logging.getLogger(__name__)

TEXT_CODECS = {"ansi", "bintext", "xbin", "idf"}
"""Codecs with which FFmpeg draws any text file as a video of a terminal."""

RAW = {"probesize": "32", "analyzeduration": "0"}
"""Options with which FFmpeg's demuxer of raw data reads no more than it gives out."""
HTML = re.compile(
    rb"(\xef\xbb\xbf)?(?>\s|<\?xml[^>]*>|<!--.*?-->)*+<(!doctype\s+html|html|head)\b", re.IGNORECASE | re.DOTALL
)
WEB_PAGE = "is a web page, not a video. Download the video first, for instance with:"
UNREACHABLE = {errno.EIO, errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}
"""Errors of a connection; FFmpeg says EIO of a name that cannot be resolved."""
MOST_NAMES = 10_000
"""Names of a folder among which one like a wrong name is looked for."""

Stream = Any


def shown_name(source: str) -> str:
    """The source as shown in messages: without the user name and password of a URL."""
    if not is_url(source):
        return source
    parts = urlsplit(source)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"***@{host}" if "@" in parts.netloc else host))


def open_container(source: str, options: ReaderOptions, position: int = 0) -> InputContainer:
    """Open a file or URL, or what a file holds after its first `position` bytes.

    Raises:
        SourceError: with the probable cause.
    """
    name = shown_name(source)
    if not is_url(source):
        check_file(source)
    timeout_s = (options.open_timeout_s, options.read_timeout_s) if is_url(source) else None
    try:
        container = open_media(source, timeout_s, position)
    except av.error.FFmpegError as error:
        if isinstance(error, av.error.InvalidDataError) and is_web_page(source, timeout_s):
            raise SourceError(f"{name}: {WEB_PAGE} yt-dlp {shlex.quote(name)}") from error
        if is_url(source) and is_unreachable(error):
            raise SourceError(
                f"{name}: cannot be reached ({reason(error)}): the server did not answer, or its name could not be "
                "resolved. Check the address and the network."
            ) from error
        raise SourceError(f"{name}: {reason(error)}. Is it a video or sound file, and complete?") from error
    except (ValueError, OSError) as error:
        raise SourceError(f"{name}: cannot be opened: {error}") from error
    if len(container.streams) > options.max_streams:
        count = len(container.streams)
        container.close()
        raise SourceError(f"{name}: {count} streams, more than the limit of {options.max_streams}")
    return container


def is_unreachable(error: Exception) -> bool:
    """Whether a connection could not be opened; PyAV says of a timeout that FFmpeg was told to exit."""
    return isinstance(error, av.error.ExitError) or getattr(error, "errno", None) in UNREACHABLE


def is_web_page(source: str, timeout_s: tuple[float, float] | None) -> bool:
    """Whether a web server sends a page. It is asked once more, for the beginning."""
    if not source.lower().startswith(("http://", "https://")):
        return False
    try:
        with av.open(source, format="data", options=RAW, timeout=timeout_s) as container:
            packet = next(container.demux(), None)
            return packet is not None and HTML.match(bytes(packet)) is not None
    except (av.error.FFmpegError, OSError):
        return False


def check_file(source: str) -> None:
    """Report a missing or empty file, a directory or a pipe in plainer words than FFmpeg's.

    Raises:
        SourceError: it is one of these.
    """
    path = Path(source)
    if not path.exists():
        raise SourceError(f"{source}: no such file. {where_to_look(path)}")
    if path.is_fifo():
        raise SourceError(
            f"{source}: is a named pipe; pictures and sound are read separately. Write it to a file first."
        )
    if path.is_dir():
        raise SourceError(f"{source}: is a directory; expected a file. Give the files in it: {source}/*")
    if path.is_file() and path.stat().st_size == 0:
        raise SourceError(f"{source}: the file is empty (0 bytes)")


def where_to_look(path: Path) -> str:
    """What to do about a name that does not exist."""
    folder = path.parent.absolute()
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, MOST_NAMES)]
    except OSError:
        return f"There is no folder {folder}: check the name."
    if close := difflib.get_close_matches(path.name, names, n=1):
        return f"Did you mean {str(path.parent / close[0])!r}?"
    if path.is_absolute():
        return "Check the name."
    return f"Relative names are looked for in this folder: {Path.cwd()}"


def check_pixels(width: int, height: int, options: ReaderOptions, name: str) -> None:
    """Raises: SourceError: more pixels than the limit."""
    if width * height > options.max_pixels:
        raise SourceError(
            f"{name}: {width}x{height} pixels, more than the limit of {options.max_pixels}. "
            f"To read it nevertheless: --set decode.max_pixels={width * height}"
        )


def reason(error: Exception) -> str:
    """FFmpeg's error text, without error number and file name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def is_decodable(stream: Stream) -> bool:
    return stream.codec_context is not None and stream.codec_context.codec is not None


def is_media(stream: Stream) -> bool:
    return stream.type in ("video", "audio")


def is_cover(stream: Stream) -> bool:
    """Whether it is a still picture that belongs to a sound file."""
    covers = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    return bool(stream.disposition & covers)


def kind_of(stream: Stream) -> str:
    """A stream's type in plain words."""
    if stream.type == "video" and is_cover(stream):
        return "cover picture"
    return "drawing of text" if is_drawn_text(stream) else str(stream.type)


def is_drawn_text(stream: Stream) -> bool:
    return is_decodable(stream) and stream.codec_context.name in TEXT_CODECS


def found(container: InputContainer) -> str:
    """The streams by kind, such as "1 video, 2 audio"."""
    counts = Counter(kind_of(stream) for stream in container.streams)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing"


def video_stream(container: InputContainer) -> Stream | None:
    """The default video stream, else the largest; no cover pictures, no drawings of text.

    In a HEIF file, a film is preferred to the picture that stands for it.
    """
    streams: list[Stream] = [
        stream
        for stream in container.streams.video
        if is_decodable(stream) and not is_cover(stream) and not is_drawn_text(stream)
    ]

    def rank(stream: Stream) -> tuple[bool, int, bool]:
        is_item = stream.frames == 1 and stream.duration is None
        return bool(stream.disposition & av.stream.Disposition.default), stream.width * stream.height, not is_item

    return max(streams, key=rank, default=None)


def audio_stream(container: InputContainer, options: ReaderOptions, name: str) -> Stream | None:
    """The chosen sound track: by number, by language, or the container's default that goes with the pictures.

    Raises:
        SourceError: the requested track does not exist.
    """
    streams: list[Stream] = list(container.streams.audio)
    if track := options.audio_track:
        number = int(track) if track.isdigit() else -1
        for place, stream in enumerate(streams):
            if place == number or (number < 0 and stream.language == track):
                return stream if is_decodable(stream) else None
        have = ", ".join(f"{place} ({stream.language or 'und'})" for place, stream in enumerate(streams)) or "none"
        raise SourceError(f"{name}: no sound track {track!r}; expected one of: {have}")
    tracks = audio_tracks(container, options)
    bests = container.streams.best("audio"), container.streams.best("audio", related=video_stream(container))
    return next((best for best in bests if best in tracks), next(iter(tracks), None))


def audio_tracks(container: InputContainer, options: ReaderOptions) -> list[Stream]:
    """The sound tracks that can be decoded, without those of other programmes than the picture's."""
    decodable = [stream for stream in container.streams.audio if is_decodable(stream)]
    beside = sounds_beside(container, video_stream(container), decodable)
    return beside if beside or options.wants_frames else decodable


def nanoseconds(ticks: int, time_base: Any) -> int:
    """Ticks of a time base to the nearest nanosecond."""
    return int((ticks * time_base.numerator * NS * 2 + time_base.denominator) // (2 * time_base.denominator))


def origin_ns(container: InputContainer) -> int:
    """The container's start, exact to the nanosecond if a stream starts there."""
    if container.start_time is None:
        return 0
    start = container.start_time * 1000
    exact = [
        nanoseconds(stream.start_time, stream.time_base)
        for stream in container.streams
        if stream.start_time is not None and stream.time_base
    ]
    return min((time for time in exact if abs(time - start) < 2000), default=start)


@dataclass(frozen=True)
class Streams:
    """The streams of a container that are read."""

    video: Stream | None
    audio: Stream | None
    fallbacks: tuple[Stream, ...] = ()
    """Sound tracks for where `audio` is silent: the first that is not counts."""


def choose_streams(container: InputContainer, source: str, options: ReaderOptions) -> Streams:
    """Choose the streams to read.

    Raises:
        SourceError: the container has none of the requested streams.
    """
    name = shown_name(source)
    video = video_stream(container) if options.wants_frames else None
    audio = audio_stream(container, options, name) if options.wants_audio else None
    if video is None and audio is None:
        raise SourceError(f"{name}: {missing(container, options)}")
    return Streams(video, audio)


def missing(container: InputContainer, options: ReaderOptions) -> str:
    """Why a source has none of the requested streams."""
    streams = found(container)
    has_video = video_stream(container) is not None
    has_audio = any(is_decodable(stream) for stream in container.streams.audio)
    if not options.wants_audio and has_audio:
        return f"no video stream (found: {streams}). Use --modalities audio to label its sound alone."
    if not options.wants_frames and has_video:
        return f"no audio stream (found: {streams}). Use --modalities image,motion to label its pictures alone."
    if any(is_media(stream) and not is_decodable(stream) for stream in container.streams):
        return f"no decoder for its streams (found: {streams}). Convert it to a common codec."
    return f"no video and no audio stream (found: {streams})"
