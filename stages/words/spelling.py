"""Finds names that may be no words, by how a tokenizer splits them, and what they may have been meant to be."""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator

from engines.models.model import TextSpec
from engines.models.tokens import readings

CLOSE = 0.85
"""Share of equal letters from which an unusual word may be a known one, misspelt."""
SHORT_PIECES = 2.0
"""A word that is split into pieces of at most so many letters on average may be no word."""
LEAST_PIECES, LEAST_LETTERS = 3, 4
ENDINGS = frozenset(("s", "es", "d", "ed", "r", "er", "ing", "n", "en", "y", "ly"))


def letters_of(name: str) -> list[str]:
    """The words of a name that are long enough to be judged: of ASCII letters, in lower case."""
    return [word for word in re.findall(r"[a-z]+", name.casefold()) if len(word) >= LEAST_LETTERS and name.isascii()]


def unusual(names: Iterable[str], text: TextSpec, known: Collection[str]) -> Iterator[tuple[str, str, int, str]]:
    """Each name with a word that may be none: the name, the word, its pieces, and the known word it resembles or "".

    Words in `known` and words that are one token are fine: a tokenizer has those that its training texts often had.

    Raises:
        ModelError: the tower has no usable tokenizer.
    """
    fine = {word for name in known for word in letters_of(name)}
    asked = [(name, word) for name in names for word in letters_of(name) if word not in fine]
    if not asked:
        return
    for (name, word), reading in zip(asked, readings(text, [word for _, word in asked]), strict=True):
        if reading.pieces < 2:
            continue
        meant = resembles(word, fine)
        if meant or (reading.pieces >= LEAST_PIECES and len(word) <= SHORT_PIECES * reading.pieces):
            yield name, word, reading.pieces, meant


def resembles(word: str, known: Collection[str]) -> str:
    """The known word that differs by a letter or two, "" for none. Another form of a known word is no misspelling."""
    near = difflib.get_close_matches(word, known, 3, CLOSE)
    if any(_is_form(word, one) or _is_form(one, word) for one in near):
        return ""
    return near[0] if near else ""


def _is_form(longer: str, word: str) -> bool:
    """zebras, zebra; skating, skate"""
    stems = (word, word.removesuffix("e"), word.removesuffix("y") + "i")
    return any(longer.startswith(stem) and longer[len(stem) :] in ENDINGS for stem in stems)
