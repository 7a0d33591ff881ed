"""Things that are asked for by where they are: "the man left of the bus"."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.places import Box
from stages.phrase.geometry import HOLDS
from stages.phrase.parse import parse_phrase
from stages.words.coloured import without_colours
from stages.words.word import Word, words_of

WAYS = frozenset({"left", "right", "above", "below", "beside", "on"})
"""What tracks are asked for by; `percept find` knows more."""


@dataclass(frozen=True)
class Relation:
    """A thing in a place relative to another one."""

    phrase: str
    """As it was written, which is what a track is called."""
    thing: str
    way: str
    other: str

    def holds(self, box: Box, other: Box) -> bool:
        """Whether a box of the thing is in that place, seen from the other one."""
        return bool(HOLDS[self.way](np.array([box]), np.array([other]))[0, 0] >= 0.5)


def parse_relation(text: str) -> Relation | None:
    """A phrase of two things with a place between them; None for any other."""
    try:
        phrase = parse_phrase(text)
    except ConfigError:
        return None
    if len(phrase.things) != 2 or len(phrase.relations) != 1 or phrase.relations[0].kind not in WAYS:
        return None
    relation = phrase.relations[0]
    thing, other = (phrase.read(phrase.things[number].span) for number in (relation.subject, *relation.others))
    return None if relation.verb else Relation(text, thing, relation.kind, other)


def relations_of(find: Iterable[str]) -> tuple[Relation, ...]:
    """The phrases with a place among words to find."""
    return tuple(relation for word in words_of(find) for name in word.names if (relation := parse_relation(name)))


def plain_words(find: Iterable[str]) -> tuple[Word, ...]:
    """The words without a place."""
    return tuple(word for word in words_of(find) if not any(map(parse_relation, word.names)))


def named_things(find: Sequence[str]) -> tuple[Word, ...]:
    """Words without a place, and both things of each relation."""
    words = list(plain_words(find))
    known = {name.casefold() for word in words for name in word.names}
    for relation in relations_of(find):
        for name in (relation.thing, relation.other):
            if name.casefold() not in known:
                known.add(name.casefold())
                words.append(Word((name,)))
    return tuple(words)


def things_to_find(find: Sequence[str]) -> tuple[Word, ...]:
    """What must be recognised to find all: the things that are named, without colours that are measured."""
    return without_colours(named_things(find))
