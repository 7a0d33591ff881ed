"""Consecutive clips of one source, merged per label with hysteresis."""

from collections import Counter
from dataclasses import dataclass, field

from pipeline.result import ClipRecord
from pipeline.status import EventOptions, EventRecord, SummaryRecord

_KEPT_EVENTS = 50
JOIN_S = 0.05
"""Two clips that are no further apart follow each other."""


@dataclass
class _Running:
    """An event that has not ended yet."""

    start_s: float
    end_s: float
    probabilities: list[float] = field(default_factory=list)


class Merger:
    """The events of one source. An event begins at `enter` and lasts while the label stays at or above `leave`.

    An error, a drop, a gap and a missing clip end every running event. A label outside the top k of a
    record counts as improbable.
    """

    def __init__(self, source: str, options: EventOptions) -> None:
        self.source = source
        self.options = options
        self._running: dict[str, _Running] = {}
        self._last: ClipRecord | None = None
        self._counts: Counter[str] = Counter()
        self._label_s: dict[str, float] = {}
        self._seconds = self._seconds_labelled = 0.0
        self._events: list[EventRecord] = []

    def add(self, record: ClipRecord) -> list[EventRecord]:
        """The events that this record ends, in order of their start."""
        if not record.is_result:
            self._counts["gaps" if record.gap else "drops" if record.dropped else "errors"] += 1
            closed = self._close(set(self._running))
            self._last = None
            return closed
        follows = self._last is not None and _follows(record, self._last)
        found = {label.label: getattr(label, self.options.measure) for label in record.labels or ()}
        held = {
            name
            for name, probability in found.items()
            if probability >= (self.options.leave if follows and name in self._running else self.options.enter)
        }
        closed = self._close(set(self._running) - held if follows else set(self._running))
        for name in held:
            running = self._running.setdefault(name, _Running(record.start_s, record.end_s))
            running.end_s = record.end_s
            running.probabilities.append(found[name])
        self._count(record, held)
        self._last = record
        return closed

    def end(self) -> tuple[list[EventRecord], SummaryRecord]:
        """The events still running, and the summary of the source."""
        closed = self._close(set(self._running))
        longest = sorted(self._events, key=lambda event: event.start_s - event.end_s)[:_KEPT_EVENTS]
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
            first_events=tuple(sorted(longest, key=lambda event: event.start_s)),
        )
        return closed, summary

    def _count(self, record: ClipRecord, held: set[str]) -> None:
        length_s = record.end_s - record.start_s
        self._counts["clips"] += 1
        self._seconds += length_s
        self._seconds_labelled += length_s if held else 0.0

    def _close(self, names: set[str]) -> list[EventRecord]:
        events = []
        for name in names:
            running = self._running.pop(name)
            if running.end_s - running.start_s < self.options.min_duration_s:
                continue
            event = EventRecord(
                source=self.source,
                event=name,
                start_s=running.start_s,
                end_s=running.end_s,
                probability=round(sum(running.probabilities) / len(running.probabilities), 4),
                peak=round(max(running.probabilities), 4),
                clips=len(running.probabilities),
                epoch=self._last.epoch if self._last else 0,
            )
            self._label_s[name] = self._label_s.get(name, 0.0) + running.end_s - running.start_s
            events.append(event)
        self._counts["events"] += len(events)
        self._events = sorted(self._events + events, key=lambda event: event.start_s - event.end_s)[:_KEPT_EVENTS]
        return sorted(events, key=lambda event: (event.start_s, event.event))


def _follows(record: ClipRecord, before: ClipRecord) -> bool:
    """Whether nothing is missing between two results. A new epoch may begin where the one before ends."""
    is_next = record.clip == before.clip + 1
    return is_next and (record.epoch == before.epoch or record.start_s <= before.end_s + JOIN_S)
