"""Confusions: the matrix, an order of labels that puts confused ones next to each other, and the worst pairs."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Array
from training.evaluate.answers import Answered


class Pair(NamedTuple):
    """Examples of one label that were mistaken for another."""

    right: int
    given: int
    times: int
    of: int
    """Number of examples of the right label."""


def confusion_matrix(answers: Iterable[Answered], view: str, labels: int) -> Array:
    """Counts, int64 "C C". The row is the right label, the column the answer."""
    matrix = np.zeros((labels, labels), np.int64)
    for answered in answers:
        matrix[answered.right, answered.views[view].best] += 1
    return matrix


def worst_pairs(matrix: Array, most: int) -> list[Pair]:
    """The pairs off the diagonal, most frequent first; equal ones by their share of the label's examples."""
    of = matrix.sum(axis=1)
    rows, columns = np.nonzero(matrix - np.diag(np.diag(matrix)))
    pairs = [Pair(int(r), int(c), int(matrix[r, c]), int(of[r])) for r, c in zip(rows, columns, strict=True)]
    return sorted(pairs, key=lambda pair: (-pair.times, -pair.times / pair.of, pair.right, pair.given))[:most]


def used(matrix: Array) -> Array:
    """Indices of the labels that have an example or occur as an answer."""
    found: Array = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    return found


def near_order(matrix: Array) -> Array:
    """An order of labels, "C", in which labels that are confused with each other are near each other.

    Chains are joined end to end, the most confused pair first, as in single-linkage clustering.
    """
    of = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    confused = matrix / of
    confused = confused + confused.T
    np.fill_diagonal(confused, 0.0)
    chains = {index: [index] for index in range(len(matrix))}
    chain_of = list(range(len(matrix)))
    rows, columns = np.nonzero(np.triu(confused))
    for place in np.argsort(-confused[rows, columns], kind="stable"):
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
    """Both chains in one, turned so that `a` of the first and `b` of the second are near each other."""
    if one.index(a) < len(one) / 2:
        one = one[::-1]
    if other.index(b) >= len(other) / 2:
        other = other[::-1]
    return one + other
