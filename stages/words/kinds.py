"""Which everyday words are kinds of a label: in a picture of a dog, "animal" is right, and "dog" is no rival of it.

CHiLS (Novack et al. 2023, arXiv 2302.02551) asks for the kinds of a label in its place. Here they only move its vector
and do not compete with it, so one label still costs one cosine.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from pipeline.arrays import Array
from stages.words.word import SYNONYM, read_lines

TABLE = Path(__file__).with_name("kinds.txt")
LEAST = 3
"""With fewer kinds their mean is one of them rather than the label."""


def are_kinds(names: Sequence[str], words: Sequence[str], and_others: bool = False) -> Array:
    """Which words are kinds of which name, bool "N W"; with those that also say that it is right, if `and_others`."""
    rows_of = defaultdict[str, list[int]](list)
    for row, word in enumerate(words):
        rows_of[bare_name(word)].append(row)
    result = np.zeros((len(names), len(words)), bool)
    for row, name in enumerate(names):
        for kind in kinds_of(name) | (others_of(name) if and_others else frozenset()):
            result[row, rows_of.get(kind, [])] = True
    return result


def nearer_to_kinds(vectors: Array, words: Array, kinds: Array, share: float) -> Array:
    """Label vectors mixed with the mean of their kinds, where there are enough: unit "N D", "W D", bool "N W"."""
    moved = np.array(vectors)
    for row in np.flatnonzero(kinds.sum(axis=1) >= LEAST) if share else ():
        mixed = (1.0 - share) * vectors[row] + share * _unit(words[kinds[row]].mean(axis=0))
        moved[row] = _unit(mixed)
    return moved


@lru_cache(maxsize=8192)
def kinds_of(name: str) -> frozenset[str]:
    """All words that the bundled table knows as kinds of a name, at any distance; none for a name it lacks.

    Case, spaces and an article in front make no difference. The name itself is not among them.
    """
    found, todo = set[str](), [bare_name(name)]
    while todo:
        below = _table().get(todo.pop(), _NONE).kinds - found
        found |= below
        todo += below
    return frozenset(found - {bare_name(name)})


def others_of(name: str) -> frozenset[str]:
    """Words that are no kinds of a name and say that it is right, such as "face" of "person"."""
    return frozenset[str]().union(*(_table().get(each, _NONE).others for each in (bare_name(name), *kinds_of(name))))


@dataclass(frozen=True)
class _Entry:
    kinds: frozenset[str]
    """Those just below."""
    others: frozenset[str]


_NONE = _Entry(frozenset(), frozenset())


@cache
def _table() -> dict[str, _Entry]:
    """The entry of each name; all words are in lower case."""
    lines = [line for line in read_lines(TABLE, str(TABLE)) if line.strip() and not line.startswith("#")]
    parts = [line.partition("=") for line in lines]
    same = {name: names for names in (_words(line, SYNONYM) for line, _, _ in parts) for name in names}
    table = dict[str, _Entry]()
    for line, _, found in parts:
        kinds, _, others = found.partition(";")
        every = frozenset(name for kind in _words(kinds) for name in same.get(kind, {kind}))
        table |= dict.fromkeys(_words(line, SYNONYM), _Entry(every, _words(others)))
    return table


def _words(text: str, separator: str = ",") -> frozenset[str]:
    return frozenset(filter(None, map(bare_name, text.split(separator))))


@lru_cache(maxsize=8192)
def bare_name(name: str) -> str:
    """In lower case, with single spaces and without an article in front."""
    words = name.casefold().replace("_", " ").split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("a", "an", "the") else words)


def _unit(vector: Array) -> Array:
    result: Array = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return result
