"""Which labels of a clip mean nearly the same, such as "car" and "automobile".

Text vectors that are close do not suffice: opposites ("opening a door", "closing a door") and siblings ("car horn",
"train horn") are close too. So the words of the labels have a say, and in doubt two labels are not near-synonyms.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.arrays import Array
from stages.words.label_side import LabelSide
from stages.words.scoring import SAME_MEANING

OTHER_WORDS = SAME_MEANING[1]
"""Least cosine of labels that share no word: car, automobile."""
ACTION_ADDED = 0.5
"""Least cosine of a thing, and of what it does or is done with it: dog, dog barking; guitar, playing guitar. No other
limit is lower."""
WORDS_ADDED = 0.84
"""Least cosine of a label, and of one with other words added: siren, police siren. Fire, fire engine are below it."""
LEAST_PROBABILITY = 0.1
"""Less probable labels are not compared, because they begin no event."""

_ARTICLES = frozenset(("a", "an", "the", "of"))
_NEGATIONS = frozenset(("no", "not", "non", "without", "never", "nobody", "nothing"))
_OPPOSITES = frozenset(
    map(frozenset, (("left", "right"), ("up", "down"), ("in", "out"), ("on", "off"), ("open", "closed")))
)


def near_synonyms(
    names: Sequence[str], rows: Sequence[int], sides: Mapping[str, LabelSide]
) -> dict[str, tuple[str, ...]]:
    """For each of these labels the others that mean nearly the same; labels without any are left out.

    rows: the number of each label in the label set. The measure is the median, over all towers, of the cosine
    relative to the background's mean: a word that one tower has learnt from examples may lie elsewhere there.
    """
    if len(names) < 2 or not sides:
        return {}
    cosine = np.median([_cosines(side, rows) for side in sides.values()], axis=0)
    found = {
        name: tuple(
            names[j]
            for j in np.flatnonzero(cosine[i] >= ACTION_ADDED).tolist()
            if i != j and cosine[i, j] >= (least_cosine(name, names[j]) or np.inf)
        )
        for i, name in enumerate(names)
    }
    return {name: others for name, others in found.items() if others}


def least_cosine(a: str, b: str) -> float | None:
    """From which cosine two labels are near-synonyms; None if their words say that they are not."""
    words, others = _words(a), _words(b)
    only_a, only_b = words - others, others - words
    differing = only_a | only_b
    if differing & _NEGATIONS or differing in _OPPOSITES or _is_negated(differing):
        return None
    if not words & others:
        return OTHER_WORDS
    if only_a and only_b:
        return None
    is_action = any(word.endswith("ing") and len(word) > len("thing") for word in differing)
    return ACTION_ADDED if is_action else WORDS_ADDED


def _cosines(side: LabelSide, rows: Sequence[int]) -> Array:
    """Cosines "N N" of the first synonyms of these labels."""
    first = np.asarray(rows) if side.starts is None else side.starts[np.asarray(rows)]
    vectors = np.asarray(side.labels[first], np.float64)
    if len(side.background) > 1:
        vectors = vectors - np.asarray(side.background, np.float64).mean(axis=0)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    result: Array = vectors @ vectors.T
    return result


def _words(label: str) -> frozenset[str]:
    return frozenset(label.casefold().replace("-", " ").split()) - _ARTICLES


def _is_negated(words: frozenset[str]) -> bool:
    """locked, unlocked"""
    return any(f"un{word}" in words for word in words)
