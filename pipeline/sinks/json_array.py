"""A JSON array of the same objects as JSON lines. A file is only there once it is whole."""

from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord
from pipeline.sinks.events import Events, event_line
from pipeline.sinks.file import WholeFile
from pipeline.sinks.jsonl import encode_record
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec, SummaryRecord


class JsonArray(Sink):
    """With `with_events`, events and summaries are elements too, after the clip that closed them."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._file = WholeFile(spec.path)
        self._events = Events(spec) if spec.with_events else None
        self._elements = 0

    def open(self) -> None:
        self._file.open()

    def source_started(self, info: SourceInfo) -> None:
        if self._events:
            self._events.started(info)

    def write(self, record: ClipRecord) -> None:
        self._add(encode_record(record).decode())
        for event in self._events.add(record) if self._events else ():
            self._add(event_line(event).rstrip())

    def source_ended(self, source_index: int, clips: int) -> None:
        if self._events:
            events, summary = self._events.end(source_index)
            for line in (*map(event_line, events), event_line(summary)):
                self._add(line.rstrip())

    def close(self, complete: bool) -> None:
        """What a reader of stdout has got is an array, even if the run was interrupted."""
        if self._file.is_open:
            self._file.write("\n]\n" if self._elements else "[]\n")
        self._file.close(complete)

    def summaries(self) -> tuple[SummaryRecord, ...]:
        return tuple(self._events.summaries) if self._events else ()

    def _add(self, element: str) -> None:
        self._file.write((",\n" if self._elements else "[\n") + element)
        self._elements += 1
