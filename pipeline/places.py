"""Places in the picture: zones, which are polygons, and lines, all in fractions of the picture's width and height."""

import math
import re
from collections.abc import Mapping, Sequence

import msgspec

Point = tuple[float, float]
"""x to the right and y down, from 0 to 1."""
Polygon = tuple[Point, ...]
Line = tuple[Point, Point]
"""From one point to the other. A line drawn from the top down is crossed in by what moves right, one drawn from left to
right by what moves up, as with `LineZone` of supervision."""
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1"""

LEAST_INSIDE = 0.5
"""A track is in a zone with this share of its box, or with its foot point."""
AWAY_S = 1.0
"""A track that is back in a zone after at most so long was there all the time: boxes jitter at its edge."""
MOST_CORNERS = 200
SMALLEST_AREA = 1e-6
"""Of a zone, as a share of the picture."""
EDGE = 1e-6
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Safe as a file name, as a level of an MQTT topic and in a URL."""


class Places(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where tracks are counted, by name."""

    zones: dict[str, Polygon] = {}
    lines: dict[str, Line] = {}


NOWHERE = Places()


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


def side(line: Line, point: Point) -> float:
    """Distance of a point from the infinite line, positive on the side that is "in"."""
    (x0, y0), (x1, y1) = line
    length = math.dist(*line)
    area = (y1 - y0) * (point[0] - x0) - (x1 - x0) * (point[1] - y0)
    return area / max(length, EDGE)


def crosses(line: Line, start: Point, end: Point) -> bool:
    """Whether the way from one point to the other crosses the line between its ends."""
    apart = side(line, start) * side(line, end) < 0
    return apart and side((start, end), line[0]) * side((start, end), line[1]) <= 0


def parse_place(text: str) -> tuple[str, Polygon]:
    """`door:0.1,0.2;0.4,0.2;0.4,0.9` as a name and points.

    Raises:
        ValueError: it is not written so.
    """
    name, colon, rest = text.partition(":")
    if not colon or not NAME.fullmatch(name.strip()):
        raise ValueError(f"{text!r}: expected NAME:x,y;x,y;..., with a name of letters, digits, -, _ and .")
    try:
        points = [[float(value) for value in point.split(",")] for point in rest.split(";") if point.strip()]
    except ValueError:
        raise ValueError(f"{text!r}: expected numbers in NAME:x,y;x,y;...") from None
    if any(len(point) != 2 for point in points):
        raise ValueError(f"{text!r}: expected points of two numbers, x,y, with ; between points")
    return name.strip(), tuple((x, y) for x, y in points)


def zone_problem(polygon: Sequence[Point]) -> str:
    """What is wrong with a zone; "" if nothing is."""
    if not 3 <= len(polygon) <= MOST_CORNERS:
        return f"has {len(polygon)} corners; expected from 3 to {MOST_CORNERS}"
    if _is_outside(polygon):
        return "has a corner outside the picture; expected fractions of it from 0 to 1, such as [0.5, 1.0]"
    return "has no area; expected corners that are not on one line" if area(polygon) < SMALLEST_AREA else ""


def line_problem(line: Sequence[Point]) -> str:
    """What is wrong with a line; "" if nothing is."""
    if len(line) != 2:
        return f"has {len(line)} point{'s' * (len(line) != 1)}; expected 2: where it begins and where it ends"
    if _is_outside(line):
        return "has a point outside the picture; expected fractions of it from 0 to 1, such as [0.5, 1.0]"
    return "ends where it begins; expected two points" if line[0] == line[1] else ""


def _is_outside(points: Sequence[Point]) -> bool:
    return any(not 0 <= value <= 1 for point in points for value in point)  # True for a NaN


def places_problems(zones: Mapping[str, Polygon], lines: Mapping[str, Line]) -> list[str]:
    """Everything that is wrong with zones and lines, each with its name."""
    found = [f"zones.{name} {problem}" for name, polygon in zones.items() if (problem := zone_problem(polygon))]
    found += [f"lines.{name} {problem}" for name, line in lines.items() if (problem := line_problem(line))]
    for key, names in (("zones", zones), ("lines", lines)):
        odd = [name for name in names if not NAME.fullmatch(name)]
        found += [f"{key} has {name!r}; expected a name of letters, digits, -, _ and ." for name in odd]
    return found + [
        f"lines has {name!r}, which is a zone, too; expected another name" for name in lines if name in zones
    ]
