"""Where a panel may lie on a picture: in a corner that no box touches in the whole clip, and where little is to see."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2

from pipeline.arrays import Array
from pipeline.sinks.panel import Panel

Rect = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the picture."""

GRAIN_PX = 16
"""Finer details do not count as something to see."""
CORNERS = ("bottom left", "bottom right", "top left", "top right")


class CornerChooser:
    """Places one panel per clip. It stays in its corner as long as no box is there."""

    def __init__(self, width: int, height: int, margin_px: int) -> None:
        self._width, self._height, self._margin_px = width, height, margin_px
        self._last = ""

    def place(self, panels: Iterable[Panel], taken: Sequence[Rect], picture: Array) -> Panel | None:
        """The first of `panels` that a corner has room for, in its place; None if there is none.

        taken: where boxes are. picture: the first one of the clip.
        """
        for panel in panels:
            spots = {corner: self._spot(panel, corner) for corner in CORNERS}
            free = [corner for corner in CORNERS if not any(overlap(spots[corner], rect) for rect in taken)]
            if free:
                if self._last not in free:
                    self._last = min(free, key=lambda corner: unrest(picture, spots[corner]))
                return replace(panel, x=spots[self._last][0], y=spots[self._last][1])
        return None

    def _spot(self, panel: Panel, corner: str) -> Rect:
        height, width = panel.picture.shape[:2]
        spare_x, spare_y = max(0, self._width - width), max(0, self._height - height)
        margin_x, margin_y = min(self._margin_px, spare_x), min(self._margin_px, spare_y)
        x = margin_x if corner.endswith("left") else spare_x - margin_x
        y = margin_y if corner.startswith("top") else spare_y - margin_y
        return x, y, x + width, y + height


def overlap(one: Rect, other: Rect) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def unrest(picture: Array, spot: Rect) -> float:
    """How much there is to see in a part of the picture: how far its colours differ, in standard deviations of 0-255.

    Coarsely, because grass and noise are calm for the eye.
    """
    x0, y0, x1, y1 = spot
    part = picture[y0:y1, x0:x1]
    size = max(1, (x1 - x0) // GRAIN_PX), max(1, (y1 - y0) // GRAIN_PX)
    return float(cv2.resize(part, size, interpolation=cv2.INTER_AREA).std(axis=(0, 1)).mean())
