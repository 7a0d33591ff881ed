"""Sources with the same content: the second one gets the rows of the first."""

import filecmp
import os
from typing import Any

import msgspec
import pyarrow

from archive.fingerprint import fingerprint_of
from archive.names import file_of, is_merged_file
from archive.pieces import footers, pieces_in, tables
from archive.schema import Facts
from archive.shard import ShardError, encoded, facts_of, metadata_of, read_table
from archive.store import Store
from archive.ticket import Ticket
from pipeline.s3 import S3


def is_same_content(one: str, other: str) -> bool:
    """Whether two sources hold the same bytes; False if one of them cannot be read."""
    try:
        if S3 in (one[: len(S3)], other[: len(S3)]):
            return fingerprint_of(one, whole=True).hash == fingerprint_of(other, whole=True).hash
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def is_original(original: Facts, path: str, ticket: Ticket) -> bool:
    """Whether a source holds what the rows of another were made from, given that their fingerprints are the same.

    path: where the other is, if it is among the sources of this run; else "". It is then looked for where it was, which
    may mean another file here: only one of the same time counts. Nothing is looked for if whole files were hashed.
    """
    before = original.fingerprint
    if before is None or before.whole:
        return before is not None
    if path or original.source.startswith(S3):
        return is_same_content(path or original.source, ticket.path)
    try:
        is_as_it_was = os.stat(original.source).st_mtime_ns == before.mtime_ns
    except (OSError, ValueError):
        return False
    return is_as_it_was and is_same_content(original.source, ticket.path)


def copy_rows(store: Store, original: Facts, ticket: Ticket, made: str) -> Facts:
    """Write the file of a source with the rows of another. Returns its facts.

    Raises: OSError, ShardError: the other's rows cannot be read. OutputError: the new file cannot be written.
    """
    whole, table = _rows_of(store, original.name)
    facts = msgspec.structs.replace(
        whole,
        source=ticket.source,
        name=ticket.name,
        fingerprint=ticket.fingerprint,
        tries=ticket.tries,
        same_as=whole.same_as or whole.name,
        made=made,
    )
    place = table.schema.get_field_index("source")
    if place < 0:
        raise ShardError(f"{original.name}: its rows have no column source")
    names = pyarrow.array([ticket.source] * table.num_rows, table.schema.field(place).type)
    table = table.set_column(place, table.schema.field(place), names)
    store.put(file_of(ticket.name), encoded(table.replace_schema_metadata(metadata_of(facts))))
    return facts


def _rows_of(store: Store, name: str) -> tuple[Facts, Any]:
    """Facts and rows of a source, which may be in a file of many. Raises: OSError, ShardError."""
    try:
        with store.open(file_of(name)) as file:
            return facts_of(file, file_of(name)), read_table(file, name=file_of(name))
    except FileNotFoundError:
        for entry, facts in footers(store, [each for each in store.list() if is_merged_file(each.name)]):
            pieces = pieces_in(entry, facts) if isinstance(facts, Facts) else ()
            for piece in (each for each in pieces if each.name == name):
                why: list[str] = []
                for _, table in tables(store, [piece], None, why.append):
                    return piece.facts, table
                raise ShardError("; ".join(why)) from None
        raise
