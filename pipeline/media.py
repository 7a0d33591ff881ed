"""Opens media with FFmpeg. The reader and the labelled video open a source here, so both see the same file."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer

from pipeline.s3 import S3, link_to

PLAYLISTS = {".m3u8", ".m3u"}
END_MARK = "#EXT-X-ENDLIST"
LONGEST_PLAYLIST = 16 << 20
"""Characters; a longer file is no playlist."""
RECONNECTING = {"reconnect": "1", "reconnect_on_network_error": "1", "reconnect_delay_max": "10"}
"""Options for FFmpeg to go on where a connection broke."""
_URI = re.compile(r'(?<=URI=")[^"]+')


def is_url(source: str) -> bool:
    return "://" in source


def open_media(source: str, timeout_s: tuple[float, float] | None = None, position: int = 0) -> InputContainer:
    """Open a file or URL for reading. `timeout_s`: to open, and for one read. `position`: bytes to leave out.

    Raises: av.error.FFmpegError, ValueError, OSError.
    """
    options = {"skip_initial_bytes": str(position)} if position else {}
    if source.startswith(S3):
        options |= RECONNECTING
    if "%" in source:
        options["pattern_type"] = "none"  # FFmpeg would read the images 001.jpg, 002.jpg instead of a file %03d.jpg
    with _name_to_read(source) as name:
        container: InputContainer = av.open(name, "r", options=options, metadata_errors="ignore", timeout=timeout_s)
    return container


def create_media(path: str, format_name: str, options: dict[str, str]) -> OutputContainer:
    """Open a file for writing. Raises: av.error.FFmpegError, ValueError, OSError."""
    container: OutputContainer = av.open(_name(path), "w", format=format_name, options=options)
    return container


def _name(path: str) -> str:
    """The name for FFmpeg, to which a relative one with a colon, such as 10:30:05.mp4, would be a protocol."""
    return path if is_url(path) else str(Path(path).absolute())


@contextmanager
def _name_to_read(source: str) -> Iterator[str]:
    """The name to open. A recorded playlist without an end mark is opened as a copy that has one.

    FFmpeg takes such a playlist for a live one, also on disk, where nothing is added any more: it would begin with the
    third segment from the end, and wait for more.
    """
    if source.startswith(S3):
        try:
            yield link_to(source)
        except av.error.FFmpegError as error:
            error.args = (error.errno, error.strerror, source)  # the link is a secret
            raise
        return
    text = _endless(Path(source)) if not is_url(source) else ""
    if not text:
        yield _name(source)
        return
    with tempfile.NamedTemporaryFile("w", suffix=Path(source).suffix, encoding="utf-8") as copy:
        copy.write("\n".join([*_absolute(text, Path(source).absolute().parent), END_MARK, ""]))
        copy.flush()
        yield copy.name  # FFmpeg reads a playlist with an end mark only once


def _endless(path: Path) -> str:
    """The text of a playlist of segments that has no end mark; "" if the file is anything else."""
    if path.suffix.lower() not in PLAYLISTS or not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(LONGEST_PLAYLIST)
    is_list = text.startswith("#EXTM3U") and "#EXTINF" in text and END_MARK not in text
    return text if is_list else ""


def _absolute(text: str, folder: Path) -> Iterator[str]:
    """The lines of a playlist in `folder`, with absolute names."""
    for line in text.splitlines():
        if line.startswith("#"):
            yield _URI.sub(lambda found: _joined(folder, found[0]), line)
        elif line.strip():
            yield _joined(folder, line.strip())


def _joined(folder: Path, name: str) -> str:
    return name if is_url(name) or name.startswith("data:") else str(folder / name)
