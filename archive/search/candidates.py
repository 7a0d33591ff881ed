"""Settles the best clips among those that an index names, with the scores that a look at all of them would give."""

from collections.abc import Iterator, Mapping

import numpy as np

from archive.search.nearest import Nearest
from archive.search.query import NOTHING, Query
from archive.search.rows import Rows
from archive.search.scan import BLOCK_ROWS
from pipeline.arrays import Array

PER_HIT = 100
"""Candidates for each hit that is wanted, from each vector of the query."""
FEWEST = 2000
AROUND = 16
"""Clips before and after a candidate that may belong to the same hit."""
SAMPLE = 4096
"""Rows for the mean score, of all that there are."""


class Candidates:
    """The same to its user as `archive.search.scan.Scan`, but rows far from the query have no score.

    needles: what to look for in which index, "Q D".
    """

    def __init__(
        self, rows: Rows, query: Query, needles: Mapping[str, tuple[Nearest, Array]], top: int, allowed: Array | None
    ) -> None:
        living = rows.alive
        alive = living if allowed is None else living & allowed
        count = min(len(rows), max(FEWEST, PER_HIT * top))
        named = [index.rows_near(queries, count, alive) for index, queries in needles.values()]
        self._rows, self._query = rows, query
        near = np.unique(np.concatenate(named)) if named else np.zeros(0, np.int64)
        wide = np.unique((near[:, None] + np.arange(-AROUND, AROUND + 1)).clip(0, max(0, len(rows) - 1)))
        self.bounds = np.full(len(rows), NOTHING, np.float32)
        wide = wide[alive[wide]] if len(rows) else wide
        self.bounds[wide] = self._exact(wide)
        self._near = near
        every = np.flatnonzero(living)
        self.mean = self._mean(every[:: max(1, len(every) // SAMPLE)])

    def best_first(self) -> Iterator[tuple[int, float]]:
        """Row and exact score of the candidates, the best first; equal ones in the order of rows."""
        scores = self._exact(self._near)
        for place in np.lexsort((self._near, -scores)):
            if np.isfinite(scores[place]):
                yield int(self._near[place]), float(scores[place])

    def _mean(self, sample: Array) -> float:
        scores = self._exact(sample)
        scores = scores[np.isfinite(scores)]
        return float(scores.mean()) if len(scores) else 0.0

    def _exact(self, rows: Array) -> Array:
        parts = [rows[first : first + BLOCK_ROWS] for first in range(0, len(rows), BLOCK_ROWS)]
        return np.concatenate([self._query.exact(self._rows, part) for part in parts]) if parts else np.zeros(0)
