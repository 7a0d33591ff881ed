"""JSON lines: one object per clip. Each line is written whole, so the file stays valid if the process dies."""

import os
import select
from pathlib import Path

import msgspec

from pipeline.clip import SourceInfo
from pipeline.errors import OutputError
from pipeline.result import ClipRecord, Evidence, Label, encode_json
from pipeline.sinks.done import Progress, after_track, kept_records, read_done
from pipeline.sinks.events import Events, event_line
from pipeline.sinks.file import is_special, is_stdout, output_error, part_name, printable, shown
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec, SummaryRecord

_READER_TIMEOUT_S = 3600.0


class Jsonl(Sink):
    """Writes JSON lines; `-` is stdout. With `with_events`, event lines come between them, in order of start.

    See `Merger` for how long an event is held back. When a run is cut short, the events so far are written.
    """

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._out = -1
        self._progress = Progress(spec.path)
        self._written = 0
        self._source_errors: dict[str, int] = {}
        self._last_track_ids: dict[str, int] = {}
        self._done_before: set[str] = set()
        self._events = Events(spec) if spec.with_events else None
        self._sources: dict[int, str] = dict(enumerate(spec.sources))

    def open(self) -> None:
        path = self.spec.path
        if self.spec.resume and os.path.exists(path):
            self._take_over()
            flags = os.O_APPEND
        else:
            flags = 0 if is_special(path) else os.O_TRUNC
        try:
            self._out = (
                os.dup(1) if is_stdout(path) else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o666)
            )
            if not flags & os.O_APPEND:
                self._progress.start(self.spec.fingerprint)
        except OSError as error:
            raise output_error(path, error) from error

    def source_started(self, info: SourceInfo) -> None:
        self._sources[info.source_index] = info.source
        if self._events:
            self._events.started(info)

    def write(self, record: ClipRecord) -> None:
        if record.error is not None:
            self._source_errors[record.source] = self._source_errors.get(record.source, 0) + 1
        record = after_track(record, self._last_track_ids.get(record.source, 0))
        self._line(encode_record(record) + b"\n")
        self._written += record.is_result
        if self._events:
            self._line("".join(map(event_line, self._events.add(record))).encode())

    def source_ended(self, source_index: int, clips: int) -> None:
        source = self._sources.get(source_index)
        if source in self._done_before:
            return
        if self._events:
            events, summary = self._events.end(source_index)
            self._line(("".join(map(event_line, events)) + event_line(summary)).encode())
        if source is not None and not self._source_errors.pop(source, 0):
            self._progress.complete(source)

    def close(self, complete: bool) -> None:
        if self._out >= 0:
            try:
                if self._events:
                    self._line("".join(map(event_line, self._events.left())).encode())
            finally:
                self._close()

    def _close(self) -> None:
        out, self._out = self._out, -1
        try:
            os.close(out)
        except OSError as error:
            raise output_error(self.spec.path, error, self._written) from error

    def summaries(self) -> tuple[SummaryRecord, ...]:
        return tuple(self._events.summaries) if self._events else ()

    def _line(self, line: bytes) -> None:
        """Write whole lines. A line that a full disk has torn is removed again."""
        left = memoryview(line)
        try:
            while left:
                try:
                    left = left[os.write(self._out, left) :]
                except BlockingIOError:
                    if not select.select([], [self._out], [], _READER_TIMEOUT_S)[1]:
                        name = shown(self.spec.path)
                        raise OutputError(f"cannot write {name}: nobody has read it for an hour") from None
        except OSError as error:
            self._cut(len(line) - len(left))
            raise output_error(self.spec.path, error, self._written) from error

    def _cut(self, torn_bytes: int) -> None:
        if torn_bytes and not is_special(self.spec.path):
            os.ftruncate(self._out, os.lseek(self._out, 0, os.SEEK_END) - torn_bytes)

    def _take_over(self) -> None:
        """Keep only what is done in the file."""
        path = self.spec.path
        self._progress.check(self.spec.fingerprint)
        done = read_done(path)
        self._last_track_ids = {source: state.last_track_id for source, state in done.items()}
        self._done_before = {source for source, state in done.items() if state.complete}
        part = part_name(path)
        try:
            with open(part, "wb") as file:
                for record in kept_records(path, done):
                    file.write(encode_record(record) + b"\n")
                    self._written += record.is_result
                    if self._events:
                        file.write("".join(map(event_line, self._events.add(record))).encode())
                for index, source in enumerate(self.spec.sources):
                    if self._events and source in self._done_before:
                        events, summary = self._events.end(index)
                        file.write(("".join(map(event_line, events)) + event_line(summary)).encode())
            os.replace(part, path)
            self._progress.start(self.spec.fingerprint, sorted(self._done_before))
        except OSError as error:
            Path(part).unlink(missing_ok=True)
            raise output_error(path, error) from error


def rounded(record: ClipRecord) -> ClipRecord:
    """The record with scores of six significant digits. More digits are noise and double the size."""
    labels = [
        Label(
            label=label.label,
            probability=_short(label.probability),
            share=_short(label.share),
            evidence={
                name: Evidence(
                    _short(each.probability),
                    _short(each.similarity),
                    _short(each.weight),
                    _short_or_none(each.contribution),
                )
                for name, each in label.evidence.items()
            },
            near=label.near,
            base_log_odds=_short_or_none(label.base_log_odds),
        )
        for label in record.labels or ()
    ]
    tracks = [
        track if track.probability is None else msgspec.structs.replace(track, probability=_short(track.probability))
        for track in record.tracks or ()
    ]
    parts = ({"labels": labels} if labels else {}) | ({"tracks": tracks} if tracks else {})
    return msgspec.structs.replace(record, parts=record.parts | parts)


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _short_or_none(value: float | None) -> float | None:
    return None if value is None else _short(value)


def encode_record(record: ClipRecord) -> bytes:
    """One line without its end. A source name that is not UTF-8 is written with backslashes."""
    record = rounded(record)
    try:
        return encode_json(record)
    except UnicodeEncodeError:
        return encode_json(msgspec.structs.replace(record, source=printable(record.source)))
