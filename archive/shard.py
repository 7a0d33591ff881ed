"""One file of an archive: written whole or not at all, and read with a check that it is whole."""

import base64
import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow
import pyarrow.parquet

from archive.schema import FACTS_KEY, FEATURES, VECTOR, VECTORS, Facts, is_vectors, row_of, schema_of
from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from pipeline.errors import PerceptError
from pipeline.result import SCHEMA_VERSION, ClipRecord

GROUP_ROWS = 8192
"""Rows of a row group: an hour of clips of half a second."""
THREADED = False
"""Whether Arrow decodes columns in threads of its own.

They may hold bytes of Python's for a moment after `read` has returned. If the process ends in that moment, it is
aborted: "terminate called without an active exception" (PyArrow 26.0). Several files are read at a time anyway.
"""


class ShardError(PerceptError):
    """A file of an archive is damaged, or none of ours."""


class ForeignError(ShardError):
    """A file is whole, but none of an archive, or of one that another version of percept has made."""


class Shard:
    """The rows of one source as they come."""

    def __init__(self, container: Mapping[str, str]) -> None:
        """container: timecode, recorded and device, as far as the source tells them."""
        self.container = container
        self.rows: list[dict[str, Any]] = []
        self.labelled = self.failed = 0
        self.seconds = self.failed_seconds = 0.0
        self.model = ""
        self.dims: dict[str, int] = {}
        self.features: dict[str, int] = {}
        self._vectors: dict[str, list[Array | None]] = {name: [] for name in VECTORS}
        self._features: dict[str, list[Array | None]] = {name: [] for name in MODALITIES}

    def add(self, record: ClipRecord) -> None:
        """Add a clip. Its part `stored` becomes columns."""
        stored = record.parts.get("stored")
        record = msgspec.structs.replace(
            record, parts={name: value for name, value in record.parts.items() if name != "stored"}
        )
        stored = _decoded(stored) if stored is not None else None
        self.rows.append(row_of(record, self.container, stored))
        vectors = {name: vector["values"] for name, vector in stored["vectors"].items()} if stored else {}
        _append(self._vectors, vectors, self.dims)
        _append(self._features, stored["features"] if stored else {}, self.features)
        self.model = self.model or record.model
        if record.is_result:
            self.labelled += 1
            self.seconds += record.end_s - record.start_s
        elif record.clip >= 0:
            self.failed += 1
            self.failed_seconds += record.end_s - record.start_s

    def table(
        self, facts: Facts, dims: Mapping[str, int] | None = None, features: Mapping[str, int] | None = None
    ) -> Any:
        """All rows, with the facts in the metadata of the schema.

        dims, features: of all vectors and features of the model. A source without sound has their columns too, since
        other tools read the files of an archive together.
        """
        schema = schema_of(dict(dims or {}) | facts.dims, dict(features or {}) | facts.features)
        plain = [field for field in schema if not is_vectors(field.name)]
        columns = pyarrow.Table.from_pylist(self.rows, pyarrow.schema(plain))
        arrays = [
            self._column(field.name, field.type) if is_vectors(field.name) else columns[field.name] for field in schema
        ]
        return pyarrow.table(arrays, schema=schema.with_metadata(metadata_of(facts)))

    def _column(self, column: str, kind: Any) -> Any:
        kept, end = (self._vectors, VECTOR) if column.endswith(VECTOR) else (self._features, FEATURES)
        vectors, size = kept[column.removesuffix(end)], kind.list_size
        absent = np.array([vector is None or len(vector) != size for vector in vectors], bool)
        values = np.zeros((len(vectors), size), np.float16)
        for place in np.flatnonzero(~absent):
            values[place] = vectors[place]
        flat = pyarrow.array(values.reshape(-1), pyarrow.float16())
        return pyarrow.FixedSizeListArray.from_arrays(flat, type=kind, mask=pyarrow.array(absent))


def _append(columns: Mapping[str, list[Array | None]], given: Mapping[str, bytes], sizes: dict[str, int]) -> None:
    """Add what a clip has to each column, None where it has nothing, and note how many values there are."""
    for name, column in columns.items():
        vector = np.frombuffer(given[name], "<f2") if name in given else None
        if vector is not None:
            sizes[name] = len(vector)
        column.append(vector)


def _decoded(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Bytes travel through JSON-able parts as base64."""
    vectors = {
        name: {"values": _bytes(vector["values"]), "log_sum": vector["log_sum"]}
        for name, vector in stored["vectors"].items()
    }
    features = {name: _bytes(values) for name, values in stored.get("features", {}).items()}
    return {**stored, "vectors": vectors, "features": features, "thumbnail": _bytes(stored.get("thumbnail", b""))}


def _bytes(value: bytes | str) -> bytes:
    return base64.b64decode(value) if isinstance(value, str) else value


def metadata_of(facts: Facts) -> dict[bytes, bytes]:
    return {FACTS_KEY: msgspec.json.encode(facts), b"percept.schema_version": str(SCHEMA_VERSION).encode()}


def encoded(table: Any) -> bytes:
    """A table of an archive as a Parquet file."""
    sink = io.BytesIO()
    with writer(sink, table.schema) as file:
        file.write_table(table, row_group_size=GROUP_ROWS)
    return sink.getvalue()


def writer(sink: Any, schema: Any) -> Any:
    """A Parquet writer for an archive: zstd, with dictionaries but for vectors.

    To split the bytes of vectors would pack them 8 % smaller, but DuckDB cannot read 16-bit floats that way.

    sink: a path or a file object.
    """
    vectors = [f"{field.name}.list.element" for field in schema if is_vectors(field.name)]
    others = [
        column.path for column in pyarrow.parquet.ParquetFile(_empty(schema)).schema if column.path not in vectors
    ]
    return pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd", use_dictionary=others)


def _empty(schema: Any) -> io.BytesIO:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(schema.empty_table(), sink)
    sink.seek(0)
    return sink


def facts_of(source: Any, name: str) -> Facts:
    """The facts of a file, from its footer. source: a path or a file object.

    Raises: ShardError: it is damaged or no file of an archive. OSError: it cannot be read.
    """
    try:
        metadata = pyarrow.parquet.read_metadata(source).metadata or {}
    except (pyarrow.ArrowException, OSError) as error:
        if not is_damage(error):
            raise
        raise ShardError(f"{name}: is no whole Parquet file ({str(error).splitlines()[0]})") from error
    if FACTS_KEY not in metadata:
        raise ForeignError(f"{name}: is not a file of an archive; percept label did not write it")
    try:
        return msgspec.json.decode(metadata[FACTS_KEY], type=Facts)
    except msgspec.DecodeError as error:
        raise ForeignError(f"{name}: was written by another version of percept ({error})") from error


def read_table(source: Any, columns: Sequence[str] | None = None, name: str = "") -> Any:
    """Columns of a file, all of them by default, as an Arrow table.

    source: a path or a file object. name: to be told if it is damaged; by default, that of the source.

    Raises: ShardError: it is damaged.
    """
    try:
        file = pyarrow.parquet.ParquetFile(source)
        return file.read(list(columns) if columns is not None else None, use_threads=THREADED)
    except (pyarrow.ArrowException, OSError) as error:
        if not is_damage(error):
            raise
        raise ShardError(f"{name or source}: cannot be read ({str(error).splitlines()[0]})") from error


def read_row(source: Any, row: int, columns: Sequence[str]) -> Any:
    """A table of one row of a file, of which one group of rows is read; empty if it has no such row.

    Raises: ShardError: it is damaged.
    """
    try:
        file = pyarrow.parquet.ParquetFile(source)
        sizes = (file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))
        for group, size in enumerate(sizes):
            if row < size:
                return file.read_row_group(group, list(columns), use_threads=THREADED).slice(row, 1)
            row -= size
        return file.schema_arrow.empty_table()
    except (pyarrow.ArrowException, OSError) as error:
        if not is_damage(error):
            raise
        raise ShardError(f"{source}: cannot be read ({str(error).splitlines()[0]})") from error


def batches_of(
    file: Any, columns: Sequence[str], rows: int = GROUP_ROWS, first: int = 0, stop: int | None = None
) -> Iterator[Any]:
    """An open `ParquetFile`, or its rows from `first` to `stop`, as Arrow tables of at most so many rows.

    Row groups are asked for one at a time: in one go, Arrow would read ahead and hold most of a large file.
    """
    at = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if at + size > first and (stop is None or at < stop):
            before = at
            for batch in file.iter_batches(rows, row_groups=[group], columns=list(columns), use_threads=THREADED):
                inside = pyarrow.Table.from_batches([batch])[
                    max(0, first - before) : len(batch) if stop is None else max(0, stop - before)
                ]
                if len(inside):
                    yield inside
                before += len(batch)
        at += size


def is_damage(error: Exception) -> bool:
    """Whether the bytes of a file are at fault. Arrow also raises an OSError for these, but one without a number."""
    return isinstance(error, pyarrow.ArrowException) or (isinstance(error, OSError) and error.errno is None)


def vectors_in(column: Any) -> Array:
    """A column of vectors as float16 "N D"; rows that have none are zeros. A chunked or plain Arrow array."""
    with contextlib.suppress(AttributeError):
        column = column.combine_chunks()
    size = column.type.list_size
    values: Array = column.values.to_numpy(zero_copy_only=False).reshape(-1, size)[
        column.offset : column.offset + len(column)
    ]
    if column.null_count:
        values = np.where(column.is_null().to_numpy(zero_copy_only=False)[:, None], np.float16(0), values)
    return values


def names_of_vectors(table_or_schema: Any) -> list[str]:
    """The vectors in text space that a file has: `image`, `fused_image` and the like."""
    schema = getattr(table_or_schema, "schema", table_or_schema)
    return [name for name in VECTORS if f"{name}{VECTOR}" in schema.names]
