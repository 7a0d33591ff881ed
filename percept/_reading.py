"""Records from the files that `percept run -o` writes."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from percept import _records


def read(path: str | os.PathLike[str]) -> Iterator[_records.ClipRecord]:
    """The records of a file of results, in its order: JSON lines, or one JSON array (`.json`).

    Lines of events and summaries are passed over, and so is a last line that is not complete because the run was cut
    off or still goes on. A file of JSON lines is read as the loop goes, so its size does not matter.

        for result in percept.read("talk.jsonl"):
            print(result)

    Raises:
        ConfigError: the file is not one of results, or is of a newer version; the message names the line.
        OSError: it cannot be opened.
    """
    name = os.fspath(path)
    if Path(name).suffix.lower() == ".parquet":
        raise _records.ConfigError(
            f"{name}: is a Parquet table. Read it with pandas.read_parquet or polars.read_parquet"
        )
    return _read(name)


def _read(name: str) -> Iterator[_records.ClipRecord]:
    with open(name, "rb") as file:
        is_array = file.read(1) == b"["
        file.seek(0)
        for number, line in enumerate(_array(name, file.read()) if is_array else file, start=1):
            if not line.strip() or _is_summary(line):
                continue
            try:
                yield _records.decode_json(line)
            except msgspec.DecodeError as error:
                if number > 1 and not line.endswith(b"\n") and not isinstance(error, msgspec.ValidationError):
                    return
                expected = "expected JSON lines of: percept run talk.mp4 -o talk.jsonl"
                raise _records.ConfigError(f"{name}:{number}: is not a record ({error}); {expected}") from error


def _array(name: str, text: bytes) -> list[bytes]:
    try:
        return [bytes(each) + b"\n" for each in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except msgspec.DecodeError as error:
        raise _records.ConfigError(f"{name}: is not a complete JSON array: {error}") from error


def _is_summary(line: bytes) -> bool:
    """Whether the line is an event or the summary of a source."""
    if b'"event":' not in line and b'"summary":' not in line:
        return False
    try:
        fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return False
    return "clip" not in fields and ("event" in fields or "summary" in fields)
