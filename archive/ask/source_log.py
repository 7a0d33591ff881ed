"""What happened in one source, from its records in order."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from archive.ask.happening import Happening, place_in_picture
from pipeline.result import ClipRecord, Track
from pipeline.sinks.hysteresis import Merger
from pipeline.status import EventOptions, EventRecord


@dataclass(frozen=True)
class Best:
    """The most probable clip of a label."""

    probability: float
    start_s: float
    end_s: float


@dataclass
class SourceLog:
    """What happened in one source."""

    name: str
    events: list[Happening] = field(default_factory=list)
    tracks: list[Happening] = field(default_factory=list)
    visits: list[Happening] = field(default_factory=list)
    crossings: list[Happening] = field(default_factory=list)
    written: list[Happening] = field(default_factory=list)
    """Every line that was read, for as long as its clip."""
    best: dict[str, Best] = field(default_factory=dict)
    spans: dict[int, tuple[float, float]] = field(default_factory=dict)
    """First and last second of each part."""


class SourceReader:
    """Makes a source's log of its records, in their order."""

    def __init__(self, name: str, options: EventOptions) -> None:
        self.log = SourceLog(name)
        self._options = options
        self._merger = Merger(name, options)
        self._part, self._clock = 0, (0, -1)
        self._tracks: dict[tuple[int, int], _Path] = {}
        self._visits: dict[tuple[int, str, int, float], Happening] = {}

    def add(self, record: ClipRecord) -> None:
        self._begin_part(record)
        self._events(self._merger.add(_labels_alone(record)))
        if not record.is_result:
            return
        low_s, high_s = self.log.spans.get(self._part, (record.start_s, record.end_s))
        self.log.spans[self._part] = min(low_s, record.start_s), max(high_s, record.end_s)
        for label in record.labels or ():
            value = getattr(label, self._options.measure)
            if label.label not in self.log.best or value > self.log.best[label.label].probability:
                self.log.best[label.label] = Best(value, record.start_s, record.end_s)
        for track in record.tracks or ():
            self._tracks.setdefault((self._part, track.id), _Path(track.id)).add(track, record)
        for line in record.text or ():
            self.log.written.append(
                Happening(
                    self.log.name, line.text, record.start_s, record.end_s, line.confidence,
                    part=self._part, wall=record.wall_time,
                )
            )  # fmt: skip
        self._add_places(record)

    def end(self) -> SourceLog:
        self._events(self._merger.end()[0])
        log = self.log
        log.events.sort(key=lambda each: (each.start, each.what))
        log.tracks = [path.happening(log.name, part) for (part, _), path in self._tracks.items()]
        log.visits = list(self._visits.values())
        for happenings in (log.tracks, log.visits, log.crossings):
            happenings.sort(key=lambda each: (each.start, each.track or 0))
        return log

    def _begin_part(self, record: ClipRecord) -> None:
        """A part ends where the clock starts again: at a new epoch, or with the first clip of another run."""
        epoch, clip = self._clock
        if record.epoch != epoch or 0 <= record.clip < clip:
            self._events(self._merger.end()[0])
            self._merger = Merger(self.log.name, self._options)
            self._part += 1
        self._clock = record.epoch, record.clip if record.clip >= 0 else clip

    def _events(self, events: Iterable[EventRecord]) -> None:
        for event in events:
            also = tuple(each.label for each in event.alternatives)
            self.log.events.append(
                Happening(
                    self.log.name, event.event, event.start_s, event.end_s, event.probability,
                    part=self._part, also=also, wall=event.start_wall,
                )
            )  # fmt: skip

    def _add_places(self, record: ClipRecord) -> None:
        for zone in record.zones or ():
            for visit in zone.visits:
                path = self._tracks.get((self._part, visit.track))
                key = self._part, zone.zone, visit.track, visit.since_s
                self._visits[key] = Happening(
                    self.log.name, visit.label or "", visit.since_s, max(visit.until_s, visit.since_s),
                    path.probability if path else 0.0, part=self._part, track=visit.track, place=zone.zone,
                    way="left" if visit.left else "",
                )  # fmt: skip
        for each in record.crossings or ():
            path = self._tracks.get((self._part, each.track))
            self.log.crossings.append(
                Happening(
                    self.log.name, each.label or "", each.time_s, each.time_s, path.probability if path else 0.0,
                    part=self._part, track=each.track, place=each.line, way=each.way,
                )
            )  # fmt: skip


class _Path:
    """A track over its clips."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._names: dict[str, list[float]] = defaultdict(list)
        self._start_s = self._end_s = -1.0
        self._wall = ""
        self._x = self._y = 0.0
        self._boxes = 0

    def add(self, track: Track, record: ClipRecord) -> None:
        if track.label:
            self._names[track.label].append(track.probability or 0.0)
        times = [time_s for time_s, *_ in track.boxes] or [record.start_s]
        if self._start_s < 0:
            self._start_s, self._wall = min(times), record.wall_time
        self._end_s = max(self._end_s, *times)
        if record.width and record.height:
            self._x += sum(x0 + x1 for _, x0, _, x1, _ in track.boxes) / 2 / record.width
            self._y += sum(y0 + y1 for _, _, y0, _, y1 in track.boxes) / 2 / record.height
            self._boxes += len(track.boxes)

    @property
    def name(self) -> str:
        """The one that speaks for most: of all clips together, not of the last."""
        return max(self._names, key=lambda name: (sum(self._names[name]), name), default="")

    @property
    def probability(self) -> float:
        found = self._names.get(self.name)
        return sum(found) / len(found) if found else 0.0

    def happening(self, source: str, part: int) -> Happening:
        place = place_in_picture(self._x / self._boxes, self._y / self._boxes) if self._boxes else ""
        return Happening(
            source, self.name, self._start_s, max(self._end_s, self._start_s), self.probability,
            part=part, track=self._number, place=place,
        )  # fmt: skip


def _labels_alone(record: ClipRecord) -> ClipRecord:
    """Zones and lines are told as visits, not as events."""
    return msgspec.structs.replace(record, parts={"labels": record.labels} if record.labels else {})
