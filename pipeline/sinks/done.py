"""What `--resume` keeps of the JSON lines of an earlier run.

For each source it keeps the unbroken run of results and gaps from the first clip on. Everything after it (the first
error and what follows, event lines, a torn last line) is removed before new lines are added, so errors are retried and
no clip appears twice. A small file next to the output (`out.jsonl.progress`) holds the settings and the complete
sources, so that `--resume` with other labels is refused and complete sources are not opened again. Without that file,
sources are opened again and continue after their last clip.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.errors import ConfigError
from pipeline.result import ClipRecord, decode_json
from pipeline.sinks.file import companion, is_special, output_error, part_name, printable


class Done(msgspec.Struct, kw_only=True):
    """How far an earlier run got with one source."""

    next_clip: int = 0
    """The first clip to do."""
    complete: bool = False
    """It was read to its end without an error."""
    results: int = 0
    gaps: int = 0
    epoch: int = 0
    """Epoch of the last result."""
    end_s: float = 0.0
    """End of the last result."""
    last_track_id: int = 0
    """Track ids up to this one are used. New ids continue from it."""


class Progress:
    """The file next to the output that holds its settings and the complete sources."""

    def __init__(self, output: str) -> None:
        self.path = "" if is_special(output) else companion(output, "", ".progress")
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
        """The fingerprint of the settings, None if unknown, and the complete sources."""
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
                f"{self._output}: was written with other labels, clips or another model; new results would not fit. "
                "Use the same options, or --overwrite, or another name."
            )


def read_done(path: str) -> dict[str, Done]:
    """How far each source in the file got; empty if there is no file.

    Raises: ConfigError: the file is not one of ours.
    """
    done: dict[str, Done] = {}
    broken: set[str] = set()
    for record in _records(path):
        state = done.setdefault(record.source, Done())
        follows = record.gap or (record.is_result and record.clip == state.next_clip)
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
        elif record.is_result and record.clip == behind < state.next_clip:
            at[record.source] = behind + 1
            yield record


def _records(path: str) -> Iterator[ClipRecord]:
    """Clip records of the file. Event lines and a torn last line are skipped."""
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
                    f"{path}: line {number} is not a result of percept ({error}). Is it the right file? "
                    "Use --overwrite to replace it, or another name."
                ) from error


def after_track(record: ClipRecord, last_track_id: int) -> ClipRecord:
    """The record with track ids that continue those of an earlier run, so that no id is used twice."""
    if not last_track_id or not record.tracks:
        return record
    replace, parts = msgspec.structs.replace, dict(record.parts)
    parts["tracks"] = [replace(track, id=track.id + last_track_id) for track in record.tracks]
    if record.zones:
        parts["zones"] = [
            replace(zone, visits=[replace(visit, track=visit.track + last_track_id) for visit in zone.visits])
            for zone in record.zones
        ]
    if record.crossings:
        parts["crossings"] = [replace(each, track=each.track + last_track_id) for each in record.crossings]
    return replace(record, parts=parts)
