"""Events as they become complete: the base classes of sinks that write events, and the sink for JSON lines."""

from abc import abstractmethod

import msgspec

from pipeline.clip import SourceInfo
from pipeline.places import Places
from pipeline.result import ClipRecord
from pipeline.sinks.file import WholeFile, printable
from pipeline.sinks.hysteresis import Merger
from pipeline.sinks.sink import Sink
from pipeline.status import EventRecord, OutputSpec, SummaryRecord


class Events:
    """The mergers of all sources of a run, and the summaries of those that ended."""

    def __init__(self, spec: OutputSpec) -> None:
        self.spec = spec
        self.summaries: list[SummaryRecord] = []
        self._mergers: dict[str, Merger] = {}
        self._live: set[str] = set()
        self._names: dict[int, str] = dict(enumerate(spec.sources))

    def started(self, info: SourceInfo) -> None:
        self._names[info.source_index] = info.source
        if info.duration_ns is None and "://" in info.source:
            self._live.add(info.source)

    def add(self, record: ClipRecord) -> list[EventRecord]:
        merger = self._mergers.get(record.source)
        if merger is None:
            live = record.source in self._live
            merger = self._mergers[record.source] = self._merger(record.source, live)
        return merger.add(record)

    def end(self, source_index: int) -> tuple[list[EventRecord], SummaryRecord]:
        name = self._names.get(source_index, "")
        merger = self._mergers.pop(name, None) or self._merger(name)
        events, summary = merger.end()
        self.summaries.append(summary)
        return events, summary

    def _merger(self, source: str, live: bool = False) -> Merger:
        return Merger(source, self.spec.events, live, Places(self.spec.zones, self.spec.lines))

    def left(self) -> list[EventRecord]:
        """The events so far of sources that did not end, for a run that is cut short. Nothing may be added after."""
        mergers, self._mergers = self._mergers, {}
        return [event for merger in mergers.values() for event in merger.end()[0]]

    def name(self, source_index: int) -> str:
        return self._names.get(source_index, "")


class EventSink(Sink):
    """Base class of sinks that write events. A subclass handles one event, and the end of a source."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._events = Events(spec)

    def source_started(self, info: SourceInfo) -> None:
        self._events.started(info)

    def write(self, record: ClipRecord) -> None:
        for event in self._events.add(record):
            self.event(event)

    def source_ended(self, source_index: int, clips: int) -> None:
        events, summary = self._events.end(source_index)
        for event in events:
            self.event(event)
        self.summary(summary)

    def summaries(self) -> tuple[SummaryRecord, ...]:
        return tuple(self._events.summaries)

    @abstractmethod
    def event(self, event: EventRecord) -> None:
        """Write one event."""

    def summary(self, summary: SummaryRecord) -> None:
        """Handle the end of a source."""


class SortedEvents(EventSink):
    """Base class of sinks that write the events of a source when it ends, all in order of start."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._held: dict[str, list[EventRecord]] = {}

    def event(self, event: EventRecord) -> None:
        self._held.setdefault(event.source, []).append(event)

    def summary(self, summary: SummaryRecord) -> None:
        held = self._held.pop(summary.source, [])
        self.events(sorted(held, key=lambda event: (event.epoch, event.start_s, event.event)), summary)

    def close(self, complete: bool) -> None:
        self._held.clear()

    @abstractmethod
    def events(self, events: list[EventRecord], summary: SummaryRecord) -> None:
        """Write all events of a source."""


class EventLines(EventSink):
    """JSON lines: one object with `"event"` per event, one with `"summary"` per source. `Merger` has their order."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._file = WholeFile(spec.path)

    def open(self) -> None:
        self._file.open()

    def event(self, event: EventRecord) -> None:
        self._file.write(event_line(event))

    def summary(self, summary: SummaryRecord) -> None:
        self._file.write(event_line(summary))

    def close(self, complete: bool) -> None:
        self._file.close(complete)


def event_line(record: EventRecord | SummaryRecord) -> str:
    """One JSON line with its end, numbers rounded for reading."""
    if isinstance(record, SummaryRecord):
        record = msgspec.structs.replace(record, first_events=())
    record = msgspec.structs.replace(record, source=printable(record.source))
    return msgspec.json.encode(record).decode() + "\n"
