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

    root: str
    """The address that names in an archive begin with: what was given, without wildcards and without the object."""
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
    """Whether the parts of a name fit those of a glob. Each part is compared with each glob once at most."""
    fits = {0}
    """Numbers of globs of which those before fit the parts so far."""
    for part in parts:
        fits = {after for at in _skipped(fits, globs) for after in _following(part, at, globs)}
    return len(globs) in _skipped(fits, globs)


def _skipped(fits: Collection[int], globs: Sequence[str]) -> set[int]:
    """The same, with those after each `**`, which may stand for no part."""
    found = set(fits)
    for at, glob in enumerate(globs):
        if glob == "**" and at in found:
            found.add(at + 1)
    return found


def _following(part: str, at: int, globs: Sequence[str]) -> tuple[int, ...]:
    """Where the globs go on after a part that the glob of this number stands for."""
    if at == len(globs):
        return ()
    if globs[at] == "**":
        return (at,)
    return (at + 1,) if fnmatchcase(part, globs[at]) else ()


def _below(root: S3Address, suffixes: Collection[str]) -> Iterator[S3Source]:
    for page in S3Connection(root).pages(root.key):
        for item in page.get("Contents", ()):
            key: str = item["Key"]
            inside = key.removeprefix(root.key)
            if not root.key or inside.startswith("/") or not inside:
                parts = (inside.strip("/") or key).split("/")
                if f".{key.rpartition('.')[2].lower()}" in suffixes and not any(part.startswith(".") for part in parts):
                    folder = root if inside else S3Address(root.bucket, key.rpartition("/")[0])
                    url = str(S3Address(root.bucket, key))
                    yield S3Source(str(folder).rstrip("/"), url, item["Size"], ns_of(item["LastModified"]))


def open_source(url: str) -> S3Object:
    """Raises: ConfigError; FileNotFoundError; OSError."""
    return S3Object(S3Address.of(url))
