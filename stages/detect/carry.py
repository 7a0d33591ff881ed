"""Carries boxes from the frames in which a network looked to those between, along optical flow."""

from collections.abc import Sequence

import numpy as np

from pipeline.arrays import Array

MIDDLE = 0.6
"""Share of a box's sides whose flow counts: at its edges there is more of the background."""
LEAST_INSIDE = 0.3
"""Share of a carried box inside the picture below which it is lost."""
SAMPLES = 10
"""Places along each side at which the flow is looked up: it is smooth. An even number lies evenly around the middle."""
LEAST_CELLS = 4
"""A box whose middle is narrower in the flow does not tell how it grows."""
MOST_GROWTH_PER_S = 1.0
"""Relative change of a box's sides per second, at most: what flow says of it is rough."""


def carried(boxes: Array, flow: Array, seconds: float, width: int, height: int) -> tuple[Array, Array]:
    """Boxes "N 4" in pixels moved by one pair of flow "h w 2", in short sides per second; and which are still inside.

    seconds: from the frame of the boxes to the next, or to the one before as a negative number; the flow is that of the
    earlier frame of the two, which is near enough.
    """
    rows, columns = flow.shape[:2]
    short_px = min(width, height)
    xs, wide = _across(boxes[:, 0], boxes[:, 2], columns / width, columns)
    ys, high = _across(boxes[:, 1], boxes[:, 3], rows / height, rows)
    there = flow[ys[:, :, None], xs[:, None, :]].astype(np.float32)
    shift = np.median(there.reshape(len(boxes), SAMPLES * SAMPLES, 2), axis=1) * (seconds * short_px)
    growths = (
        _slope(np.median(there[..., 0], axis=1), xs * (width / columns / short_px), wide),
        _slope(np.median(there[..., 1], axis=2), ys * (height / rows / short_px), high),
    )
    known = (wide >= LEAST_CELLS).astype(int) + (high >= LEAST_CELLS)
    growth = 1 + np.clip(sum(growths) / np.maximum(known, 1), -1, 1) * MOST_GROWTH_PER_S * seconds
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 + shift
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * growth[:, None]
    moved = np.concatenate([middle - half, middle + half], axis=1)
    inside = np.clip(moved, 0, [width, height, width, height])
    area, whole = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (inside, moved))
    return moved.astype(np.float32), area >= LEAST_INSIDE * np.maximum(whole, 1e-6)


def _across(low: Array, high: Array, scale: float, count: int) -> tuple[Array, Array]:
    """Rows or columns at even distances along the middle of each side: int64 "N S"; and how many it spans: "N"."""
    margin = (1 - MIDDLE) / 2 * (high - low)
    first = np.clip(((low + margin) * scale).astype(np.int64), 0, count - 1)
    end = np.clip(np.ceil((high - margin) * scale).astype(np.int64), first + 1, count)
    places = first[:, None] + (end - 1 - first)[:, None] * np.linspace(0, 1, SAMPLES)
    return np.rint(places).astype(np.int64), end - first


def _slope(values: Array, places: Array, span: Array) -> Array:
    """How fast flow "N S" rises along places "N S" in short sides: growth per second. 0 for a short side."""
    along = places - places.mean(axis=1, keepdims=True)
    slope = (along * values).sum(axis=1) / np.maximum((along * along).sum(axis=1), 1e-12)
    return np.where(span >= LEAST_CELLS, slope, 0.0)


def nearest(watched: Sequence[int], count: int) -> list[int]:
    """For each of so many frames the number of the frame among `watched` that is nearest, counted in `watched`."""
    places = np.asarray(watched)
    return [int(np.abs(places - frame).argmin()) for frame in range(count)]
