"""Things that are asked for by where they are: "the man left of the bus"."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.places import Box
from stages.words.word import Word, words_of

WAYS = {
    "left of": "left",
    "right of": "right",
    "above": "above",
    "over": "above",
    "below": "below",
    "under": "below",
    "underneath": "below",
    "beneath": "below",
    "next to": "beside",
    "beside": "beside",
    "near": "beside",
}
_RELATION = re.compile(
    rf"(?:the |a |an )?(?P<thing>.+?) (?:that is |who is |is )?(?:to the )?(?P<way>{'|'.join(WAYS)}) "
    r"(?:the |a |an )?(?P<other>.+)",
    re.IGNORECASE,
)
INTO = 0.25
"""How far the middle of a thing may be over the nearer side of the other one, as a share of its width or height."""
BESIDE = 0.75
"""Largest distance between two things that are beside each other, as a share of the larger one's longer side."""


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
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        x0, y0, x1, y1 = other
        right, down = INTO * (x1 - x0), INTO * (y1 - y0)
        in_column = min(box[2], x1) > max(box[0], x0)
        if self.way == "left":
            return x < x0 + right
        if self.way == "right":
            return x > x1 - right
        if self.way == "above":
            return in_column and y < y0 + down
        if self.way == "below":
            return in_column and y > y1 - down
        apart = max(x0 - box[2], box[0] - x1, y0 - box[3], box[1] - y1, 0.0)
        longest = max(x1 - x0, y1 - y0, box[2] - box[0], box[3] - box[1])
        return apart <= BESIDE * longest


def parse_relation(text: str) -> Relation | None:
    """A phrase with a place in it; None for any other."""
    match = _RELATION.fullmatch(text)
    if match is None:
        return None
    return Relation(text, match["thing"], WAYS[match["way"].lower()], match["other"])


def relations_of(find: Iterable[str]) -> tuple[Relation, ...]:
    """The phrases with a place among words to find."""
    return tuple(relation for word in words_of(find) for name in word.names if (relation := parse_relation(name)))


def plain_words(find: Iterable[str]) -> tuple[Word, ...]:
    """The words without a place."""
    return tuple(word for word in words_of(find) if not any(map(parse_relation, word.names)))


def things_to_find(find: Sequence[str]) -> tuple[Word, ...]:
    """What must be recognised to find all: words without a place, and both things of each relation."""
    words = list(plain_words(find))
    known = {name.casefold() for word in words for name in word.names}
    for relation in relations_of(find):
        for name in (relation.thing, relation.other):
            if name.casefold() not in known:
                known.add(name.casefold())
                words.append(Word((name,)))
    return tuple(words)
