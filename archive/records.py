"""Rows of an archive as the records that they were made of."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from archive.shard import ShardError
from pipeline.result import TYPES, ClipRecord
from pipeline.sinks.parquet import OTHER_PARTS

_FIELDS = frozenset(ClipRecord.__struct_fields__) - {"parts"}
_ROWS = 1024


def records_of(table: Any, name: str = "") -> Iterator[ClipRecord]:
    """The records in a table of an archive, in order. Columns that it lacks have their defaults.

    name: of the source, to be told.

    Raises: ShardError: a column that has no default is not there, or holds something else.
    """
    names = [name for name in table.column_names if name in _FIELDS or name in TYPES or name == OTHER_PARTS]
    for batch in table.select(names).to_batches(max_chunksize=_ROWS):
        try:
            records = [record_of(row) for row in batch.to_pylist()]
        except (msgspec.MsgspecError, TypeError, ValueError) as error:
            raise ShardError(f"{name or 'a table'}: its rows are no records of clips ({error})") from error
        yield from records


def record_of(row: Mapping[str, Any]) -> ClipRecord:
    """The record of one row. Vectors and what else an archive keeps beside it are left out."""
    fields = {name: value for name, value in row.items() if name in _FIELDS and value is not None}
    for name in ("absent", "failed", "measures"):
        if name in fields:
            fields[name] = dict(fields[name])
    parts = {name: msgspec.convert(_without_nulls(row[name]), kind) for name, kind in TYPES.items() if row.get(name)}
    if row.get(OTHER_PARTS):
        parts |= msgspec.json.decode(row[OTHER_PARTS])
    return msgspec.convert(fields | {"parts": parts}, ClipRecord)


def _without_nulls(value: Any) -> Any:
    """Without the fields of a struct that are null: a modality without evidence, a track without a name."""
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
