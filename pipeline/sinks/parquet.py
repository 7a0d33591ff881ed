"""A Parquet table with one row per clip and the fields of its JSON object, nested types included."""

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet
from msgspec import inspect

from pipeline.clip import MODALITIES
from pipeline.result import SCHEMA_VERSION, TYPES, ClipRecord, Evidence
from pipeline.sinks.file import output_error, part_name, printable
from pipeline.sinks.jsonl import rounded
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec

GROUP_ROWS = 2048
"""Rows of a row group. Each group is written once it is full."""
OTHER_PARTS = "other_parts"
"""Column of what stages of the user's own added, as a JSON object."""
_PLAIN: dict[type, Any] = {
    inspect.StrType: pyarrow.string(),
    inspect.IntType: pyarrow.int64(),
    inspect.FloatType: pyarrow.float64(),
    inspect.BoolType: pyarrow.bool_(),
}


def table_schema() -> Any:
    """The columns: the fields of a record in their order, with one column for each part in place of `parts`."""
    columns: list[tuple[str, Any]] = []
    for field in msgspec.structs.fields(ClipRecord):
        if field.name == "parts":
            columns += [(name, arrow_type(inspect.type_info(kind))) for name, kind in TYPES.items()]
            columns.append((OTHER_PARTS, pyarrow.string()))
        else:
            columns.append((field.name, arrow_type(inspect.type_info(field.type))))
    return pyarrow.schema(columns)


def arrow_type(kind: inspect.Type) -> Any:
    """The Arrow type of a field. Evidence by modality is a struct, other objects are maps, boxes are fixed lists."""
    match kind:
        case inspect.Metadata(inner):
            return arrow_type(inner)
        case inspect.UnionType(types):
            return arrow_type(next(each for each in types if not isinstance(each, inspect.NoneType)))
        case inspect.ListType(item_type=item):
            return pyarrow.list_(arrow_type(item))
        case inspect.TupleType(items):
            return pyarrow.list_(arrow_type(items[0]), len(items))
        case inspect.DictType(value_type=inspect.StructType(cls=cls) as value) if cls is Evidence:
            return pyarrow.struct([(str(name), arrow_type(value)) for name in MODALITIES])
        case inspect.DictType(key_type=key, value_type=value):
            return pyarrow.map_(arrow_type(key), arrow_type(value))
        case inspect.StructType(fields=fields):
            return pyarrow.struct([(field.name, arrow_type(field.type)) for field in fields])
    return _PLAIN[type(kind)]


def table_row(record: ClipRecord) -> dict[str, Any]:
    """The values of a record by column. Numbers are rounded as in JSON lines."""
    row: dict[str, Any] = msgspec.to_builtins(rounded(record))
    parts = row.pop("parts", {})
    other = {name: value for name, value in parts.items() if name not in TYPES}
    row = {field: row.get(field, default) for field, default in _DEFAULTS.items()} | row
    for name in ("absent", "failed"):
        row[name] = list(row[name].items())
    row["source"] = printable(record.source)
    row |= {name: parts.get(name) for name in TYPES}
    return row | {OTHER_PARTS: msgspec.json.encode(other).decode() if other else None}


_DEFAULTS: dict[str, Any] = {
    field.name: {} if field.default is msgspec.NODEFAULT else field.default
    for field in msgspec.structs.fields(ClipRecord)
    if not field.required and field.name != "parts"
}


class Parquet(Sink):
    """Written under a temporary name, row group by row group, and renamed when it is complete.

    The metadata of the file have the model, the engine and the version of the schema, under `percept.*`.
    """

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._part = part_name(spec.path)
        self._schema = table_schema()
        self._rows: list[dict[str, Any]] = []
        self._facts: dict[str, set[str]] = {"model": set(), "engine": set(), "engine_reason": set()}
        self._file: Any = None
        self._writer: Any = None

    def open(self) -> None:
        try:
            self._file = open(self._part, "wb")  # noqa: SIM115
            self._writer = pyarrow.parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        except OSError as error:
            raise output_error(self.spec.path, error) from error

    def write(self, record: ClipRecord) -> None:
        for name, values in self._facts.items():
            values |= {getattr(record, name)} - {""}
        self._rows.append(table_row(record))
        if len(self._rows) >= GROUP_ROWS:
            self._write_group()

    def close(self, complete: bool) -> None:
        if self._file is None:
            return
        try:
            if complete:
                self._finish()
                Path(self._part).replace(self.spec.path)
        except OSError as error:
            raise output_error(self.spec.path, error) from error
        finally:
            with contextlib.suppress(OSError, ValueError):  # of a file that is removed
                self._writer.close()
                self._file.close()
            self._file = self._writer = None
            Path(self._part).unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._rows:
            self._write_group()
        facts = {f"percept.{name}": "; ".join(sorted(values)) for name, values in self._facts.items() if values}
        self._writer.add_key_value_metadata(facts | {"percept.schema_version": str(SCHEMA_VERSION)})
        self._writer.close()
        self._file.close()

    def _write_group(self) -> None:
        rows, self._rows = self._rows, []
        try:
            self._writer.write_table(pyarrow.Table.from_pylist(rows, self._schema))
        except OSError as error:
            raise output_error(self.spec.path, error) from error
