"""What zones and lines counted over a source: visits as events, and totals."""

import msgspec

from pipeline.places import AWAY_S, NOWHERE, Places
from pipeline.result import ClipRecord, Visit
from pipeline.sinks.running import Running
from pipeline.status import LineCount, PlaceCounts, ZoneCount, ZoneNow

SHOWN_S = 1.0
"""How long the event of a crossing lasts, so that subtitles show it."""
SOMETHING = "something"


class _Open(msgspec.Struct, array_like=True, frozen=True):
    """A visit that goes on."""

    epoch: int
    probability: float
    visit: Visit
    """As it was told last."""


class _State(msgspec.Struct, array_like=True):
    zones: dict[str, ZoneCount] = {}
    lines: dict[str, LineCount] = {}
    open: dict[tuple[str, int, float], _Open] = {}
    """By zone, track and start."""
    still_s: float = 0.0
    """For how long nothing has changed, so that nothing is told: who was in a zone still is."""


class Counts:
    """Visits and crossings of one source, from its records in order.

    state: what `state` returned, to go on in another process. places: those that are told also if nothing was counted
    there. Raises: msgspec.DecodeError: it is no state.
    """

    def __init__(self, state: bytes = b"", places: Places = NOWHERE) -> None:
        found = msgspec.msgpack.decode(state, type=_State) if state else _State()
        self.zones, self.lines, self._open, self._still_s = found.zones, found.lines, found.open, found.still_s
        self._begin(places)

    def state(self) -> bytes:
        return msgspec.msgpack.encode(_State(self.zones, self.lines, self._open, self._still_s))

    def add(self, record: ClipRecord) -> list[Running]:
        """Events that are complete with this record."""
        if record.reused and record.zones is None:
            self._still_s += record.end_s - record.start_s
            return []
        for zone in record.zones or ():
            self.zones.setdefault(zone.zone, ZoneCount())
            for visit in zone.visits:
                key = zone.zone, visit.track, visit.since_s
                if key in self._open:
                    self._open[key] = msgspec.structs.replace(self._open[key], visit=visit)
                elif record.start_s - visit.until_s <= AWAY_S:  # else it was over while nothing was told of it
                    self._open[key] = _Open(record.epoch, _probability(record, visit.track), visit)
        over = [
            key
            for key, open in self._open.items()
            if open.visit.left
            or record.epoch != open.epoch
            or record.start_s - open.visit.until_s - self._still_s > AWAY_S
        ]
        if record.zones is not None:
            self._still_s = 0.0
        return [self._visit(key) for key in over] + self._crossings(record)

    def end(self) -> list[Running]:
        """Events of visits that lasted to the end."""
        return [self._visit(key) for key in list(self._open)]

    @property
    def first_s(self) -> float:
        """Start of the earliest visit that goes on; infinity without one."""
        return min((open.visit.since_s for open in self._open.values()), default=float("inf"))

    def now(self) -> PlaceCounts:
        """Totals, visits that go on among them."""
        zones = {}
        for name, count in self.zones.items():
            inside = [one_visit(open.visit) for (zone, *_), open in self._open.items() if zone == name]
            total = sum(inside, count)
            zones[name] = ZoneNow(total.visits, total.mean_s, total.longest_s, len(inside))
        return PlaceCounts(zones, dict(self.lines))

    def keep_only(self, places: Places) -> None:
        """Forget what was counted elsewhere."""
        self.zones = {name: count for name, count in self.zones.items() if name in places.zones}
        self.lines = {name: count for name, count in self.lines.items() if name in places.lines}
        self._open = {key: open for key, open in self._open.items() if key[0] in places.zones}
        self._begin(places)

    def _begin(self, places: Places) -> None:
        for zone in places.zones:
            self.zones.setdefault(zone, ZoneCount())
        for line in places.lines:
            self.lines.setdefault(line, LineCount())

    def _visit(self, key: tuple[str, int, float]) -> Running:
        open = self._open.pop(key)
        visit = open.visit
        self.zones[key[0]] = self.zones[key[0]] + one_visit(visit)
        event = Running(f"{visit.label or SOMETHING} in {key[0]}", open.epoch, visit.since_s, visit.until_s)
        event.add(open.probability, visit.until_s)
        return event

    def _crossings(self, record: ClipRecord) -> list[Running]:
        events = []
        for each in record.crossings or ():
            before = self.lines.get(each.line, LineCount())
            is_in = each.way == "in"
            self.lines[each.line] = LineCount(before.inward + is_in, before.out + (not is_in))
            name = f"{each.label or SOMETHING} over {each.line}, {each.way}"
            event = Running(name, record.epoch, each.time_s, each.time_s + SHOWN_S)
            event.add(_probability(record, each.track), event.end_s)
            events.append(event)
        return events


def one_visit(visit: Visit) -> ZoneCount:
    return ZoneCount(1, visit.dwell_s, visit.dwell_s)


def _probability(record: ClipRecord, number: int) -> float:
    """Of the name of a track; 1 if it has none: that something is there is sure."""
    return next((track.probability or 1.0 for track in record.tracks or () if track.id == number), 1.0)
