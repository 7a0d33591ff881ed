"""All clips of an archive that can be searched, as rows of mapped columns."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from archive.search.catalog import Catalog, Segment, column_path
from archive.search.columns import mapped
from pipeline.arrays import Array


class Rows:
    """The rows of a search cache. They are paged in as they are read; nothing is copied."""

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self.catalog = catalog
        self._columns = {
            name: mapped(column_path(folder, catalog.generation, name, state), state)
            for name, state in catalog.columns.items()
        }
        self._tensors: dict[str, torch.Tensor] = {}

    def __len__(self) -> int:
        return self.catalog.rows

    def has(self, vector: str) -> bool:
        return vector in self._columns

    def column(self, name: str) -> Array:
        return self._columns[name]

    def tensor(self, name: str) -> torch.Tensor:
        if name not in self._tensors:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is mapped read-only, and nobody writes to it
                self._tensors[name] = torch.from_numpy(self._columns[name])
        return self._tensors[name]

    @cached_property
    def alive(self) -> Array:
        """Rows that are still in the archive: bool "N"."""
        alive = np.ones(len(self), bool)
        for segment in self.catalog.segments:
            if segment.dead:
                alive[segment.first : segment.stop] = False
        return alive

    @cached_property
    def _stops(self) -> Array:
        return np.array([segment.stop for segment in self.catalog.segments])

    def segment_numbers(self, rows: Array) -> Array:
        """Which segment each row belongs to."""
        found: Array = np.searchsorted(self._stops, rows, side="right")
        return found

    def segment_of(self, row: int) -> Segment:
        return self.catalog.segments[int(self.segment_numbers(np.array(row)))]

    def find(self, source: str) -> Segment | None:
        """The rows of a source, by its name in the archive or as it was given when it was labelled."""
        living = (segment for segment in self.catalog.segments if not segment.dead)
        return next((segment for segment in living if source in (segment.name, segment.source)), None)


class Block:
    """Some rows, for a scan in 32-bit floats. scratch: buffers that one thread uses again for block after block."""

    def __init__(self, rows: Rows, where: slice, scratch: dict[str, torch.Tensor]) -> None:
        self._rows, self._where, self._scratch = rows, where, scratch
        self.size = where.stop - where.start

    def has(self, vector: str) -> bool:
        return self._rows.has(vector)

    def numbers(self, column: str) -> torch.Tensor:
        """A column of one number per row, float32 "B"."""
        return self._rows.tensor(column)[self._where].float()

    def cosines(self, name: str, queries: torch.Tensor) -> torch.Tensor:
        """Dot products with float32 "Q D" -> "Q B".

        Converted in blocks that stay in the processor's cache, 32-bit floats cost half more time than 16-bit ones for
        one query, less for several, and are exact to 1e-6.
        """
        vectors = self._rows.tensor(name)[self._where]
        buffer = self._scratch.get(name)
        if buffer is None or len(buffer) < self.size:
            buffer = self._scratch[name] = torch.empty(vectors.shape, dtype=torch.float32)
        return queries @ buffer[: self.size].copy_(vectors).T


def exact(rows: Rows, column: str, where: Sequence[int] | Array) -> Array:
    """Some rows of a column in 64-bit floats."""
    found: Array = np.asarray(rows.column(column)[np.asarray(where)], np.float64)
    return found
