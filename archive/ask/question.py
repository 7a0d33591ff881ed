"""A question, taken apart."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["what", "when", "how often", "how long", "how many", "whether", "which track", "where", "which source"]
Which = Literal["", "first", "last", "longest"]
Relation = Literal["after", "before", "while", "within", "from", "at", "in"]


@dataclass(frozen=True)
class Limit:
    """Where or when: what a question leaves of the log."""

    relation: Relation
    """`within`: at most `seconds` away from the thing. `from`: between two times. `at`: at a
    time. `in`: a place."""
    thing: str = ""
    which: Which = ""
    """Of the thing's events, the one that counts; "": the first for after and before, else all of them."""
    way: Literal["", "after", "before"] = ""
    """Of `within`: on which side of the thing; "": on both."""
    seconds: float = 0.0
    start_s: float = 0.0
    end_s: float = float("inf")
    of_end: bool = False
    """The times of `from` are counted back from the end of the source."""
    place: str = ""
    """A zone, a line or a source, as the log calls it."""
    verb: Literal["", "entered", "left", "in", "out"] = ""


@dataclass(frozen=True)
class Question:
    text: str
    kind: Kind
    thing: str = ""
    """What it is about, in its own words; "" for anything."""
    which: Which = ""
    limits: tuple[Limit, ...] = ()
    at_once: bool = False
    ends: bool = False
    """It asks when something ended."""
    count: bool = False
    """Of `which source`: how many."""
