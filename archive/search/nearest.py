"""An index of vectors that finds most of the nearest ones without looking at all: IVF with 8 bits per value, of faiss.

One file per column, `.percept/search/<n>/image.ivf`, made when it is first asked for, and extended by the rows that
came since. It names candidates only; their scores are computed from the vectors themselves, see
`archive.search.candidates`. Beside it, `image.ivf.json` has check sums of the file and of the vectors that are in it:
an index that is damaged, or that of other vectors, is made again.
"""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from archive.search.catalog import column_path
from archive.search.columns import ColumnState, crc_of, damage
from archive.search.rows import Rows
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from pipeline.machine import core_count

FEWEST_LISTS, MOST_LISTS = 16, 4096
SAMPLES_PER_LIST = 64
PROBES = 32
"""Lists that are searched, of those whose centre is nearest."""
ADDED_ROWS = 1 << 17
GROWTH = 4
"""An index of so many times the rows that it was trained for is made again."""


def faiss_library() -> Any:
    """Raises: ConfigError: it is not installed."""
    try:
        import faiss
    except ImportError:
        raise ConfigError("--approximate needs faiss. Run: pip install 'percept-av[faiss]'") from None
    faiss.omp_set_num_threads(core_count())
    return faiss


class IndexState(msgspec.Struct, frozen=True):
    """What an index was when it was written."""

    file: ColumnState
    """A row is a byte."""
    rows: int
    """Of the column, that are in it."""
    crc: int
    """CRC-32 of these rows."""


class Nearest:
    """The index of one column of vectors, brought up to date. Made by who holds the lock of the cache.

    Raises: ConfigError: faiss is missing. OSError: the file cannot be written.
    """

    def __init__(self, folder: Path, rows: Rows, vector: str, report: Callable[[str], None]) -> None:
        self._faiss, self._rows, self._vector = faiss_library(), rows, vector
        self._state = rows.catalog.columns[vector]
        self.path = column_path(folder, rows.catalog.generation, vector, self._state).with_suffix(".ivf")
        self._state_path = self.path.with_name(f"{self.path.name}.json")
        self._index, self._crc, why = self._read()
        if why:
            report(f"the index of {vector} vectors is made again, because {why}")
        if self._index is None or len(rows) > GROWTH * max(1, self._trained_for()):
            report(f"preparing the approximate search of {len(rows):,} {vector} vectors")
            self._index, self._crc = self._trained(self._state.width), 0
        if self._extend() and self._crc != self._state.crc:
            report(f"the index of {vector} vectors is made again, because it is that of other vectors")
            self._index, self._crc = self._trained(self._state.width), 0
            self._extend()

    def _extend(self) -> bool:
        """Add the rows that the index does not have yet; whether there were any."""
        if self._index.ntotal >= len(self._rows):
            return False
        for first in range(self._index.ntotal, len(self._rows), ADDED_ROWS):
            column = self._rows.column(self._vector)[first : first + ADDED_ROWS]
            self._crc = zlib.crc32(np.ascontiguousarray(column).data, self._crc)
            self._index.add(np.ascontiguousarray(column, np.float32))
        if self._crc == self._state.crc:
            self._write()
        return True

    def rows_near(self, queries: Array, count: int, allowed: Array) -> Array:
        """Rows near any of the unit vectors "Q D": at most `count` for each, in no order. allowed: bool "N"."""
        faiss = self._faiss
        bits = np.packbits(allowed, bitorder="little")
        selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        parameters = faiss.SearchParametersIVF(sel=selector, nprobe=min(PROBES, self._index.nlist))
        found = self._index.search(np.ascontiguousarray(queries, np.float32), count, params=parameters)[1]
        rows: Array = np.unique(found[found >= 0])
        return rows

    def _part(self, where: slice | Array) -> Array:
        part: Array = np.ascontiguousarray(self._rows.column(self._vector)[where], np.float32)
        return part

    def _trained(self, width: int) -> Any:
        faiss, count = self._faiss, len(self._rows)
        lists = int(np.clip(2 * count**0.5, FEWEST_LISTS, MOST_LISTS))
        lists = max(1, min(lists, count // 4))
        chosen = np.random.default_rng(0).permutation(count)[: lists * SAMPLES_PER_LIST]
        quantizer = faiss.IndexFlatIP(width)
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, width, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        index.cp.seed = 1
        index.train(self._part(np.sort(chosen)))
        return index

    def _trained_for(self) -> int:
        """Rows that there were at least when it was trained: what the number of lists says."""
        lists = self._index.nlist
        return len(self._rows) if lists >= MOST_LISTS else int((lists / 2) ** 2)

    def _read(self) -> tuple[Any, int, str]:
        """The index and the check sum of the rows in it; if there is none that can be used, why."""
        if not self.path.exists():
            return None, 0, ""
        try:
            state = msgspec.json.decode(self._state_path.read_bytes(), type=IndexState)
            if why := damage(self.path, state.file):
                return None, 0, why
            self._owner = self._faiss.read_index(str(self.path))  # its parts live as long as it does
        except (OSError, msgspec.MsgspecError):
            return None, 0, f"{self._state_path.name} cannot be read"
        except RuntimeError:
            return None, 0, f"{self.path.name} cannot be read"
        index = self._faiss.downcast_index(self._owner)
        is_same = state.rows != len(self._rows) or state.crc == self._state.crc  # of fewer rows, see `_extend`
        if (index.d, index.ntotal) != (self._state.width, state.rows) or state.rows > len(self._rows) or not is_same:
            return None, 0, "it is that of other vectors"
        return index, state.crc, ""

    def _write(self) -> None:
        half = self.path.with_name(f".{self.path.name}.part")
        try:
            self._faiss.write_index(self._index, str(half))
        except RuntimeError as error:
            half.unlink(missing_ok=True)
            raise OSError(None, str(error).splitlines()[0]) from error
        size, mtime_ns = half.stat().st_size, half.stat().st_mtime_ns
        file = ColumnState("|u1", 1, rows=size, crc=crc_of(half, size), mtime_ns=mtime_ns)
        os.replace(half, self.path)
        half.write_bytes(msgspec.json.encode(IndexState(file, len(self._rows), self._crc)))
        os.replace(half, self._state_path)
