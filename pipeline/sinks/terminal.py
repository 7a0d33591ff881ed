"""Rows for the terminal, and what was found in each source. The command prints both; nothing is written here."""

from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord
from pipeline.sinks.events import Events
from pipeline.sinks.rows import row_of
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec, SummaryRecord


class Terminal(Sink):
    """With path "-", every clip is a row. In any case it makes the summaries of the run."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._events = Events(spec)
        self._has_rows = spec.path == "-"
        self._open: list[int] = []

    def open(self) -> None: ...

    def source_started(self, info: SourceInfo) -> None:
        self._events.started(info)
        self._open.append(info.source_index)

    def write(self, record: ClipRecord) -> None:
        self._events.add(record)
        if self._has_rows:
            self.rows.append(row_of(record, self.spec.events))

    def source_ended(self, source_index: int, clips: int) -> None:
        self._events.end(source_index)
        if source_index in self._open:
            self._open.remove(source_index)

    def close(self, complete: bool) -> None:
        """An interrupted source has a summary too: of what has come out."""
        for source_index in self._open:
            self._events.end(source_index)

    def summaries(self) -> tuple[SummaryRecord, ...]:
        return tuple(self._events.summaries)
