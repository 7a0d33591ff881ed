"""Where the rows of each source of an archive are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

import msgspec

from archive.entries import Entry
from archive.footer import quick_facts_of
from archive.names import is_merged_file
from archive.schema import Facts
from archive.shard import ShardError, read_table
from archive.store import Store

THREADS = 8
"""That read footers: each waits for a disk or a network most of the time."""
MOST_TOGETHER = 64
"""Footers that a thread reads before it hands them on: to hand on each would take longer than to read it."""
LISTINGS = 10
"""Of an archive at most, while others compact it."""


class Piece(msgspec.Struct, frozen=True):
    """The rows of one source in one file."""

    entry: Entry
    facts: Facts
    """Of the source."""
    first: int = 0
    """Row of the file."""
    is_merged: bool = False
    """Whether the file holds several sources, see `archive.compact`."""

    @property
    def name(self) -> str:
        """Of the source, such as `videos/2024/talk.mp4`."""
        return self.facts.name

    @property
    def file(self) -> str:
        return self.entry.name

    @property
    def stop(self) -> int:
        return self.first + self.facts.clips

    @property
    def rank(self) -> tuple[str, bool, str]:
        """Of pieces with the same source, the greatest counts. Of those made at once, one is a copy of the other."""
        return self.facts.made, self.is_merged, self.file


def listings(store: Store) -> Iterator[list[Entry]]:
    """The files of an archive, and again as long as a compaction wrote some since: read those of the last listing.

    A compaction writes a file of many sources before it deletes theirs. So a file of the last listing that is gone is
    no loss: the listing has the one that its rows moved to.

    Raises: StoreError: the archive cannot be listed.
    """
    entries = sorted(store.list())
    for _ in range(LISTINGS - 1):
        yield entries
        before, entries = entries, sorted(store.list())
        if _merged(before) == _merged(entries):
            return
    yield entries


def _merged(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if is_merged_file(entry.name)]


def pieces_of(store: Store, damaged: Callable[[str], None]) -> list[Piece]:
    """The rows of all sources, in order of their names; where a source is there twice, those made later.

    damaged: is told of files that cannot be read.

    Raises: StoreError: the archive cannot be listed.
    """
    read = dict[Entry, Facts | ShardError | OSError]()
    words = dict[tuple[str, ...], tuple[str, ...]]()
    for entries in listings(store):
        read = {entry: read[entry] for entry in entries if entry in read}
        for entry, facts in footers(store, [entry for entry in entries if entry not in read]):
            if isinstance(facts, Facts):  # labels are most of the memory, and the same in all files
                facts = msgspec.structs.replace(facts, labels=words.setdefault(facts.labels, facts.labels))
            read[entry] = facts
    found = list[Piece]()
    for entry, facts in sorted(read.items(), key=lambda item: item[0]):
        if isinstance(facts, Facts):
            found += pieces_in(entry, facts)
        elif not isinstance(facts, FileNotFoundError):
            damaged(str(facts))
    return sorted(newest(found)[0], key=lambda piece: piece.name)


def pieces_in(entry: Entry, facts: Facts) -> Iterator[Piece]:
    """The pieces of a file, in the order of their rows. facts: of the file."""
    first = 0
    for each in facts.each():
        yield Piece(entry, each, first, bool(facts.sources))
        first += each.clips


def newest(pieces: Iterable[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The piece of each source that counts, and the others."""
    best: dict[str, Piece] = {}
    others = []
    for piece in pieces:
        known = best.get(piece.name)
        if known is not None and known.rank >= piece.rank:
            others.append(piece)
            continue
        if known is not None:
            others.append(known)
        best[piece.name] = piece
    return list(best.values()), others


def footers(store: Store, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Facts | ShardError | OSError]]:
    """The facts of files, or why they cannot be read."""

    def read(entry: Entry) -> Facts | ShardError | OSError:
        try:
            with store.open(entry.name) as file:
                return checked(entry.name, quick_facts_of(file, entry.name))
        except (ShardError, OSError) as error:
            return error

    def read_some(some: Sequence[Entry]) -> list[Facts | ShardError | OSError]:
        return [read(entry) for entry in some]

    size = min(MOST_TOGETHER, -(-len(entries) // THREADS)) or 1
    shares = [entries[first : first + size] for first in range(0, len(entries), size)]
    with ThreadPoolExecutor(THREADS) as pool:
        for share, found in zip(shares, pool.map(read_some, shares), strict=True):
            yield from zip(share, found, strict=True)


def checked(file: str, facts: Facts) -> Facts:
    """Raises: ShardError: a source has a name that would lead out of a folder to which things are written, or fewer
    rows than none.
    """
    for each in facts.each():
        name = each.name
        if each.clips < 0:
            raise ShardError(f"{file}: says that {name} has {each.clips} rows, which cannot be; it is left out")
        if name.startswith("/") or "\0" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise ShardError(f"{file}: names its source {name!r}, which is no name of an archive; it is left out")
    return facts


def tables(
    store: Store, pieces: Iterable[Piece], columns: list[str] | None, damaged: Callable[[str], None]
) -> Iterator[tuple[Piece, Any]]:
    """The table of each piece, file by file, each read once. What a compaction has moved meanwhile comes last."""
    gone: list[Piece] = []
    for file, those in groupby(sorted(pieces, key=lambda piece: (piece.file, piece.first)), lambda piece: piece.file):
        try:
            with store.open(file) as opened:
                table = read_table(opened, columns, file)
        except ShardError as error:
            damaged(str(error))
            continue
        except FileNotFoundError:
            gone += those
            continue
        except OSError as error:
            damaged(f"{file}: cannot be read ({error})")
            continue
        yield from ((piece, table.slice(piece.first, piece.facts.clips)) for piece in those)
    if gone:
        now = {piece.name: piece for piece in pieces_of(store, lambda text: None)}
        moved = [now[piece.name] for piece in gone if piece.name in now and now[piece.name].file != piece.file]
        for name in sorted({piece.name for piece in gone} - {piece.name for piece in moved}):
            damaged(f"{name}: its file is gone")
        if moved:
            yield from tables(store, moved, columns, damaged)
