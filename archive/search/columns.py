"""Raw columns on disk: rows of numbers, one after the other, that are appended to and mapped into memory."""

import mmap
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np

from pipeline.arrays import Array

READ_BYTES = 8 << 20


class ColumnState(msgspec.Struct, frozen=True):
    """What is known to be on disk. Bytes beyond `rows` are left over from an update that was interrupted."""

    dtype: str
    width: int
    """Numbers per row."""
    rows: int = 0
    crc: int = 0
    """CRC-32 of all rows."""
    mtime_ns: int = 0

    @property
    def row_bytes(self) -> int:
        return np.dtype(self.dtype).itemsize * self.width


class Appender:
    """An open column that grows. A context manager; what is beyond the known rows is cut off first."""

    def __init__(self, path: Path, state: ColumnState) -> None:
        self.path, self.state = path, state
        self.rows, self._crc = state.rows, state.crc

    def __enter__(self) -> Self:
        self._file = open(self.path, "r+b" if self.path.exists() else "w+b")
        if self._file.seek(0, os.SEEK_END) != self.rows * self.state.row_bytes:
            self._file.truncate(self.rows * self.state.row_bytes)
            self._file.seek(0, os.SEEK_END)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, values: Array) -> None:
        """Add rows: "N" or "N W"."""
        data = np.ascontiguousarray(values, self.state.dtype).reshape(-1, self.state.width)
        self._file.write(data.data)
        self._crc = zlib.crc32(data.data, self._crc)
        self.rows += len(data)

    def commit(self) -> ColumnState:
        """All rows on disk, and the state that says so."""
        self._file.flush()
        os.fsync(self._file.fileno())
        mtime_ns = os.fstat(self._file.fileno()).st_mtime_ns
        return msgspec.structs.replace(self.state, rows=self.rows, crc=self._crc, mtime_ns=mtime_ns)


def mapped(path: Path, state: ColumnState) -> Array:
    """The rows, read-only and paged in as they are used: "N", or "N W" for columns of several numbers."""
    shape = (state.rows, state.width) if state.width > 1 else (state.rows,)
    if not state.rows:
        return np.zeros(shape, state.dtype)
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), state.rows * state.row_bytes, prot=mmap.PROT_READ)
    return np.frombuffer(pages, state.dtype).reshape(shape)


def damage(path: Path, state: ColumnState) -> str:
    """Why a column cannot be used; "" if it can. It is read only if its time says that others have written to it."""
    try:
        facts = path.stat()
        if facts.st_size < state.rows * state.row_bytes:
            return f"{path.name} has {facts.st_size:,} bytes; expected {state.rows * state.row_bytes:,}"
        if facts.st_mtime_ns == state.mtime_ns or crc_of(path, state.rows * state.row_bytes) == state.crc:
            return ""
    except OSError as error:
        return f"{path.name}: {error.strerror}"
    return f"{path.name} was changed"


def crc_of(path: Path, size_bytes: int) -> int:
    """CRC-32 of the first bytes of a file. Raises: OSError."""
    crc = 0
    with path.open("rb") as file:
        while size_bytes and (block := file.read(min(READ_BYTES, size_bytes))):
            crc = zlib.crc32(block, crc)
            size_bytes -= len(block)
    return crc
