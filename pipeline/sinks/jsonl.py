"""JSON lines: one object per clip, each line written whole, so that the file is valid after any death.

**Resume.** Done is, per source, the unbroken run of results and gaps from its first clip on. What stands behind it in
the file (the first error and all after it, event lines, a torn last line) is taken out before new lines are added, so
errors are tried again and no clip stands twice. That a source was read to its end stands in a file beside the output
(`out.jsonl.progress`, removed when a run ends complete and without errors); without it a resumed run opens the source
again, finds nothing behind the last clip, and goes on.
"""

import os
import select
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.clip import SourceInfo
from pipeline.errors import ConfigError, OutputError
from pipeline.result import ClipRecord, Evidence, Label, decode_json, encode_json
from pipeline.sinks.events import Events, event_line
from pipeline.sinks.file import is_special, output_error, part_name, printable, shown
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec, SummaryRecord

_READER_TIMEOUT_S = 3600.0


class Done(msgspec.Struct, kw_only=True):
    """How far an earlier run came with one source."""

    next_clip: int = 0
    """The first clip to do."""
    complete: bool = False
    """Read to its end without an error: nothing to do."""
    results: int = 0
    gaps: int = 0
    epoch: int = 0
    """Of the last result."""
    end_s: float = 0.0
    """Where the last result ends."""
    last_track_id: int = 0
    """Ids up to this one are taken; those of the rest count on from it."""


class Jsonl(Sink):
    """`-` is stdout. With `with_events`, event and summary lines follow the clip that settled them."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._out = -1
        self._progress = Progress(spec.path)
        self._errors = 0
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
                os.dup(1) if path == "-" else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o666)
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
            self._errors += 1
            self._source_errors[record.source] = self._source_errors.get(record.source, 0) + 1
        record = after_track(record, self._last_track_ids.get(record.source, 0))
        self._line(encode_record(record) + b"\n")
        self._written += record.labels is not None
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
            out, self._out = self._out, -1
            try:
                os.close(out)
            except OSError as error:
                raise output_error(self.spec.path, error, self._written) from error
        if complete and not self._errors:
            self._progress.remove()

    def summaries(self) -> tuple[SummaryRecord, ...]:
        return tuple(self._events.summaries) if self._events else ()

    def _line(self, line: bytes) -> None:
        """Write whole lines; what was torn by a full disk is cut off again."""
        left = memoryview(line)
        try:
            while left:
                try:
                    left = left[os.write(self._out, left) :]
                except BlockingIOError:
                    if not select.select([], [self._out], [], _READER_TIMEOUT_S)[1]:
                        raise OutputError(f"cannot write {shown(self.spec.path)}: nobody read it for an hour") from None
        except OSError as error:
            self._cut(len(line) - len(left))
            raise output_error(self.spec.path, error, self._written) from error

    def _cut(self, torn_bytes: int) -> None:
        if torn_bytes and not is_special(self.spec.path):
            os.ftruncate(self._out, os.lseek(self._out, 0, os.SEEK_END) - torn_bytes)

    def _take_over(self) -> None:
        """Leave in the file what is done, and nothing else."""
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
                    self._written += record.labels is not None
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


class Progress:
    """The file beside the output that says with which settings it is written and which sources are complete."""

    def __init__(self, output: str) -> None:
        self.path = "" if is_special(output) else output + ".progress"
        self._output = output

    def start(self, fingerprint: str, complete: list[str] | None = None) -> None:
        if self.path:
            lines = [msgspec.json.encode({"settings": fingerprint})]
            lines += [msgspec.json.encode({"complete": printable(name)}) for name in complete or []]
            part = Path(part_name(self.path))
            part.write_bytes(b"\n".join(lines) + b"\n")
            part.replace(self.path)

    def complete(self, source: str) -> None:
        if self.path:
            try:
                with open(self.path, "ab") as file:
                    file.write(msgspec.json.encode({"complete": printable(source)}) + b"\n")
            except OSError as error:
                raise output_error(self.path, error) from error

    def read(self) -> tuple[str | None, set[str]]:
        """The settings' fingerprint (None if nothing is known) and the complete sources."""
        fingerprint: str | None = None
        complete: set[str] = set()
        if self.path and os.path.exists(self.path):
            for line in Path(self.path).read_bytes().splitlines():
                try:
                    entry = msgspec.json.decode(line, type=dict[str, str])
                except msgspec.DecodeError:
                    break
                fingerprint = entry.get("settings", fingerprint)
                complete.update({entry["complete"]} if "complete" in entry else ())
        return fingerprint, complete

    def check(self, fingerprint: str) -> None:
        """Raises: ConfigError: the file was written with other settings."""
        written_with = self.read()[0]
        if written_with and fingerprint and written_with != fingerprint:
            raise ConfigError(
                f"{self._output}: was written with other labels, clips or another model; its results do not go "
                "together with new ones. Use the same options, or --overwrite, or another name."
            )

    def remove(self) -> None:
        if self.path:
            Path(self.path).unlink(missing_ok=True)


def read_done(path: str) -> dict[str, Done]:
    """How far each source in the file came; empty when there is no file.

    Raises: ConfigError: the file is not one of ours.
    """
    done: dict[str, Done] = {}
    broken: set[str] = set()
    for record in _records(path):
        state = done.setdefault(record.source, Done())
        follows = record.gap or (record.labels is not None and record.clip == state.next_clip)
        if record.source in broken or not follows:
            broken.add(record.source)
        elif not record.gap:
            state.next_clip = record.clip + 1
            state.results += 1
            state.gaps += record.epoch != state.epoch
            state.epoch = record.epoch
            state.end_s = record.end_s
            ids = [track.id for track in record.tracks or []]
            state.last_track_id = max([*ids, state.last_track_id])
    for source in Progress(path).read()[1] - broken:
        done.setdefault(source, Done()).complete = True
    return done


def kept_records(path: str, done: dict[str, Done] | None = None) -> Iterator[ClipRecord]:
    """The records that `--resume` keeps, in the order of the file."""
    done = read_done(path) if done is None else done
    at: dict[str, int] = {}
    for record in _records(path):
        state = done[record.source]
        behind = at.get(record.source, 0)
        if record.gap and (behind < state.next_clip or state.complete):
            yield record
        elif record.labels is not None and record.clip == behind < state.next_clip:
            at[record.source] = behind + 1
            yield record


def _records(path: str) -> Iterator[ClipRecord]:
    """Clip records of the file; event lines and a torn last line are passed over."""
    if not os.path.exists(path) or is_special(path):
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decode_json(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                if line.startswith((b'{"source":',)) and (b'"event":' in line or b'"summary":' in line):
                    continue
                raise ConfigError(
                    f"{path}: line {number} is no result of percept ({error}). Is it the right file? "
                    "Use --overwrite to write it anew, or another name."
                ) from error


def after_track(record: ClipRecord, last_track_id: int) -> ClipRecord:
    """The record with track ids counted on from an earlier run's last one, so that no id is used twice."""
    if not last_track_id or not record.tracks:
        return record
    tracks = [msgspec.structs.replace(track, id=track.id + last_track_id) for track in record.tracks]
    return msgspec.structs.replace(record, tracks=tracks)


def rounded(record: ClipRecord) -> ClipRecord:
    """Scores with six significant digits: more is noise, and twice the size."""
    labels = [
        Label(
            label=label.label,
            probability=_short(label.probability),
            share=_short(label.share),
            evidence={
                name: Evidence(_short(each.probability), _short(each.similarity), _short(each.weight))
                for name, each in label.evidence.items()
            },
        )
        for label in record.labels or ()
    ]
    return msgspec.structs.replace(record, labels=labels) if labels else record


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def encode_record(record: ClipRecord) -> bytes:
    """One line without its end; a source's name that is not UTF-8 is shown with backslashes."""
    record = rounded(record)
    try:
        return encode_json(record)
    except UnicodeEncodeError:
        return encode_json(msgspec.structs.replace(record, source=printable(record.source)))
