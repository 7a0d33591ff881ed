"""Looks at every clip of an archive, and settles which ones are the best."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from archive.search.query import NOTHING, Query
from archive.search.rows import Block, Rows
from pipeline.arrays import Array
from pipeline.machine import core_count

BLOCK_ROWS = 1024
"""As float32, a block of 512 values per row is 2 MB."""
SHARE_ROWS = 32 * BLOCK_ROWS
"""What a thread takes at a time."""
FIRST = 256
GROWTH = 4


def over_blocks(rows: Rows, look: Callable[[Block, slice], None]) -> None:
    """Call `look` with every block of rows, in as many threads as there are cores.

    Each works on blocks of its own with one thread of torch, because threads that share small products wait for each
    other most of the time where cores are busy.
    """
    shares = [slice(first, min(first + SHARE_ROWS, len(rows))) for first in range(0, len(rows), SHARE_ROWS)]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(min(core_count(), max(1, len(shares)))) as pool:
            for done in [pool.submit(_share, rows, share, look) for share in shares]:
                done.result()
    finally:
        torch.set_num_threads(before)


def _share(rows: Rows, share: slice, look: Callable[[Block, slice], None]) -> None:
    scratch: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        for first in range(share.start, share.stop, BLOCK_ROWS):
            where = slice(first, min(first + BLOCK_ROWS, share.stop))
            look(Block(rows, where, scratch), where)


class Scan:
    """The scores of all rows, as upper bounds: float32 "N", 4 bytes per clip. Rows that `allowed` leaves out have none.

    allowed: bool "N", or None for all.
    """

    def __init__(self, rows: Rows, query: Query, allowed: Array | None = None) -> None:
        self._rows, self._query = rows, query
        self.bounds = np.empty(len(rows), np.float32)
        over_blocks(rows, self._look)
        alive = rows.alive
        self.mean = self._mean(alive)
        self.bounds[~alive if allowed is None else ~(alive & allowed)] = NOTHING
        self.bounds[np.isnan(self.bounds)] = NOTHING

    def _look(self, block: Block, where: slice) -> None:
        self.bounds[where] = self._query.bound(block).numpy()

    def _mean(self, alive: Array) -> float:
        """Over all rows, those too that are not allowed: what is usual does not depend on what is asked for."""
        found = self.bounds[alive & np.isfinite(self.bounds)]
        return float(found.mean(dtype=np.float64)) if len(found) else 0.0

    def best_first(self) -> Iterator[tuple[int, float]]:
        """Row and exact score of every clip that has one, the best first; equal ones in the order of rows.

        Rows are settled in growing portions: a row is given when its exact score is above every bound of the rows
        that are not settled yet, so the order is that of a full computation in 64 bits.
        """
        count, given = min(FIRST, len(self.bounds)), 0
        while True:
            candidates, rest = self._candidates(count)
            scores = self._exact(candidates)
            order = np.lexsort((candidates, -scores))
            settled = [place for place in order if np.isfinite(scores[place]) and scores[place] > rest]
            for place in settled[given:]:
                yield int(candidates[place]), float(scores[place])
            given = len(settled)
            if rest == NOTHING:
                return
            count = min(count * GROWTH, len(self.bounds))

    def _exact(self, rows: Array) -> Array:
        parts = [rows[first : first + BLOCK_ROWS] for first in range(0, len(rows), BLOCK_ROWS)]
        return np.concatenate([self._query.exact(self._rows, part) for part in parts]) if parts else np.zeros(0)

    def _candidates(self, count: int) -> tuple[Array, float]:
        """The rows with the `count` highest bounds, and the highest bound of the others."""
        if count >= len(self.bounds):
            return np.flatnonzero(self.bounds > NOTHING), NOTHING
        order = np.argpartition(self.bounds, len(self.bounds) - count - 1)
        rest = float(self.bounds[order[len(self.bounds) - count - 1]])
        best = order[len(self.bounds) - count :]
        return best[self.bounds[best] > NOTHING], rest
