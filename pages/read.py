"""Reads a file of results: JSON lines, or a JSON array of the same records."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.errors import ConfigError
from pipeline.result import ClipRecord, decode_json
from pipeline.status import EventRecord

_event = msgspec.json.Decoder(EventRecord)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_OTHERS = {
    ".csv": "a table of events",
    ".srt": "subtitles",
    ".vtt": "subtitles",
    ".parquet": "a Parquet table",
    ".mp4": "a video",
    ".mkv": "a video",
    ".mov": "a video",
    ".html": "a page",
}


def read_results(path: str) -> Iterator[ClipRecord | EventRecord]:
    """Clip records and events, in the order of the file. A last line that was cut off is left out.

    Raises:
        ConfigError: there is no such file, it is not a file of results, or it is empty.
    """
    if kind := _OTHERS.get(Path(path).suffix.lower()):
        raise ConfigError(
            f"{path}: is {kind}; expected results as JSON lines, such as results.jsonl. "
            "Make them with: percept run talk.mp4 -o results.jsonl"
        )
    count = 0
    for number, line, is_cut in _lines(path):
        record = _record(path, number, line, is_cut)
        if record is not None:
            count += 1
            yield record
    if not count:
        raise ConfigError(f"{path}: has no results. Make them with: percept run talk.mp4 -o {path}")


def _lines(path: str) -> Iterator[tuple[int, bytes, bool]]:
    """Number and JSON of each record, and whether its line has no end."""
    try:
        with open(path, "rb") as file:
            start = file.read(64).lstrip()
            file.seek(0)
            if start.startswith(b"["):
                for number, item in enumerate(_array.decode(file.read()), 1):
                    yield number, bytes(item), False
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line, not line.endswith(b"\n")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; expected results, such as results.jsonl") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); expected a file of results") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: is not a JSON array of results ({error}). Is it the right file?") from error


def _record(path: str, number: int, line: bytes, is_cut: bool) -> ClipRecord | EventRecord | None:
    try:
        return decode_json(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            fields = _fields.decode(line)
            if "source" in fields and "event" in fields:
                return _event.decode(line)
            if "source" in fields and "summary" in fields:
                return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            if is_cut and number > 1:
                return None
        raise ConfigError(
            f"{path}: line {number} is not a result of percept ({error}). Is it the right file? "
            "Expected what this writes: percept run talk.mp4 -o results.jsonl"
        ) from error
