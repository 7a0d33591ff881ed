"""Names of sources in an archive: the same on every machine, whatever the folder is mounted as."""

import codecs
import os
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import PurePosixPath

SUFFIX = ".parquet"
MERGED = "by-day/"
"""The folder of an archive with files of many sources, see `archive.compact`."""
LONGEST_BYTES = 200
"""Of one part of a name, so that suffixes of temporary files fit into the 255 bytes of file systems."""


def name_of(source: str, root: str) -> str:
    """`videos/2024/talk.mp4` for /data/videos/2024/talk.mp4 below the root /data/videos.

    source, root: paths, or URLs that begin with `s3://`. Bytes that are no UTF-8, and `%`, are written as %XX.
    """
    root = root.rstrip("/") or "/"
    inside = os.path.relpath(source, root) if "://" not in source else source.removeprefix(root).lstrip("/")
    parts = [os.path.basename(root), *PurePosixPath(inside).parts]
    return "/".join(_part(part) for part in parts if part not in ("", ".", "..", "/"))


def names_of(sources: Iterable[tuple[str, str]], shown: Callable[[str], str] = str) -> dict[str, str]:
    """The name of each source, given with its root; no two have the same. Those that would get a mark of their paths.

    shown: a source as its name may tell it, such as without a password.
    """
    names = {source: name_of(shown(source), root) for source, root in sources}
    for length_bytes in (4, 16):  # a mark may make a name that another source has
        taken: dict[str, list[str]] = {}
        for source, name in names.items():
            taken.setdefault(name, []).append(source)
        for name, those in taken.items():
            if len(those) > 1:
                names |= {source: _marked(name, source, length_bytes) for source in those}
    return names


def _marked(name: str, source: str, length_bytes: int) -> str:
    mark = blake2b(os.fsencode(source), digest_size=length_bytes).hexdigest()
    stem, suffix = os.path.splitext(name)
    return f"{stem}~{mark}{suffix}"


def file_of(name: str) -> str:
    """The file of a source in the folder of the archive."""
    return name + SUFFIX


def is_merged_file(file: str) -> bool:
    """Whether a file may be one of many sources, by its name."""
    return file.startswith(MERGED)


def _part(text: str) -> str:
    escaped = os.fsencode(text).replace(b"%", b"%25").decode("utf-8", "percent")
    raw = escaped.encode()
    if len(raw) <= LONGEST_BYTES:
        return escaped
    mark = blake2b(raw, digest_size=4).hexdigest()
    return raw[: LONGEST_BYTES - 9].decode("utf-8", "ignore") + "~" + mark


def _as_percent(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("percent", _as_percent)
