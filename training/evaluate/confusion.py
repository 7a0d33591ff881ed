"""Which labels are taken for which: the matrix, an order that puts the confused beside each other, the worst pairs."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Array
from training.evaluate.answers import Answered


class Pair(NamedTuple):
    """Examples of one label that were taken for another."""

    right: int
    given: int
    times: int
    of: int
    """So many examples the right label has."""


def confusion_matrix(answers: Iterable[Answered], view: str, labels: int) -> Array:
    """Counts int64 "C C": row is the right label, column the answer."""
    matrix = np.zeros((labels, labels), np.int64)
    for answered in answers:
        matrix[answered.right, answered.views[view].best] += 1
    return matrix


def worst_pairs(matrix: Array, most: int) -> list[Pair]:
    """Off the diagonal, the most frequent first, then the larger share of the label's examples."""
    of = matrix.sum(axis=1)
    rows, columns = np.nonzero(matrix - np.diag(np.diag(matrix)))
    pairs = [Pair(int(r), int(c), int(matrix[r, c]), int(of[r])) for r, c in zip(rows, columns, strict=True)]
    return sorted(pairs, key=lambda pair: (-pair.times, -pair.times / pair.of, pair.right, pair.given))[:most]


def used(matrix: Array) -> Array:
    """Indices of labels that have an example or were given as an answer."""
    found: Array = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    return found


def near_order(matrix: Array) -> Array:
    """An order of labels "C" in which those that are taken for each other stand near each other.

    Chains are joined end to end, the most confused pair first, as in single-linkage clustering.
    """
    of = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    alike = matrix / of
    alike = alike + alike.T
    np.fill_diagonal(alike, 0.0)
    chains = {index: [index] for index in range(len(matrix))}
    chain_of = list(range(len(matrix)))
    rows, columns = np.nonzero(np.triu(alike))
    for place in np.argsort(-alike[rows, columns], kind="stable"):
        a, b = chain_of[rows[place]], chain_of[columns[place]]
        if a == b:
            continue
        joined = _joined(chains.pop(a), chains.pop(b), int(rows[place]), int(columns[place]))
        chains[a] = joined
        for index in joined:
            chain_of[index] = a
    order = [index for chain in sorted(chains.values(), key=len, reverse=True) for index in chain]
    return np.array(order, int)


def _joined(one: list[int], other: list[int], a: int, b: int) -> list[int]:
    """Both chains in one, turned so that `a` of the first and `b` of the second come near each other."""
    if one.index(a) < len(one) / 2:
        one = one[::-1]
    if other.index(b) >= len(other) / 2:
        other = other[::-1]
    return one + other
