"""What stores have in common: their files, claims and errors."""

from typing import NamedTuple

from archive.names import SUFFIX
from pipeline.errors import OutputError
from pipeline.sinks.file import printable

OWN = ".percept"
"""The folder in an archive that has everything but its shards."""
PART = ".part"
"""Suffix of files that are being written."""
CLAIMS = f"{OWN}/claims"


class StoreError(OutputError):
    """A store cannot be reached, listed or written."""


class Entry(NamedTuple):
    """A file of an archive."""

    name: str
    """Within the archive, with `/` between its parts: `videos/talk.mp4.parquet`."""
    size: int
    """Bytes."""
    mtime_ns: int


class Claim(NamedTuple):
    """A claim as it was found."""

    text: str
    age_s: float
    """Since it was made or touched, by the clock of the store, which is the same for all machines."""


def is_shard(name: str) -> bool:
    """Whether the name of a file is one that readers of archives look at."""
    return name.endswith(SUFFIX) and not any(part.startswith(".") for part in name.split("/"))


def parts_of(name: str) -> list[str]:
    """The parts of a name, which stays inside the archive. Raises: StoreError."""
    parts = name.split("/")
    if {"", ".", ".."} & set(parts):
        raise StoreError(f"{printable(name)}: is not the name of a file in an archive")
    return parts
