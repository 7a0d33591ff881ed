"""Reads what the search cache keeps of a file of an archive."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet

from archive.schema import VECTORS
from archive.search.columns import ColumnState
from archive.shard import THREADED, ShardError, facts_of, vectors_in
from pipeline.arrays import Array

TEXTS = ("recorded", "device", "timecode")


class Reading:
    """An open file of an archive.

    Raises: ShardError: it is damaged, or no file of an archive.
    """

    def __init__(self, file: Any, name: str) -> None:
        self.facts = facts_of(file, name)
        self._name = name
        self._parquet = pyarrow.parquet.ParquetFile(file)
        self._present = set(self._parquet.schema_arrow.names)
        self.rows = int(self._parquet.metadata.num_rows)
        self.unusable = 0
        """Vectors read so far that have values which are no numbers, or infinite."""

    def columns(self, states: Mapping[str, ColumnState]) -> dict[str, Array]:
        """These columns, "N" or "N W". A vector that is missing or unusable is zeros, and its log-sum NaN.

        Raises: ShardError: the file is damaged.
        """
        stored = [name for column in states if (name := _stored(column)) in self._present]
        table = self._read(stored)
        found = {
            column: _values(table[_stored(column)], column, state)
            if _stored(column) in stored
            else absent(column, state, self.rows)
            for column, state in states.items()
        }
        for name in found.keys() & set(VECTORS):
            unusable: Array = np.any(~np.isfinite(found[name]), axis=1)
            if unusable.any():
                self.unusable += int(unusable.sum())
                found[name] = np.where(unusable[:, None], np.float16(0), found[name])
                found[f"{name}_log_sum"] = np.where(unusable, np.float32("nan"), found[f"{name}_log_sum"])
        return found

    def texts(self, rows: Sequence[int]) -> dict[int, dict[str, str]]:
        """What containers tell: the same in all rows of a source. rows: one of each."""
        table = self._read([name for name in TEXTS if name in self._present]).take(list(rows))
        texts = ({name: str(value or "") for name, value in row.items()} for row in table.to_pylist())
        return dict(zip(rows, texts, strict=True)) if table.num_columns else {row: {} for row in rows}

    def _read(self, columns: list[str]) -> Any:
        try:
            return self._parquet.read(columns, use_threads=THREADED)
        except (pyarrow.ArrowException, OSError) as error:
            raise ShardError(f"{self._name}: cannot be read ({str(error).splitlines()[0]})") from error


def absent(column: str, state: ColumnState, rows: int) -> Array:
    """Rows that no search finds."""
    shape = (rows, state.width) if state.width > 1 else (rows,)
    return np.full(shape, float("nan") if column.endswith("_log_sum") else 0, state.dtype)


def _stored(column: str) -> str:
    """The name in the file."""
    return f"{column}_vector" if column in VECTORS else column


def _values(values: Any, column: str, state: ColumnState) -> Array:
    if column in VECTORS:
        return vectors_in(values)
    missing = float("nan") if column.endswith("_log_sum") else 0.0
    found: Array = values.fill_null(missing).to_numpy()
    return found
