"""Zones: polygons of the picture, and what is in them. Polygons are in fractions of it, tracks in pixels.

Whatever works on zones asks here: events and conditions today, counting of tracks later.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from live.settings import Polygon
from pipeline.result import ClipRecord, Track

LEAST_INSIDE = 0.5
"""A track is in a zone with this share of its box, or with its foot point."""
LEAST_CHANGE = 0.005
"""Something moves if more than this share of a zone changed. The measure leaves out the sensor's noise already."""
EDGE = 1e-6
WHOLE: Polygon = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1"""


@dataclass(frozen=True)
class Zone:
    name: str
    polygon: Polygon


PICTURE = Zone("", WHOLE)
"""The whole picture, as a zone."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for something in a zone during a clip."""

    active: bool | None
    """None: unknown, for want of tracks and of the measure."""
    tracks: tuple[Track, ...] = ()
    """Those that were in it at some time of the clip."""
    change: float | None = None
    """Share of the zone that changed."""

    def has(self, label: str) -> bool:
        """Whether a track of this label is in it."""
        return any(track.label == label for track in self.tracks)


def active(zone: Zone, record: ClipRecord, least_change: float = LEAST_CHANGE) -> Evidence:
    """Whether a track or motion was in a zone during a clip."""
    change = record.measures.get(f"zone:{zone.name}" if zone.name else "change")
    inside = tracks_in(zone, record)
    if inside:
        return Evidence(True, inside, change)
    if change is not None:
        return Evidence(change > least_change, (), change)
    return Evidence(False if record.is_result and record.tracks is not None else None)


def tracks_in(zone: Zone, record: ClipRecord) -> tuple[Track, ...]:
    """The tracks of a clip that were in a zone at some time of it."""
    if not record.tracks or not record.width or not record.height:
        return ()
    size = float(record.width), float(record.height)
    return tuple(
        track for track in record.tracks if any(is_inside(zone.polygon, _box(row, size)) for row in track.boxes)
    )


def _box(row: tuple[float, float, float, float, float], size: tuple[float, float]) -> Box:
    """The box of a row of a track, in fractions: the part of it in the picture."""
    _, *sides = row
    x0, y0, x1, y1 = (min(max(side / size[number % 2], 0.0), 1.0) for number, side in enumerate(sides))
    return x0, y0, x1, y1


def is_inside(polygon: Polygon, box: Box) -> bool:
    """Whether a box, in fractions, counts as inside: by its foot point, or by enough of it."""
    x0, _, x1, y1 = box
    foot_y = min(y1, 1.0 - EDGE)  # a foot on the picture's lower edge is in the picture
    return contains(polygon, (x0 + x1) / 2, foot_y) or share_inside(polygon, box) >= LEAST_INSIDE


def contains(polygon: Polygon, x: float, y: float) -> bool:
    """Whether a point is in a polygon, by the even-odd rule. A point on a left or upper edge is inside."""
    inside = False
    for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
    return inside


def share_inside(polygon: Polygon, box: Box) -> float:
    """Share of a box's area inside a polygon that does not cross itself. A box without area has none: 0."""
    x0, y0, x1, y1 = box
    whole = (x1 - x0) * (y1 - y0)
    if whole <= 0:
        return 0.0
    return min(1.0, area(clipped(polygon, box)) / whole)


def area(points: Sequence[tuple[float, float]]) -> float:
    """Area of a polygon (shoelace formula)."""
    pairs = zip(points, [*points[1:], *points[:1]], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2


def clipped(polygon: Sequence[tuple[float, float]], box: Box) -> list[tuple[float, float]]:
    """The part of a polygon inside a box (Sutherland and Hodgman 1974); edges of no area may remain."""
    points = list(polygon)
    for axis, edge, sign in ((0, box[0], 1.0), (0, box[2], -1.0), (1, box[1], 1.0), (1, box[3], -1.0)):
        kept: list[tuple[float, float]] = []
        for start, end in zip(points, [*points[1:], *points[:1]], strict=True):
            before, after = sign * (start[axis] - edge), sign * (end[axis] - edge)
            if before >= 0:
                kept.append(start)
            if before * after < 0:
                part = before / (before - after)
                kept.append((start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])))
        points = kept
    return points
