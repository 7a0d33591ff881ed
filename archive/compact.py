"""Many small files of an archive become one per day and 36 hours of clips, and stay as readable as before.

A merged file is `by-day/2026-11-28-1.parquet`, the day being that of labelling. It has the rows of its sources one
after another, and the facts of each in its own (`Facts.sources`). A source that is labelled again gets a file of its
own; of two files with the same source, the one made later counts, and the next compaction drops the rows of the other.

At no moment is a source without a file: what is merged is written and read back before anything is deleted.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, Protocol

import msgspec
import pyarrow

from archive.names import SUFFIX
from archive.schema import COMMON, Facts, schema_of
from archive.shard import ShardError, encoded, facts_of, metadata_of, read_table

FOLDER = "by-day/"
PART_ROWS = 1 << 16
"""Of a merged file; some 170 MB with three modalities of 512 values."""


class Entry(Protocol):
    """A file of an archive."""

    @property
    def name(self) -> str: ...


class Files(Protocol):
    """What is needed of a store."""

    def list(self) -> Iterable[Entry]: ...
    def open(self, name: str) -> IO[bytes]: ...
    def put(self, name: str, data: bytes) -> None: ...
    def delete(self, name: str) -> None: ...


class Piece(msgspec.Struct, frozen=True):
    """The rows of one source in one file."""

    file: str
    facts: Facts
    first: int
    """Row of the file."""
    is_merged: bool
    """Whether the file holds several sources."""

    @property
    def rank(self) -> tuple[str, bool, str]:
        """Of pieces with the same source, the greatest counts. Of those made at once, one is a copy of the other."""
        return self.facts.made, self.is_merged, self.file


class Compacted(msgspec.Struct, kw_only=True):
    """What a compaction did."""

    files_before: int = 0
    files_after: int = 0
    sources: int = 0
    """Moved."""
    rows: int = 0
    damaged: int = 0
    """Files that cannot be read; they are left for the next labelling to redo."""


def merged_facts(files: Files) -> dict[str, Facts]:
    """The facts of every source in merged files, by name: what a run must know besides files of one source."""
    names = [entry.name for entry in files.list() if entry.name.startswith(FOLDER)]
    return {piece.facts.name: piece.facts for piece in newest(pieces(files, names, lambda text: None))[0]}


def compact(files: Files, warn: Callable[[str], None] = lambda text: None) -> Compacted:
    """Merge what can be merged. Sources that failed keep files of their own, so that they are tried again as before."""
    names = sorted(entry.name for entry in files.list() if entry.name.endswith(SUFFIX))
    done = Compacted(files_before=len(names))

    def damaged(text: str) -> None:
        done.damaged += 1
        warn(text)

    count, older = newest(pieces(files, names, damaged))
    kept = _by_file(count)
    for name in sorted({piece.file for piece in older} - kept.keys()):
        files.delete(name)
    shrunken = {piece.file for piece in older} & kept.keys()
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, inside in kept.items():
        if _is_open(inside) or name in shrunken:
            groups[_group(inside[0].facts)].append(name)
    taken = set(names)
    for (day, *_), those in sorted(groups.items()):
        for together in _filled([kept[name] for name in sorted(those)]):
            if len(together) > 1 or together[0][0].file in shrunken:
                _merge(files, _free(day, taken), together, done)
    done.files_after = sum(entry.name.endswith(SUFFIX) for entry in files.list())
    return done


def pieces(files: Files, names: Iterable[str], damaged: Callable[[str], None]) -> Iterator[Piece]:
    """What is in these files."""
    for name in names:
        try:
            with files.open(name) as file:
                facts = facts_of(file, name)
        except ShardError as error:
            damaged(str(error))
            continue
        first = 0
        for each in facts.each():
            yield Piece(name, each, first, bool(facts.sources))
            first += each.clips


def newest(found: Iterable[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The piece of each source that counts, and the others."""
    best: dict[str, Piece] = {}
    others = []
    for piece in found:
        known = best.get(piece.facts.name)
        if known is not None and known.rank >= piece.rank:
            others.append(piece)
            continue
        if known is not None:
            others.append(known)
        best[piece.facts.name] = piece
    return list(best.values()), others


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
    return (facts.made[:10] or "undated", str(facts.version), facts.config, facts.words, facts.model)


def _merge(files: Files, name: str, together: Sequence[list[Piece]], done: Compacted) -> None:
    _write(files, name, together)
    for inside in together:
        if _is_unchanged(files, inside):
            files.delete(inside[0].file)
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
    while (name := f"{FOLDER}{day}-{number}{SUFFIX}") in taken:
        number += 1
    taken.add(name)
    return name


def _write(files: Files, name: str, together: Sequence[list[Piece]]) -> None:
    """Raises: ShardError: a file is damaged, or what is read back is not what was written."""
    facts = facts_together([piece.facts for inside in together for piece in inside])
    tables = [_rows(files, inside, schema_of(facts.dims)) for inside in together]
    table = pyarrow.concat_tables(tables).replace_schema_metadata(metadata_of(facts))
    files.put(name, encoded(table))
    with files.open(name) as file:
        if facts_of(file, name) != facts:
            raise ShardError(f"{name}: was not stored as it was written; nothing was deleted")


def facts_together(all_facts: Sequence[Facts]) -> Facts:
    """The facts of a merged file."""
    dims = {name: size for facts in all_facts for name, size in facts.dims.items()}
    common = {field: getattr(all_facts[0], field) for field in COMMON}
    blank = {field: getattr(Facts(source="", name=""), field) for field in COMMON}
    return Facts(
        source="",
        name="",
        **common,
        dims=dims,
        clips=sum(facts.clips for facts in all_facts),
        labelled=sum(facts.labelled for facts in all_facts),
        failed=sum(facts.failed for facts in all_facts),
        seconds=round(sum(facts.seconds for facts in all_facts), 3),
        made=max(facts.made for facts in all_facts),
        sources=tuple(
            msgspec.structs.replace(facts, **blank, dims={} if facts.dims == dims else facts.dims)
            for facts in all_facts
        ),
    )


def _rows(files: Files, inside: Sequence[Piece], schema: Any) -> Any:
    """The rows of these pieces of one file, with a column of nulls for each vector that only other files have."""
    name = inside[0].file
    with files.open(name) as file:
        table = read_table(file)
    rows = [table.slice(piece.first, piece.facts.clips) for piece in inside]
    for piece, own in zip(inside, rows, strict=True):
        if own.num_rows != piece.facts.clips:
            raise ShardError(f"{name}: has {own.num_rows} rows of {piece.facts.name}, not {piece.facts.clips}")
    table = pyarrow.concat_tables(rows)
    columns = [
        table[field.name] if field.name in table.schema.names else pyarrow.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pyarrow.table(columns, schema=schema)


def _is_unchanged(files: Files, inside: Sequence[Piece]) -> bool:
    """Whether a file is still what was merged: another run may have labelled its source again meanwhile."""
    name = inside[0].file
    now = {piece.facts.name: piece.facts for piece in pieces(files, [name], lambda text: None)}
    return all(now.get(piece.facts.name) == piece.facts for piece in inside)
