"""Which words name a thing that a box can be around: an object, an animal or a person."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.arrays import Array
from stages.words.word import BUNDLED_MODEL, read_lines

TABLE = Path(__file__).with_name("things.txt")
RIDGE = 1.0
LEAST_SCORE = 0.2
"""An unknown word is a thing from this score on: -1 is what known actions, places and sounds have on average, 1 things.
Above the middle, because a box without a name is better than one with a wrong name."""
LEAST_KNOWN = 50
"""With fewer known words of each kind than this, unknown words are not judged: they are no things."""
NOUNS = frozenset(
    {"awning", "ceiling", "darling", "duckling", "dumpling", "earring", "evening", "gosling", "herring",
    "lemming", "morning", "pudding", "railing", "sapling", "seedling", "sibling", "starling", "stocking", "wedding"}
)  # fmt: skip
"""Nouns in "-ing" that are no verbs."""
NOUNS_AS_HEAD = frozenset({"building", "carving", "clothing", "drawing", "engraving", "painting"})
"""Nouns in "-ing" that are also verbs."""


def are_things(words: Sequence[str], vectors: Array, reference: Sequence[str], reference_vectors: Array) -> Array:
    """Which of `words` are things, bool "N".

    A word of the bundled table or vocabularies is what they say. One with a verb in "-ing" ("dog barking") is none. Any
    other is judged in the model's own text space, by a ridge regression on the known ones among `reference`.

    vectors: unit, "N D", of the words; reference_vectors: "V D", of words such as the background vocabulary.
    """
    scores = _scores(vectors, reference, reference_vectors)
    kinds = [known(word) for word in words]
    judged = [not is_activity(word) and score >= LEAST_SCORE for word, score in zip(words, scores, strict=True)]
    return np.array([guess if kind is None else kind for kind, guess in zip(kinds, judged, strict=True)], bool)


def known(word: str) -> bool | None:
    """Whether a word is a thing, if the bundled lists have it."""
    things, others = _lists()
    plain = _plain(word)
    return True if plain in things else False if plain in others else None


def is_activity(text: str) -> bool:
    """Whether a verb in "-ing" is in the text: `dog barking`, not `king` (Porter 1980, step 1b: *v*).

    Nouns in "-ing" are no verbs; those that may be verbs too count as nouns where they are the head, the last word:
    `tall building`, but `building a house`. A listed thing of two words at the end has
    none, `swimming pool`.
    """
    words = re.findall(r"\w+", text.casefold())
    words = words[:-2] if " ".join(words[-2:]) in _lists()[0] else words
    verbs = (word for place, word in enumerate(words, 1) if not _is_noun(word, is_head=place == len(words)))
    return any(word.endswith("ing") and re.search("[aeiouy]", word[:-3]) for word in verbs)


def _is_noun(word: str, is_head: bool) -> bool:
    return bool({word, word.removesuffix("s")} & NOUNS) or (is_head and word in NOUNS_AS_HEAD)


def _scores(vectors: Array, reference: Sequence[str], reference_vectors: Array) -> Array:
    kinds = [known(word) for word in reference]
    rows = [row for row, kind in enumerate(kinds) if kind is not None]
    signs = np.array([1.0 if kinds[row] else -1.0 for row in rows])
    if min((signs > 0).sum(), (signs < 0).sum()) < LEAST_KNOWN:
        return np.full(len(vectors), -1.0)
    middle = reference_vectors.mean(axis=0, dtype=np.float64)
    x = _centred(reference_vectors[rows], middle)
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ signs)
    scores: Array = _centred(vectors, middle) @ weights
    return scores


def _centred(vectors: Array, middle: Array) -> Array:
    moved = np.asarray(vectors, np.float64) - middle
    result: Array = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
    return result


@cache
def _lists() -> tuple[frozenset[str], frozenset[str]]:
    """The known things, and the known words that are none."""
    things = frozenset(_words(TABLE))
    vocabularies = (BUNDLED_MODEL / name for name in ("background.txt", "vocabulary.txt"))
    return things, frozenset(word for path in vocabularies for word in _words(path)) - things


def _words(path: Path) -> Iterable[str]:
    return (_plain(line) for line in read_lines(path, str(path)) if line.strip() and not line.startswith("#"))


def _plain(word: str) -> str:
    return " ".join(word.casefold().replace("_", " ").split())
