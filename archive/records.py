"""Rows of an archive as the records that they were made of."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pipeline.result import TYPES, ClipRecord
from pipeline.sinks.parquet import OTHER_PARTS

_FIELDS = frozenset(ClipRecord.__struct_fields__) - {"parts"}
_ROWS = 1024


def records_of(table: Any) -> Iterator[ClipRecord]:
    """The records in a table of an archive, in order. Columns that it lacks have their defaults."""
    names = [name for name in table.column_names if name in _FIELDS or name in TYPES or name == OTHER_PARTS]
    for batch in table.select(names).to_batches(max_chunksize=_ROWS):
        yield from map(record_of, batch.to_pylist())


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
