"""What every file of an archive says of itself, read from the footers once. The index is only a cache of that."""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from archive.entries import Entry
from archive.names import SUFFIX, file_of
from archive.schema import Facts
from archive.shard import ForeignError, ShardError, facts_of
from archive.store import Store
from archive.verdict import Damaged, Foreign, Known
from pipeline.errors import OutputError
from pipeline.logs import log

INDEX = ".percept/index"
INDEX_VERSION = 1
THREADS = 8
"""That read footers: each waits for a disk or a network most of the time."""


class Indexed(msgspec.Struct, frozen=True, array_like=True):
    """A file of the archive as it was when its facts were read."""

    size: int
    mtime_ns: int
    facts: Facts
    """Without labels and sizes of vectors, which are long and not needed to tell what is done."""


class Index(msgspec.Struct, frozen=True):
    version: int
    files: dict[str, Indexed]
    """By name of the source."""


def known_files(store: Store) -> dict[str, Known]:
    """What is known of each file of an archive, by the name of its source. The index is brought up to date."""
    before, found, kept = read_index(store), dict[str, Known](), dict[str, Indexed]()
    unread: list[Entry] = []
    for entry in store.list():
        indexed = before.get(name_in(entry))
        if indexed is not None and (indexed.size, indexed.mtime_ns) == (entry.size, entry.mtime_ns):
            found[name_in(entry)], kept[name_in(entry)] = indexed.facts, indexed
        else:
            unread.append(entry)
    for entry, known in zip(unread, _read(store, unread), strict=True):
        found[name_in(entry)] = known
        if isinstance(known, Facts):
            kept[name_in(entry)] = Indexed(entry.size, entry.mtime_ns, short(known))
    if unread or len(kept) != len(before):
        write_index(store, kept)
    return found


def name_in(entry: Entry) -> str:
    return entry.name.removesuffix(SUFFIX)


def short(facts: Facts) -> Facts:
    return msgspec.structs.replace(facts, labels=(), dims={})


def read_index(store: Store) -> Mapping[str, Indexed]:
    """The index, empty if there is none that can be read."""
    try:
        with store.open(INDEX) as file:
            index = msgspec.msgpack.decode(file.read(), type=Index)
    except (OSError, msgspec.MsgspecError):
        return {}
    return index.files if index.version == INDEX_VERSION else {}


def write_index(store: Store, files: dict[str, Indexed]) -> None:
    try:
        store.put(INDEX, msgspec.msgpack.encode(Index(INDEX_VERSION, files)))
    except (OSError, OutputError) as error:
        log(logging.DEBUG, f"the index of the archive is not kept: {error}")


def known_file(store: Store, name: str) -> Known | None:
    """What is known of the file of one source; None if there is none."""
    try:
        with store.open(file_of(name)) as file:
            return facts_of(file, name)
    except FileNotFoundError:
        return None
    except ForeignError as error:
        return Foreign(str(error))
    except (ShardError, OSError) as error:
        return Damaged(str(error))


def _read(store: Store, entries: Iterable[Entry]) -> Iterable[Known]:
    with ThreadPoolExecutor(THREADS) as pool:
        read = pool.map(lambda entry: known_file(store, name_in(entry)), entries)
        return [known or Damaged("it is gone") for known in read]
