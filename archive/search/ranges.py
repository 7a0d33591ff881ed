"""From the best clips to hits: neighbours that fit, too, become one range of time."""

from dataclasses import dataclass

import numpy as np

from archive.search.candidates import Candidates
from archive.search.readings import ReadScan
from archive.search.rows import Rows
from archive.search.scan import Scan
from pipeline.arrays import Array

APART_S = 0.25
"""Clips of one source that are no further apart are neighbours."""


@dataclass(frozen=True)
class Range:
    """Rows [first, stop) of one source, the best of them, and its score."""

    row: int
    score: float
    first: int
    stop: int


def merged(rows: Rows, scan: Scan | Candidates | ReadScan, top: int) -> list[Range]:
    """The `top` best ranges, best first. No row is in two of them.

    A range is grown from its best clip over neighbours whose score is nearer to that than to the mean of all clips.
    """
    found = list[Range]()
    used = np.zeros(len(rows), bool)
    mean = scan.mean
    for row, score in scan.best_first() if top > 0 else ():
        if used[row]:
            continue
        first, stop = _grown(rows, scan.bounds, row, (score + mean) / 2, used)
        used[first:stop] = True
        found.append(Range(row, score, first, stop))
        if len(found) == top:
            break
    return found


def _grown(rows: Rows, bounds: Array, row: int, least: float, used: Array) -> tuple[int, int]:
    segment = rows.segment_of(row)
    start_s, end_s = (rows.column(name)[segment.first : segment.stop] for name in ("start_s", "end_s"))
    fits = (bounds[segment.first : segment.stop] >= least) & ~used[segment.first : segment.stop]
    follows = fits[1:] & fits[:-1] & (start_s[1:] - end_s[:-1] <= APART_S) & (start_s[1:] > start_s[:-1])
    place = row - segment.first
    before = np.flatnonzero(~follows[:place])
    after = np.flatnonzero(~follows[place:])
    first = int(before[-1]) + 1 if len(before) else 0
    stop = place + int(after[0]) + 1 if len(after) else segment.rows
    return segment.first + first, segment.first + stop
