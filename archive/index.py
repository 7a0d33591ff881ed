"""What every file of an archive says of itself, read from the footers once. The index is only a cache of that."""

import logging
from collections.abc import Mapping, Sequence

import msgspec

from archive.entries import Entry
from archive.names import SUFFIX, file_of
from archive.pieces import checked, footers, listings, newest, pieces_in
from archive.schema import Facts
from archive.shard import ForeignError, ShardError, facts_of
from archive.store import Store
from archive.verdict import Damaged, Foreign, Known
from pipeline.errors import OutputError
from pipeline.logs import log

INDEX = ".percept/index"
INDEX_VERSION = 2


class Indexed(msgspec.Struct, frozen=True, array_like=True):
    """A file of the archive as it was when its facts were read."""

    size: int
    mtime_ns: int
    facts: Facts
    """Without labels and sizes of vectors, which are long and not needed to tell what is done."""


class Index(msgspec.Struct, frozen=True):
    version: int
    files: dict[str, Indexed]
    """By name of the file."""


def known_files(store: Store) -> dict[str, Known]:
    """What is known of each source of an archive, by its name; of files that cannot be read, by theirs.

    The index is brought up to date.
    """
    before = read_index(store)
    kept, found = before, dict[str, Known]()
    for entries in listings(store):
        last, (kept, found) = kept, _read(store, entries, kept)
        if kept == last and len(kept) == len(entries):
            break  # nothing has changed since it was read, so nothing can have come meanwhile
    if kept != before:
        write_index(store, kept)
    whole = (piece for entry in entries if entry.name in kept for piece in pieces_in(entry, kept[entry.name].facts))
    return {piece.name: piece.facts for piece in newest(whole)[0]} | found


def _read(
    store: Store, entries: Sequence[Entry], before: Mapping[str, Indexed]
) -> tuple[dict[str, Indexed], dict[str, Known]]:
    """The facts of these files, as far as possible those from before, and why others cannot be read."""
    kept, found = dict[str, Indexed](), dict[str, Known]()
    unread: list[Entry] = []
    for entry in entries:
        indexed = before.get(entry.name)
        if indexed is not None and (indexed.size, indexed.mtime_ns) == (entry.size, entry.mtime_ns):
            kept[entry.name] = indexed
        else:
            unread.append(entry)
    for entry, facts in footers(store, unread):
        if isinstance(facts, Facts):
            kept[entry.name] = Indexed(entry.size, entry.mtime_ns, short(facts))
        elif not isinstance(facts, FileNotFoundError):  # that is a file which was merged meanwhile
            found[name_in(entry)] = fault_of(facts)
    return kept, found


def name_in(entry: Entry) -> str:
    return entry.name.removesuffix(SUFFIX)


def short(facts: Facts) -> Facts:
    return msgspec.structs.replace(facts, labels=(), dims={}, features={}, sources=tuple(map(short, facts.sources)))


def read_index(store: Store) -> Mapping[str, Indexed]:
    """The index, empty if there is none that can be read."""
    try:
        with store.open(INDEX) as file:
            index = msgspec.msgpack.decode(file.read(), type=Index)
    except (OSError, msgspec.MsgspecError):
        return {}
    return index.files if index.version == INDEX_VERSION else {}


def write_index(store: Store, files: Mapping[str, Indexed]) -> None:
    try:
        store.put(INDEX, msgspec.msgpack.encode(Index(INDEX_VERSION, dict(files))))
    except (OSError, OutputError) as error:
        log(logging.DEBUG, f"the index of the archive is not kept: {error}")


def known_file(store: Store, name: str) -> Known | None:
    """What is known of the file of one source; None if there is none."""
    try:
        with store.open(file_of(name)) as file:
            return checked(file_of(name), facts_of(file, name))
    except FileNotFoundError:
        return None
    except (ShardError, OSError) as error:
        return fault_of(error)


def fault_of(error: ShardError | OSError) -> Known:
    return Foreign(str(error)) if isinstance(error, ForeignError) else Damaged(str(error))
