"""Many small files of an archive become one per day and 18 hours of clips, and stay as readable as before.

A merged file is `by-day/2026-11-28-1.parquet`, the day being that of labelling. It has the rows of its sources one
after another, and the facts of each in its own (`Facts.sources`). A source that is labelled again gets a file of its
own; of two files with the same source, the one made later counts, and the next compaction drops the rows of the other.

At no moment is a source without a file: what is merged is written and read back before anything is deleted.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow

from archive.entries import Entry
from archive.names import MERGED, SUFFIX
from archive.pieces import Piece, footers, newest, pieces_in
from archive.run_claims import alone
from archive.schema import COMMON, FEATURES, VECTOR, Facts, is_vectors, schema_of
from archive.shard import ShardError, encoded, facts_of, metadata_of, read_table
from archive.store import Store

PART_ROWS = 1 << 15
"""Of a merged file: some 100 MB with three modalities of 512 values, 260 MB with features of percept-mini. A merge
holds three times that."""

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Input = tuple[list[Piece], Any]
"""Pieces of a file that is merged, and their rows as an Arrow table."""


class Compacted(msgspec.Struct, kw_only=True):
    """What a compaction did."""

    files_before: int = 0
    files_after: int = 0
    sources: int = 0
    """Moved."""
    rows: int = 0
    damaged: int = 0
    """Files that cannot be read, or do not have what they say; they are left for the next labelling to redo."""


def compact(store: Store, warn: Callable[[str], None] = lambda text: None) -> Compacted:
    """Merge what can be merged. Sources that failed keep files of their own, so that they are tried again as before.

    Raises: ShardError, OutputError: nothing is lost; the next compaction goes on.
    """
    with alone(store):
        return _compact(store, warn)


def _compact(store: Store, warn: Callable[[str], None]) -> Compacted:
    entries = sorted(store.list())
    done = Compacted(files_before=len(entries))

    def damaged(text: str) -> None:
        done.damaged += 1
        warn(text)

    count, older = newest(_pieces(store, entries, damaged))
    kept = _by_file(count)
    for name in sorted({piece.file for piece in older} - kept.keys()):
        store.delete(name)
    shrunken = {piece.file for piece in older} & kept.keys()
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, inside in kept.items():
        if _is_open(inside) or name in shrunken:
            groups[_group(inside[0].facts)].append(name)
    taken = {entry.name for entry in entries}
    for (day, *_), those in sorted(groups.items()):
        for together in _filled([kept[name] for name in sorted(those)]):
            if _is_worth_it(together, shrunken):
                inputs = _fitting(_readable(store, together, damaged), damaged)
                if _is_worth_it([inside for inside, _ in inputs], shrunken):
                    _merge(store, _free(day, taken), inputs, done)
    done.files_after = sum(1 for _ in store.list())
    return done


def _pieces(store: Store, entries: Sequence[Entry], damaged: Callable[[str], None]) -> Iterator[Piece]:
    for entry, facts in footers(store, entries):
        if isinstance(facts, Facts):
            yield from pieces_in(entry, facts)
        else:
            damaged(str(facts))


def _by_file(found: Iterable[Piece]) -> dict[str, list[Piece]]:
    by_file: dict[str, list[Piece]] = defaultdict(list)
    for piece in found:
        by_file[piece.file].append(piece)
    return by_file


def _is_open(inside: Sequence[Piece]) -> bool:
    """Whether a file is merged with others: it is of one source that did not fail, or not half full."""
    if not inside[0].is_merged:
        return not inside[0].facts.error
    return 2 * sum(piece.facts.clips for piece in inside) < PART_ROWS


def _group(facts: Facts) -> tuple[str, ...]:
    day = facts.made[:10]
    return (
        day if DAY.fullmatch(day) else "undated",
        *(str(getattr(facts, name)) for name in COMMON if name not in ("labels", "settings")),
    )


def _is_worth_it(together: Sequence[list[Piece]], shrunken: Collection[str]) -> bool:
    return len(together) > 1 or (bool(together) and together[0][0].file in shrunken)


def _merge(store: Store, name: str, inputs: Sequence[Input], done: Compacted) -> None:
    _write(store, name, inputs)
    for inside, _ in inputs:
        if _is_unchanged(store, inside):
            store.delete(inside[0].file)
        done.sources += len(inside)
        done.rows += sum(piece.facts.clips for piece in inside)


def _filled(inputs: Sequence[list[Piece]]) -> Iterator[list[list[Piece]]]:
    """Whole files together, up to the rows of a merged file; a longer one is alone."""
    together: list[list[Piece]] = []
    rows = 0
    for inside in inputs:
        count = sum(piece.facts.clips for piece in inside)
        if together and rows + count > PART_ROWS:
            yield together
            together, rows = [], 0
        together.append(inside)
        rows += count
    if together:
        yield together


def _free(day: str, taken: set[str]) -> str:
    number = 1
    while (name := f"{MERGED}{day}-{number}{SUFFIX}") in taken:
        number += 1
    taken.add(name)
    return name


def _write(store: Store, name: str, inputs: Sequence[Input]) -> None:
    """Raises: ShardError: what is read back is not what was written."""
    facts = facts_together([piece.facts for inside, _ in inputs for piece in inside])
    table = pyarrow.concat_tables([rows for _, rows in inputs]).replace_schema_metadata(metadata_of(facts))
    store.put(name, encoded(table))
    with store.open(name) as file:
        if facts_of(file, name) != facts:
            raise ShardError(f"{name}: was not stored as it was written; nothing was deleted")


def facts_together(all_facts: Sequence[Facts]) -> Facts:
    """The facts of a merged file."""
    dims = {name: size for facts in all_facts for name, size in facts.dims.items()}
    features = {name: size for facts in all_facts for name, size in facts.features.items()}
    common = {field: getattr(all_facts[0], field) for field in COMMON}
    common["settings"] = next((facts.settings for facts in all_facts if facts.settings is not None), None)
    blank = {field: getattr(Facts(source="", name=""), field) for field in COMMON}
    return Facts(
        source="",
        name="",
        **common,
        dims=dims,
        features=features,
        clips=sum(facts.clips for facts in all_facts),
        labelled=sum(facts.labelled for facts in all_facts),
        failed=sum(facts.failed for facts in all_facts),
        seconds=round(sum(facts.seconds for facts in all_facts), 3),
        failed_seconds=round(sum(facts.failed_seconds for facts in all_facts), 3),
        made=max(facts.made for facts in all_facts),
        sources=tuple(
            msgspec.structs.replace(
                facts,
                **blank,
                dims={} if facts.dims == dims else facts.dims,
                features={} if facts.features == features else facts.features,
            )
            for facts in all_facts
        ),
    )


def _readable(store: Store, together: Iterable[list[Piece]], damaged: Callable[[str], None]) -> Iterator[Input]:
    """Those files that can be read, with their rows."""
    for inside in together:
        try:
            yield inside, _rows(store, inside)
        except ShardError as error:
            damaged(str(error))


def _rows(store: Store, inside: Sequence[Piece]) -> Any:
    """The rows of these pieces of one file. Raises: ShardError: it is damaged, or has others than it says."""
    name = inside[0].file
    with store.open(name) as file:
        facts = facts_of(file, name)
        table = read_table(file, name=name)
    said = sum(each.clips for each in facts.each())
    if table.num_rows != said:
        raise ShardError(f"{name}: has {table.num_rows} rows, not the {said} that it says; it is left alone")
    return pyarrow.concat_tables([table.slice(piece.first, piece.facts.clips) for piece in inside])


def _fitting(inputs: Iterable[Input], damaged: Callable[[str], None]) -> list[Input]:
    """The files with the columns that they have together: those whose vectors are as long as in most files."""
    inputs = list(inputs)
    sizes: dict[str, Counter[int]] = defaultdict(Counter)
    for _, table in inputs:
        for column in table.schema:
            if is_vectors(column.name):
                sizes[column.name][getattr(column.type, "list_size", 0)] += 1
    usual = {column: count.most_common(1)[0][0] for column, count in sizes.items()}
    dims, features = (
        {column.removesuffix(end): size for column, size in usual.items() if column.endswith(end)}
        for end in (VECTOR, FEATURES)
    )
    schema = schema_of(dims, features)
    found = []
    for inside, table in inputs:
        try:
            found.append((inside, _with_all(table, schema)))
        except (ShardError, pyarrow.ArrowException) as error:
            damaged(f"{inside[0].file}: does not fit the others ({str(error).splitlines()[0]}); it is left alone")
    return found


def _with_all(table: Any, schema: Any) -> Any:
    """The table with all columns of a schema: nulls for each vector that only other files have.

    Raises: ShardError: it lacks another column, or has one of its own. ArrowException: one is of another type.
    """
    there = set(table.schema.names)
    lacking = [name for name in schema.names if name not in there and not _is_of_vectors(name)]
    if lacking or there - set(schema.names):
        what = f"no column {lacking[0]}" if lacking else f"a column {min(there - set(schema.names))}"
        raise ShardError(f"it has {what}")
    columns = [
        table[field.name].cast(field.type) if field.name in there else pyarrow.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pyarrow.table(columns, schema=schema)


def _is_of_vectors(column: str) -> bool:
    return is_vectors(column) or column.endswith("_log_sum")


def _is_unchanged(store: Store, inside: Sequence[Piece]) -> bool:
    """Whether a file is still what was merged: another run may have labelled its source again meanwhile."""
    now = {piece.name: piece.facts for piece in _pieces(store, [inside[0].entry], lambda text: None)}
    return all(now.get(piece.facts.name) == piece.facts for piece in inside)
