"""Carries boxes from the frames in which a network looked to those between, along optical flow."""

from collections.abc import Sequence

import numpy as np

from pipeline.arrays import Array

MIDDLE = 0.6
"""Share of a box's sides whose flow counts: at its edges there is more of the background."""
LEAST_INSIDE = 0.3
"""Share of a carried box inside the picture below which it is lost."""
MOST_GROWTH_PER_S = 1.0
"""Relative change of a box's sides per second, at most: what flow says of it is rough."""


def carried(boxes: Array, flow: Array, seconds: float, width: int, height: int) -> tuple[Array, Array]:
    """Boxes "N 4" in pixels moved by one pair of flow "h w 2", in short sides per second; and which are still inside.

    seconds: from the frame of the boxes to the next, or to the one before as a negative number; the flow is that of the
    earlier frame of the two, which is near enough.
    """
    rows, columns = flow.shape[:2]
    short_px = min(width, height)
    moved = boxes.astype(np.float64).copy()
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        left, right = _middle(x0, x1, columns / width, columns)
        upper, lower = _middle(y0, y1, rows / height, rows)
        part = flow[upper:lower, left:right].astype(np.float32)
        shift = np.median(part.reshape(-1, 2), axis=0) * seconds * short_px
        growth = 1 + np.clip(_growth_per_s(part, width / columns, short_px), -1, 1) * MOST_GROWTH_PER_S * seconds
        middle, half = np.array([x0 + x1, y0 + y1]) / 2 + shift, np.array([x1 - x0, y1 - y0]) / 2 * growth
        moved[i] = *(middle - half), *(middle + half)
    inside = np.clip(moved, 0, [width, height, width, height])
    area, whole = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (inside, moved))
    return moved.astype(np.float32), area >= LEAST_INSIDE * np.maximum(whole, 1e-6)


def _middle(low: float, high: float, scale: float, count: int) -> tuple[int, int]:
    """The middle of a side as a range of rows or columns, at least one."""
    margin = (1 - MIDDLE) / 2 * (high - low)
    first = min(max(int((low + margin) * scale), 0), count - 1)
    return first, max(first + 1, min(int(np.ceil((high - margin) * scale)), count))


def _growth_per_s(part: Array, px_per_cell: float, short_px: int) -> float:
    """Divergence of flow "h w 2" in short sides per second: how fast what it shows grows, per second."""
    slopes = []
    for axis, count in ((1, part.shape[1]), (0, part.shape[0])):
        if count < 4:
            continue
        along = (np.arange(count) - (count - 1) / 2) * px_per_cell / short_px
        line = np.median(part[..., 0 if axis == 1 else 1], axis=1 - axis)
        slopes.append(float((along * line).sum() / (along * along).sum()))
    return float(np.mean(slopes)) if slopes else 0.0


def nearest(watched: Sequence[int], count: int) -> list[int]:
    """For each of so many frames the number of the frame among `watched` that is nearest, counted in `watched`."""
    places = np.asarray(watched)
    return [int(np.abs(places - frame).argmin()) for frame in range(count)]
