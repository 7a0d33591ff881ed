"""Words reduced to stems, so that "did the dog bark" finds the label "dog barking"."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("words.toml")
VOWELS = frozenset("aeiouy")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


def words_in(text: str) -> list[str]:
    """The words of a text, in lower case, without possessives."""
    return [re.sub(r"['’]s?$|['’]s$", "", word) for word in _WORD.findall(text.casefold())]


def stems(text: str) -> frozenset[str]:
    """The stems of a text's words, without those that say nothing; all of them if nothing else is left."""
    words = words_in(text)
    kept = [word for word in words if word not in _little()] or words
    return frozenset(map(stem, kept))


def bare(text: str) -> str:
    """A text without the words that say nothing: "black cat" of "the black cat"."""
    return " ".join(word for word in words_in(text) if word not in _little()) or text


def telling(text: str) -> str:
    """The same, also without words that say no more than that something was there, unless no others are left."""
    words = bare(text).split()
    return " ".join(word for word in words if stem(word) not in _neutral()) or bare(text)


def says_nothing(text: str) -> bool:
    """Whether all words of a text are such as say no more than that something was there."""
    return all(word in _little() or stem(word) in _neutral() for word in words_in(text))


def without_neutral(found: frozenset[str]) -> frozenset[str]:
    """Stems without those of words that say no more than that something was there."""
    return found - _neutral()


@cache
def stem(word: str) -> str:
    """The stem of a word, which need be no word itself: of synonyms that of the main one."""
    found = _stem(_forms().get(word, word))
    return _heads().get(found, found)


def _stem(word: str) -> str:
    """As Porter (1980) does in his first step, as far as labels need it."""
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ing", "ed"):
        left = word.removesuffix(ending)
        if left != word and len(left) > 2 and VOWELS & set(left):
            return _bare(left)
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    return _bare(word)


def _bare(word: str) -> str:
    """Without a last silent e, and with one letter in place of two equal ones: danc(e), run(n), bel(l)."""
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in VOWELS else word


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


@cache
def _forms() -> dict[str, str]:
    forms: dict[str, str] = _table()["forms"]
    return forms


@cache
def _heads() -> dict[str, str]:
    """Of each synonym's stem, that of the main word."""
    groups: list[str] = _table()["synonyms"]
    words = [group.split() for group in groups]
    return {_stem(_forms().get(word, word)): _stem(group[0]) for group in words for word in group}


@cache
def _little() -> frozenset[str]:
    return frozenset(_table()["little"].split())


@cache
def _neutral() -> frozenset[str]:
    return frozenset(map(stem, _table()["neutral"].split()))
