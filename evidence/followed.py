"""Which track a map of pictures or of motion lies on: most of it is in the track's box, clearly more than elsewhere."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Array
from pipeline.result import Track
from stages.boxes import Box

MOST = 0.5
"""Share of a map that lies in the boxes of a track at least."""
CLEARLY = 0.15
"""By how much that is more than the boxes' share of the area that the map has. A box around all says nothing."""
HOLD_S = 0.25
"""How long a box holds after its last time; between two that are at most four times as far apart, it moves evenly."""


class Lies(NamedTuple):
    """The track and the share of the map in its boxes."""

    track: Track
    share: float


def lies_on(values: Array, times_s: Sequence[float], tracks: Sequence[Track], window: Box) -> Lies | None:
    """The track that most of a map "T h w" lies on; None if there is none.

    times_s: "T", of its pictures. window: what its cells cover, x0 y0 x1 y1 in pixels of the source.
    """
    total = float(values.sum())
    found = []
    for track in tracks if total > 0 else ():
        boxes = [box_at(track, time_s) for time_s in times_s]
        inside = np.stack([_inside(box, window, values.shape[1:]) for box in boxes])
        share, area = float((values * inside).sum()) / total, float(inside.mean())
        if share >= MOST and share >= area + CLEARLY:
            found.append((share - area, Lies(track, share)))
    return max(found, key=lambda each: each[0])[1] if found else None


def box_at(track: Track, time_s: float) -> Box | None:
    """Where a track is at a time, between its boxes; None if it is not there."""
    after = bisect_right(track.boxes, time_s, key=lambda row: row[0])
    if after == 0:
        first = track.boxes[0] if track.boxes else None
        return first[1:] if first is not None and first[0] - time_s <= HOLD_S else None
    before = track.boxes[after - 1]
    if after < len(track.boxes) and track.boxes[after][0] - before[0] <= 4 * HOLD_S:
        later = track.boxes[after]
        share = (time_s - before[0]) / (later[0] - before[0])
        x0, y0, x1, y1 = (a + share * (b - a) for a, b in zip(before[1:], later[1:], strict=True))
        return x0, y0, x1, y1
    return before[1:] if time_s - before[0] <= HOLD_S else None


def _inside(box: Box | None, window: Box, shape: tuple[int, ...]) -> Array:
    """How much of each cell of a picture is in a box, "h w" in [0, 1]."""
    if box is None:
        return np.zeros(shape)
    along = []
    for axis, count in ((1, shape[0]), (0, shape[1])):
        cell = (window[axis + 2] - window[axis]) / count
        begins = window[axis] + cell * np.arange(count)
        covered = np.minimum(begins + cell, box[axis + 2]) - np.maximum(begins, box[axis])
        along.append(np.clip(covered / cell, 0, 1))
    return np.outer(*along)
