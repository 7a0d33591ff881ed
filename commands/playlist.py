"""Playlists as inputs: .m3u, .pls, .xspf, and plain lists with one file or URL per line.

An HLS playlist looks the same from outside, but is one source: FFmpeg reads its segments.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit
from xml.parsers import expat

from pipeline.errors import ConfigError

SUFFIXES = {".m3u", ".m3u8", ".pls", ".xspf", ".txt"}
HLS_TAGS = re.compile(r"^#EXT-X-(STREAM-INF|TARGETDURATION|MEDIA-SEQUENCE)", re.MULTILINE)
"""One of these makes an HLS playlist, for FFmpeg as well."""
MOST_BYTES = 16 << 20
"""A longer file is no playlist."""
NETWORK = {
    *("http", "https", "ftp", "ftps", "sftp", "rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "rtmpe", "rtmpts"),
    *("rtp", "srtp", "udp", "tcp", "srt", "rist", "mmsh", "mmst"),
}
"""Schemes of addresses in playlists. FFmpeg has others that join and cut local files, which no playlist needs."""


def is_playlist(path: str) -> bool:
    """Whether a path is that of a list of sources, by its suffix; HLS is none."""
    suffix = Path(path).suffix.lower()
    return suffix in SUFFIXES and os.path.isfile(path) and not (suffix.startswith(".m3u") and is_hls(path))


def is_hls(path: str) -> bool:
    try:
        return HLS_TAGS.search(read_text(path)) is not None
    except (OSError, ConfigError):
        return False


def parts_of(path: str) -> set[str]:
    """The local files that an HLS playlist names."""
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [line for line in lines if line and not line.startswith("#")]
    names += [name for line in lines if line.startswith("#EXT-X-") for name in re.findall(r'URI="([^"]+)"', line)]
    return {os.path.normpath(os.path.join(os.path.dirname(path), name)) for name in names if "://" not in name}


def entries(path: str) -> list[str]:
    """The files and URLs that a playlist names, in order. Relative names are relative to it.

    Raises: ConfigError: it cannot be read or understood, or names nothing.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    match Path(path).suffix.lower():
        case ".xspf":
            names = xspf_locations(path)
        case ".pls":
            names = pls_files(text)
        case _:
            lines = (line.strip() for line in text.splitlines())
            names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise ConfigError(f"{path}: names no file and no URL; expected one per line")
    found = [located(name, os.path.dirname(path)) for name in names]
    if path.lower().endswith(".txt") and not any("://" in name or os.path.lexists(name) for name in found):
        raise ConfigError(
            f"{path}: none of its {len(found)} lines is a URL or a file that exists; expected one per line"
        )
    return found


def read_text(path: str) -> str:
    """The text of a playlist: UTF-8, UTF-16 with a mark, or else Latin-1, which old .m3u files are in.

    Raises: OSError; ConfigError: it is too long to be a playlist.
    """
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path}: longer than {MOST_BYTES >> 20} MB; expected a playlist")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def pls_files(text: str) -> list[str]:
    """`File1=…` of a .pls file, by number."""
    found = re.findall(r"^\s*File(\d+)\s*=\s*(\S.*?)\s*$", text, re.MULTILINE | re.IGNORECASE)
    return [name for _, name in sorted(((int(number), name) for number, name in found), key=lambda each: each[0])]


def xspf_locations(path: str) -> list[str]:
    """The first `location` of each track of an .xspf file.

    A document type is refused, and with it all entities: nothing can be expanded, and nothing else is read.

    Raises: ConfigError: it is no such file.
    """
    tracks: list[list[str]] = []
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        inside.append(name.rpartition(" ")[2])
        if inside[-1] == "track":
            tracks.append([])
        elif inside[-2:] == ["track", "location"]:
            tracks[-1].append("")

    def end(name: str) -> None:
        inside.pop()

    def text(data: str) -> None:
        if inside[-2:] == ["track", "location"]:
            tracks[-1][-1] += data

    def refuse(*declared: object) -> None:
        raise ConfigError(f"{path}: has a document type, which a playlist does not need. Remove it.")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(Path(path).read_bytes(), True)
    except expat.ExpatError as error:
        raise ConfigError(f"{path}: is no XSPF playlist ({error})") from error
    return [from_uri(locations[0].strip()) for locations in tracks if locations]


def from_uri(text: str) -> str:
    """A file name from a URI reference; other URIs stay."""
    return text if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", text) else os.fsdecode(unquote_to_bytes(text))


def located(name: str, folder: str) -> str:
    """An entry of a playlist in `folder` as a source."""
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*)://", name)
    if scheme is not None and scheme[1].lower() in NETWORK:
        return name
    if scheme is not None and scheme[1].lower() == "file":
        return local_path(name)
    if ":" in name:
        folder = folder or "."  # with a folder before it, it is no protocol for FFmpeg
    path = os.path.join(folder, name)
    if "\\" in name and not os.path.lexists(path):
        path = os.path.join(folder, name.replace("\\", "/"))
    return path


def local_path(url: str) -> str:
    """`file:///a%20b.mp4` -> `/a b.mp4`; other addresses, such as those of other machines, stay."""
    parts = urlsplit(url)
    is_here = parts.scheme == "file" and parts.netloc in ("", "localhost")
    return os.fsdecode(unquote_to_bytes(parts.path)) if is_here else url
