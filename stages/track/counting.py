"""Counts what comes in and goes out: tracks in zones, how long they stay, and over lines."""

from collections.abc import Mapping, Sequence

import msgspec

from pipeline.places import AWAY_S, Line, Polygon, crosses, is_inside, side
from pipeline.result import Crossing, Visit, ZoneVisits
from stages.boxes import Box
from stages.track.paths import Place
from stages.track.state import Known, Stay

CLEAR = 0.1
"""A foot point is on one side of a line from this distance on, in heights of the box. Closer, it may jitter."""


class Counter:
    """Zones and lines of a picture, in pixels of it.

    zones, lines: by name, in fractions of the picture.
    """

    def __init__(self, zones: Mapping[str, Polygon], lines: Mapping[str, Line], width: int, height: int) -> None:
        self._size = (float(width), float(height))
        self._zones = zones
        self._lines: dict[str, Line] = {
            name: ((x0 * width, y0 * height), (x1 * width, y1 * height)) for name, ((x0, y0), (x1, y1)) in lines.items()
        }

    def visits(self, known: Known, zone: str, places: Sequence[Place]) -> tuple[Known, list["Seen"]]:
        """The stays of a track in a zone along its places in a clip, in order of time."""
        stay, found, changed = known.stays.get(zone), list[Seen](), False
        for place in places:
            inside = is_inside(self._zones[zone], self._in_fractions(place.box))
            if stay is not None and place.time_ns - stay.until_ns > AWAY_S * 1e9:
                found.append(Seen(stay, left=True))
                stay = None
            if inside:
                stay = Stay(place.time_ns if stay is None else stay.since_ns, place.time_ns)
                changed = True
        if stay is not None and changed:
            found.append(Seen(stay, left=False))
        stays = {name: value for name, value in known.stays.items() if name != zone}
        return msgspec.structs.replace(known, stays=stays if stay is None else stays | {zone: stay}), found

    def crossings(self, known: Known, line: str, places: Sequence[Place]) -> tuple[Known, list[tuple[int, str]]]:
        """When a track crossed a line, and which way."""
        found, foot = [], known.feet.get(line)
        ends = self._lines[line]
        for place in places:
            x0, y0, x1, y1 = place.box
            now = ((x0 + x1) / 2, y1)
            if abs(side(ends, now)) < CLEAR * max(1.0, y1 - y0):
                continue
            if foot is not None and crosses(ends, foot, now):
                found.append((place.time_ns, "in" if side(ends, now) > 0 else "out"))
            foot = now
        return (known if foot is None else msgspec.structs.replace(known, feet=known.feet | {line: foot})), found

    def _in_fractions(self, box: Box) -> Box:
        x0, y0, x1, y1 = (min(max(value / self._size[i % 2], 0.0), 1.0) for i, value in enumerate(box))
        return x0, y0, x1, y1


class Seen(msgspec.Struct, frozen=True):
    stay: Stay
    left: bool


class Followed(msgspec.Struct, frozen=True):
    """A track of a clip, as counting needs it."""

    id: int
    label: str | None
    places: Sequence[Place]


def count(
    known: Mapping[int, Known],
    tracks: Sequence[Followed],
    zones: Mapping[str, Polygon],
    lines: Mapping[str, Line],
    size: tuple[int, int],
) -> tuple[dict[int, Known], list[ZoneVisits], list[Crossing]]:
    """What is in each zone, and what crossed each line, in a clip.

    known: by track id, from the clip before. size: of the picture, in the pixels of the boxes; (0, 0): not known, and
    nothing is counted.
    """
    after, counter = dict(known), Counter(zones, lines, *size)
    if not all(size):
        return after, [], []
    crossings = []
    visits: dict[str, list[Visit]] = {zone: [] for zone in zones}
    entered, left = dict.fromkeys(zones, 0), dict.fromkeys(zones, 0)
    for track in tracks:
        state, first_ns = after.get(track.id, Known()), track.places[0].time_ns
        for zone in zones:
            state, seen = counter.visits(state, zone, track.places)
            entered[zone] += sum(each.stay.since_ns >= first_ns for each in seen)
            left[zone] += sum(each.left for each in seen)
            visits[zone] += [_visit(track, each) for each in seen]
        for line in lines:
            state, crossed = counter.crossings(state, line, track.places)
            crossings += [Crossing(line, track.id, _s(time_ns), way, track.label) for time_ns, way in crossed]
        after[track.id] = state
    found = [ZoneVisits(zone, entered[zone], left[zone], visits[zone]) for zone in zones]
    return after, found, sorted(crossings, key=lambda crossing: (crossing.time_s, crossing.track, crossing.line))


def _visit(track: Followed, seen: Seen) -> Visit:
    since_s, until_s = _s(seen.stay.since_ns), _s(seen.stay.until_ns)
    return Visit(track.id, since_s, until_s, round(until_s - since_s, 3), track.label, seen.left)


def _s(time_ns: int) -> float:
    return round(time_ns / 1e9, 3)
