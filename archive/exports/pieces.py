"""Where the rows of each source of an archive are."""

import os
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import IO, Any, NamedTuple, Protocol

import msgspec

from archive.names import SUFFIX
from archive.schema import Facts
from archive.shard import ShardError, facts_of, read_table
from pipeline.errors import ConfigError


class Piece(NamedTuple):
    """The rows of one source."""

    name: str
    """Of the source, such as `videos/2024/talk.mp4`."""
    file: str
    first: int
    """Row of the file."""
    facts: Facts
    """Without the labels, which take most room and are the same in all."""


class Entry(NamedTuple):
    name: str


class Files(Protocol):
    """What is needed of a store."""

    def list(self) -> Iterator[Any]: ...
    def open(self, name: str) -> IO[bytes]: ...


class Folder:
    """The files of an archive in a folder."""

    def __init__(self, path: str) -> None:
        """Raises: ConfigError: there is no such folder."""
        self.path = path
        if not os.path.isdir(path):
            raise ConfigError(f"{path}: no such folder; expected an archive, which percept label writes")

    def list(self) -> Iterator[Entry]:
        """Raises: ConfigError: a folder in it cannot be read."""

        def fail(error: OSError) -> None:
            raise ConfigError(f"{error.filename}: cannot be read ({error.strerror})") from error

        for where, folders, files in os.walk(self.path, onerror=fail):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if name.endswith(SUFFIX) and not name.startswith("."):
                    yield Entry(os.path.relpath(os.path.join(where, name), self.path))

    def open(self, name: str) -> IO[bytes]:
        return open(os.path.join(self.path, name), "rb")


def pieces_of(files: Files, damaged: Callable[[str], None]) -> list[Piece]:
    """The rows of all sources, in order of their names; where a source is there twice, those made later.

    damaged: is told of files that cannot be read.
    """
    found: dict[str, Piece] = {}
    for file in sorted(entry.name for entry in files.list()):
        try:
            with files.open(file) as opened:
                whole = facts_of(opened, file)
            first = 0
            for facts in (whole,):
                _check_name(file, facts.name)
                known = found.get(facts.name)
                if known is None or known.facts.made < facts.made:
                    found[facts.name] = Piece(facts.name, file, first, msgspec.structs.replace(facts, labels=()))
                first += facts.clips
        except (ShardError, OSError) as error:
            damaged(str(error))
    return [found[name] for name in sorted(found)]


def tables(
    files: Files, pieces: list[Piece], columns: list[str] | None, damaged: Callable[[str], None]
) -> Iterator[tuple[Piece, Any]]:
    """The table of each piece, file by file, each read once."""
    for file, those in groupby(sorted(pieces, key=lambda piece: (piece.file, piece.first)), lambda piece: piece.file):
        try:
            with files.open(file) as opened:
                table = read_table(opened, columns)
        except (ShardError, OSError) as error:
            damaged(f"{file}: cannot be read ({error})")
            continue
        yield from ((piece, table.slice(piece.first, piece.facts.clips)) for piece in those)


def _check_name(file: str, name: str) -> None:
    """Raises: ShardError: a file of that name would be outside the folder that it is written to."""
    if name.startswith("/") or "\0" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise ShardError(f"{file}: names its source {name!r}, which is no name of an archive; it is left out")
