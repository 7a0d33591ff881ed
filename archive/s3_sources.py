"""Sources in S3: which there are, and what they were when they were labelled."""

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import takewhile
from typing import NamedTuple

from archive.s3_connection import S3Connection
from archive.s3_object import S3Object, ns_of
from pipeline.s3 import S3Address


class S3Source(NamedTuple):
    """An object that may be labelled."""

    url: str
    size: int
    """Bytes."""
    mtime_ns: int


def sources_below(url: str, suffixes: Collection[str]) -> Iterator[S3Source]:
    """The objects whose names begin with `url` and `/`, or the one of that name, in the order of their names.

    If there are none, `*`, `?` and `[...]` in it stand for parts of names, and `**` for any number of folders.

    suffixes: in lower case, such as ".mp4". Names that begin with "." are passed over, and what is below them.

    Raises: ConfigError, StoreError: they cannot be listed.
    """
    root = S3Address.of(url.rstrip("/"))
    found = _below(root, suffixes)
    if (first := next(found, None)) is not None:
        yield first
        yield from found
    elif has_magic(root.key):
        globs = root.key.split("/")
        plain = list(takewhile(lambda part: not has_magic(part), globs))
        for each in _below(S3Address(root.bucket, "/".join(plain)), suffixes):
            if is_match(S3Address.of(each.url).key.split("/"), globs):
                yield each


def is_match(parts: Sequence[str], globs: Sequence[str]) -> bool:
    """Whether the parts of a name fit those of a glob."""
    if not globs or not parts:
        return not parts and all(glob == "**" for glob in globs)
    if globs[0] == "**":
        return is_match(parts, globs[1:]) or is_match(parts[1:], globs)
    return fnmatchcase(parts[0], globs[0]) and is_match(parts[1:], globs[1:])


def _below(root: S3Address, suffixes: Collection[str]) -> Iterator[S3Source]:
    for page in S3Connection(root).pages(root.key):
        for item in page.get("Contents", ()):
            key: str = item["Key"]
            inside = key.removeprefix(root.key)
            if not root.key or inside.startswith("/") or not inside:
                parts = (inside.strip("/") or key).split("/")
                if f".{key.rpartition('.')[2].lower()}" in suffixes and not any(part.startswith(".") for part in parts):
                    yield S3Source(str(S3Address(root.bucket, key)), item["Size"], ns_of(item["LastModified"]))


def open_source(url: str) -> S3Object:
    """Raises: ConfigError; FileNotFoundError; OSError."""
    return S3Object(S3Address.of(url))
