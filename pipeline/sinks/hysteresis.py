"""Consecutive clips of one source, merged per label with hysteresis, and near-synonyms merged into one event."""

import heapq
from bisect import insort
from collections import Counter

from pipeline.places import NOWHERE, Places
from pipeline.result import ClipRecord
from pipeline.sinks.counts import Counts
from pipeline.sinks.running import Running
from pipeline.status import EventOptions, EventRecord, SummaryRecord

_KEPT_EVENTS = 50
JOIN_S = 0.05
"""Two clips that are no further apart follow each other."""
HELD_S = 600.0
LIVE_HELD_S = 10.0
MAX_HELD = 1000


class Merger:
    """The events of one source. An event begins at `enter` and lasts while the label stays at or above `leave`.

    An error, a drop and a missing clip end every event, unless the label is back within `gap_s`; a gap in the media
    always does. A label outside the top k of a record counts as improbable. Events of near-synonyms that overlap are
    one event.

    Events come out in order of their start: an event is held back until every event that began earlier has ended. So
    that one long event ("street") does not hold back everything else for hours, none is held for more than `HELD_S`
    of media after its own end, nor are more than `MAX_HELD`. In a live source, where somebody waits for them, it is
    `LIVE_HELD_S`. The long event itself then comes when it ends, after events that began later: the only exception to
    the order. Files that are written at the end of a source sort their events, and have no exception.
    """

    def __init__(self, source: str, options: EventOptions, live: bool = False, places: Places = NOWHERE) -> None:
        self.source = source
        self.options = options
        self._held_s = LIVE_HELD_S if live else HELD_S
        self._open: dict[str, Running] = {}
        """Events that last, and events that may go on within `gap_s`."""
        self._ended: list[Running] = []
        """Events that are held back, in order of their start."""
        self._near: dict[str, set[str]] = {}
        self._places = Counts(places=places)
        self._last: ClipRecord | None = None
        self._epoch = 0
        self._counts: Counter[str] = Counter()
        self._label_s: dict[str, float] = {}
        self._seconds = self._seconds_labelled = 0.0
        self._longest: list[EventRecord] = []

    def add(self, record: ClipRecord) -> list[EventRecord]:
        """The events that are complete with this record and need not wait for others, in order of their start."""
        follows = record.is_result and self._last is not None and _follows(record, self._last)
        if not follows:
            self._interrupt()
        if record.gap or (record.epoch != self._epoch and not follows):
            self._end(list(self._open))
        self._epoch = record.epoch
        self._end_over(record.start_s)
        probable = self._probable(record)
        for event in self._open.values():
            event.lasts = event.label in probable
        for name in sorted(probable):
            self._extend(name, probable[name], record)
        self._end_over(record.end_s)
        self._hold(self._places.add(record))
        self._count(record, bool(probable))
        self._last = record if record.is_result else None
        return self._released(record.end_s)

    def end(self) -> tuple[list[EventRecord], SummaryRecord]:
        """The events that are left, and the summary of the source."""
        self._end(list(self._open))
        self._hold(self._places.end())
        events = self._released(float("inf"))
        summary = SummaryRecord(
            source=self.source,
            summary={
                name: round(self._label_s[name], 3)
                for name in sorted(self._label_s, key=self._label_s.__getitem__, reverse=True)
            },
            clips=self._counts["clips"],
            seconds=round(self._seconds, 3),
            seconds_labelled=round(self._seconds_labelled, 3),
            events=self._counts["events"],
            errors=self._counts["errors"],
            drops=self._counts["drops"],
            gaps=self._counts["gaps"],
            zones=self._places.zones,
            lines=self._places.lines,
            first_events=tuple(sorted(self._longest, key=lambda event: (event.epoch, event.start_s))),
        )
        return events, summary

    def _probable(self, record: ClipRecord) -> dict[str, float]:
        """The labels that begin or continue an event in this record."""
        if not record.is_result:
            return {}
        found = {}
        for label in record.labels or ():
            score = float(f"{getattr(label, self.options.measure):.6g}")  # as in JSON lines, from which a run resumes
            event = self._open.get(label.label)
            if score >= (self.options.leave_at if event is not None and event.lasts else self.options.enter):
                found[label.label] = score
                self._near.setdefault(label.label, set()).update(label.near)
        return found

    def _interrupt(self) -> None:
        for event in self._open.values():
            event.lasts = False

    def _extend(self, name: str, score: float, record: ClipRecord) -> None:
        event = self._open.get(name)
        if event is None:
            event = self._open[name] = Running(name, record.epoch, record.start_s, record.end_s, record.wall_time)
        event.add(score, record.end_s)

    def _end_over(self, now_s: float) -> None:
        """End the events whose label has been away for too long."""
        gap_s = self.options.gap_s
        self._end(
            [
                name
                for name, event in self._open.items()
                if not event.lasts and (gap_s == 0 or now_s - event.end_s > gap_s + 1e-6)
            ]
        )

    def _end(self, names: list[str]) -> None:
        for name in sorted(names):
            event = self._open.pop(name)
            if self.options.merge and self._near.get(name):
                for other in [other for other in self._ended if self._is_same(event, other)]:
                    if self._is_same(event, other):
                        self._ended.remove(other)
                        event = event.with_alternative(other)
                larger = [other for other in self._open.values() if other.outweighs(event)]
                heir = next((other for other in larger if self._is_same(other, event)), None)
                if heir is not None:
                    self._open[heir.label] = heir.with_alternative(event)
                    continue
            insort(self._ended, event, key=lambda each: each.order)

    def _hold(self, events: list[Running]) -> None:
        for event in events:
            insort(self._ended, event, key=lambda each: each.order)

    def _is_same(self, a: Running, b: Running) -> bool:
        """Whether the heavier one's label is a near-synonym of every label of both, and the events overlap enough."""
        main = a.label if a.outweighs(b) else b.label
        near = self._near.get(main, ())
        return a.overlaps(b) and all(label == main or label in near for label in a.labels + b.labels)

    def _released(self, now_s: float) -> list[EventRecord]:
        events = []
        while self._ended and (self._is_settled(self._ended[0]) or self._is_late(now_s)):
            event = self._ended.pop(0)
            if event.end_s - event.start_s >= self.options.min_duration_s:
                events.append(event.record(self.source))
        for each in events:
            self._label_s[each.event] = self._label_s.get(each.event, 0.0) + each.end_s - each.start_s
        self._counts["events"] += len(events)
        self._longest = heapq.nsmallest(_KEPT_EVENTS, self._longest + events, key=lambda e: e.start_s - e.end_s)
        return events

    def _is_settled(self, event: Running) -> bool:
        """Whether no event can still come before it or be merged with it."""
        if self._places.first_s < event.start_s:
            return False
        return not any(
            other.order < event.order or (self.options.merge and self._is_same(event, other))
            for other in self._open.values()
        )

    def _is_late(self, now_s: float) -> bool:
        """Whether an event has been held back for long enough."""
        return len(self._ended) > MAX_HELD or any(now_s - event.end_s > self._held_s for event in self._ended)

    def _count(self, record: ClipRecord, labelled: bool) -> None:
        if not record.is_result:
            self._counts["gaps" if record.gap else "drops" if record.dropped else "errors"] += 1
            return
        length_s = record.end_s - record.start_s
        self._counts["clips"] += 1
        self._seconds += length_s
        self._seconds_labelled += length_s if labelled else 0.0


def _follows(record: ClipRecord, before: ClipRecord) -> bool:
    """Whether nothing is missing between two results. A new epoch may begin where the one before ends."""
    is_next = record.clip == before.clip + 1
    return is_next and (record.epoch == before.epoch or record.start_s <= before.end_s + JOIN_S)
