"""What zones and lines counted over a source: visits as events, and totals."""

from pipeline.places import AWAY_S
from pipeline.result import ClipRecord, Visit
from pipeline.sinks.running import Running
from pipeline.status import LineCount, ZoneCount

SHOWN_S = 1.0
"""How long the event of a crossing lasts, so that subtitles show it."""
SOMETHING = "something"


class Counts:
    """Visits and crossings of one source, from its records in order."""

    def __init__(self) -> None:
        self.zones: dict[str, ZoneCount] = {}
        self.lines: dict[str, LineCount] = {}
        self._open: dict[tuple[str, int, float], tuple[ClipRecord, Visit]] = {}
        """By zone, track and start: the record in which it began, and what was told last."""

    def add(self, record: ClipRecord) -> list[Running]:
        """Events that are complete with this record."""
        for zone in record.zones or ():
            self.zones.setdefault(zone.zone, ZoneCount())
            for visit in zone.visits:
                key = zone.zone, visit.track, visit.since_s
                began = self._open[key][0] if key in self._open else record
                self._open[key] = began, visit
        over = [
            key
            for key, (began, visit) in self._open.items()
            if visit.left or record.epoch != began.epoch or record.start_s - visit.until_s > AWAY_S
        ]
        return [self._visit(key) for key in over] + self._crossings(record)

    def end(self) -> list[Running]:
        """Events of visits that lasted to the end."""
        return [self._visit(key) for key in list(self._open)]

    @property
    def first_s(self) -> float:
        """Start of the earliest visit that goes on; infinity without one."""
        return min((visit.since_s for _, visit in self._open.values()), default=float("inf"))

    def _visit(self, key: tuple[str, int, float]) -> Running:
        began, visit = self._open.pop(key)
        before = self.zones[key[0]]
        visits = before.visits + 1
        mean_s = before.mean_s + (visit.dwell_s - before.mean_s) / visits
        self.zones[key[0]] = ZoneCount(visits, round(mean_s, 3), max(before.longest_s, visit.dwell_s))
        event = Running(f"{visit.label or SOMETHING} in {key[0]}", began.epoch, visit.since_s, visit.until_s)
        event.add(_probability(began, visit.track), visit.until_s)
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


def _probability(record: ClipRecord, number: int) -> float:
    """Of the name of a track; 1 if it has none: that something is there is sure."""
    return next((track.probability or 1.0 for track in record.tracks or () if track.id == number), 1.0)
