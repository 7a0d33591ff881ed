"""Two tracks in the moments of a clip that show both."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.arrays import Array
from pipeline.result import Track
from stages.words.relations import parse_relation


@dataclass(frozen=True)
class Pair:
    """times_s: float64 "T", ascending. ones, others: "T 4", x0 y0 x1 y1 in pixels of the source."""

    one: Track
    other: Track
    times_s: Array
    ones: Array
    others: Array

    @property
    def turned(self) -> "Pair":
        return Pair(self.other, self.one, self.times_s, self.others, self.ones)


def pair_of(one: Track, other: Track) -> Pair:
    """With no moment at all, if none shows both."""
    first, second = ({row[0]: row[1:] for row in track.boxes} for track in (one, other))
    times_s = sorted(first.keys() & second.keys())
    ones, others = (np.array([rows[time_s] for time_s in times_s]).reshape(-1, 4) for rows in (first, second))
    return Pair(one, other, np.array(times_s), ones, others)


@lru_cache(maxsize=1024)
def noun(label: str) -> str:
    """The word that says what a thing is: "table" of "wooden table", "man" of "the man left of the bus"."""
    relation = parse_relation(label)
    words = (label if relation is None else relation.thing).casefold().partition(" of ")[0].split()
    return words[-1] if words else ""
