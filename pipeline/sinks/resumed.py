"""Replays the JSON lines of an earlier run to a sink, so that a resumed run writes whole files."""

from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord
from pipeline.sinks.done import after_track, kept_records, read_done
from pipeline.sinks.sink import Sink
from pipeline.status import SummaryRecord


class Resumed(Sink):
    """Wraps a sink. Complete sources are replayed when it opens, the others when they start.

    It must be opened before new records are added to the JSON lines.
    """

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink.spec)
        self._sink = sink
        self.notes = sink.notes
        self.rows = sink.rows
        self.is_slow = sink.is_slow
        self._kept: dict[str, list[ClipRecord]] = {}
        self._last_track_ids: dict[str, int] = {}
        self._done_before: set[int] = set()

    def open(self) -> None:
        self._sink.open()
        path = self.spec.resume_from
        done = read_done(path)
        self._last_track_ids = {source: state.last_track_id for source, state in done.items()}
        complete = {
            source: index for index, source in enumerate(self.spec.sources) if source in done and done[source].complete
        }
        self._done_before = set(complete.values())
        current = ""
        for record in kept_records(path, done):
            if record.source not in complete:
                self._kept.setdefault(record.source, []).append(record)
                continue
            if record.source != current:
                self._end(current, complete)
                current = record.source
                self._sink.source_started(SourceInfo(source=current, source_index=complete[current]))
            self._sink.write(record)
        self._end(current, complete)

    def source_started(self, info: SourceInfo) -> None:
        self._sink.source_started(info)
        for record in self._kept.pop(info.source, ()):
            self._sink.write(record)

    def write(self, record: ClipRecord) -> None:
        self._sink.write(after_track(record, self._last_track_ids.get(record.source, 0)))

    def source_ended(self, source_index: int, clips: int) -> None:
        if source_index not in self._done_before:
            self._sink.source_ended(source_index, clips)

    def close(self, complete: bool) -> None:
        self._sink.close(complete)

    def file_of(self, source: str) -> str:
        return self._sink.file_of(source)

    def summaries(self) -> tuple[SummaryRecord, ...]:
        return self._sink.summaries()

    def _end(self, source: str, complete: dict[str, int]) -> None:
        if source:
            self._sink.source_ended(complete[source], 0)
