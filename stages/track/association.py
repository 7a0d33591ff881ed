"""Which detection continues which track: the minimum-cost assignment."""

import numpy as np

from pipeline.arrays import Array

FORBIDDEN = 1e6
"""Cost of a pair that must not be matched."""


def match(cost: Array, most: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost, as many as possible, none with a cost above `most`; ascending.

    A missing pair counts as `FORBIDDEN`, so two poor matches win over one good one. Most boxes have no rival: rows and
    columns that can only match each other are paired directly, and the assignment is solved for the rest.
    """
    allowed = cost <= most
    alone = allowed & (allowed.sum(axis=1) == 1)[:, None] & (allowed.sum(axis=0) == 1)[None]
    pairs = [(int(i), int(j)) for i, j in zip(*np.nonzero(alone), strict=True)]
    rows, columns = (np.flatnonzero((allowed & ~alone).any(axis=axis)) for axis in (1, 0))
    if len(rows):
        square = np.full((max(len(rows), len(columns)),) * 2, FORBIDDEN)
        square[: len(rows), : len(columns)] = np.where(allowed, cost, FORBIDDEN)[np.ix_(rows, columns)]
        rivals = [(i, j) for i, j in enumerate(assign(square)) if square[i, j] < FORBIDDEN]
        pairs += [(int(rows[i]), int(columns[j])) for i, j in rivals]
    return sorted(pairs)


def assign(cost: Array) -> list[int]:
    """The column assigned to each row of a square cost matrix "N N", with the least total cost.

    Hungarian method with row and column potentials (Kuhn 1955, Munkres 1957; shortest augmenting paths as in Jonker
    and Volgenant 1987), O(N^3). Implemented here because N stays below a few dozen and nothing else needs SciPy.
    """
    n = len(cost)
    row_of = np.full(n + 1, -1)  # row that holds each column; column n is the virtual start
    row_price, column_price = np.zeros(n), np.zeros(n + 1)
    for row in range(n):
        row_of[n] = row
        column = n
        least = np.full(n, np.inf)
        came_from = np.full(n, n)
        used = np.zeros(n + 1, bool)
        while row_of[column] >= 0:
            used[column] = True
            reduced = cost[row_of[column]] - row_price[row_of[column]] - column_price[:n]
            better = ~used[:n] & (reduced < least)
            least[better], came_from[better] = reduced[better], column
            free = np.where(used[:n], np.inf, least)
            following = int(free.argmin())
            step = free[following]
            row_price[row_of[used]] += step
            column_price[used] -= step
            least[~used[:n]] -= step
            column = following
        while column != n:
            row_of[column] = row_of[came_from[column]]
            column = int(came_from[column])
    columns = [0] * n
    for column in range(n):
        columns[row_of[column]] = column
    return columns
