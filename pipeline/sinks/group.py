"""All sinks of a run as one, with what an earlier run left told to each of them again."""

from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord
from pipeline.sinks.jsonl import Done, kept_records, read_done
from pipeline.sinks.sink import Sink, make_sink
from pipeline.status import OutputSpec, SummaryRecord


class SinkGroup(Sink):
    """What the sink process owns. JSONL comes first, so that a clip is safe before slower sinks see it.

    On resume the JSONL file keeps its own lines; every other sink is told the kept records again: those of complete
    sources when it opens, those of the others when their source starts.
    """

    def __init__(self, specs: list[OutputSpec]) -> None:
        super().__init__(specs[0] if specs else OutputSpec(path="/dev/null"))
        self._sinks = [make_sink(spec) for spec in sorted(specs, key=lambda spec: spec.kind != "jsonl")]
        self._open: list[Sink] = []
        self._resumed = next((spec for spec in specs if spec.kind == "jsonl" and spec.resume), None)
        self._kept: dict[str, list[ClipRecord]] = {}

    def open(self) -> None:
        done: dict[str, Done] = {}
        if self._resumed and len(self._sinks) > 1:
            done = read_done(self._resumed.path)
            for record in kept_records(self._resumed.path, done):
                self._kept.setdefault(record.source, []).append(record)
        for sink in self._sinks:
            sink.open()
            self._open.append(sink)
        for index, source in enumerate(self.spec.sources):
            if done.get(source, Done()).complete:
                self._tell_again(SourceInfo(source=source, source_index=index))
                for sink in self._others:
                    sink.source_ended(index, done[source].results)

    def source_started(self, info: SourceInfo) -> None:
        for sink in self._open:
            sink.source_started(info)
        if info.source in self._kept:
            self._tell_again(info, started=True)

    def write(self, record: ClipRecord) -> None:
        for sink in self._open:
            sink.write(record)

    def source_ended(self, source_index: int, clips: int) -> None:
        for sink in self._open:
            sink.source_ended(source_index, clips)

    def close(self, complete: bool) -> None:
        """Closes every sink, also when one of them fails; then raises the first failure."""
        failures = []
        while self._open:
            sink = self._open.pop(0)
            try:
                sink.close(complete)
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def summaries(self) -> tuple[SummaryRecord, ...]:
        return next((found for sink in self._sinks if (found := sink.summaries())), ())

    def take_notes(self) -> list[str]:
        """What the sinks want the user to read since the last call."""
        notes = [note for sink in self._sinks for note in sink.notes]
        for sink in self._sinks:
            sink.notes.clear()
        return notes

    @property
    def _others(self) -> list[Sink]:
        return [sink for sink in self._open if sink.spec.kind != "jsonl"]

    def _tell_again(self, info: SourceInfo, started: bool = False) -> None:
        for sink in self._others:
            if not started:
                sink.source_started(info)
            for record in self._kept.get(info.source, ()):
                sink.write(record)
        self._kept.pop(info.source, None)
