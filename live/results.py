"""The results of a watch: files of JSON lines, a new one each day (UTC) and at a size.

A line is written before the history knows of it, and the history then keeps the place behind it. After a crash, lines
behind that place are read again, and a torn one is cut off. So nothing is missing and nothing is there twice.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from pipeline.result import ClipRecord, decode_json

FOLDER = "results"
NAME = re.compile(r"\d{4}-\d{2}-\d{2}-\d{4,}\.jsonl")
_BLOCK_BYTES = 1 << 16


class Place(msgspec.Struct, frozen=True):
    """A place in the results: a file and how many of its bytes."""

    file: str
    size_bytes: int


def utc_date() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


class Results:
    """Appends lines to `<UTC date>-<four digits>.jsonl`; the names sort by time. Only one process may write.

    limit_bytes: a file that would become larger is closed, and the next one begun.
    """

    def __init__(self, directory: Path, limit_bytes: int, today: Callable[[], str] = utc_date) -> None:
        self.limit_bytes = limit_bytes
        self._directory, self._today = directory, today
        self._out = -1
        self._place = Place("", 0)
        self._kept = Place("", 0)

    @property
    def place(self) -> Place:
        """Behind the last line."""
        return self._place

    def open(self, kept: Place | None) -> list[ClipRecord]:
        """The records behind the place that the history knows, which stay; a torn line does not.

        Raises: OSError: the folder cannot be written.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kept = kept or Place("", 0)
        names = self._names()
        found: list[ClipRecord] = []
        for name in names if kept else ():
            if name >= self._kept.file:
                found += self._take_over(name, self._kept.size_bytes if name == self._kept.file else 0)
        if names:
            cut_torn_line(self._directory / names[-1])
            self._begin(names[-1], (self._directory / names[-1]).stat().st_size)
        return found

    def append(self, line: bytes) -> None:
        """Write one line. Raises: OSError: it could not be written; nothing of it is left."""
        self._rotate(len(line))
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._out, left) :]
        except OSError:
            os.ftruncate(self._out, self._place.size_bytes)
            raise
        self._place = Place(self._place.file, self._place.size_bytes + len(line))

    def keep(self) -> None:
        """The history has the place now."""
        self._kept = self._place

    def undo(self) -> None:
        """Cut off what was appended since the last `keep`, because the history could not be written."""
        if self._out < 0 or self._place == self._kept:
            return
        size_bytes = self._kept.size_bytes if self._place.file == self._kept.file else 0
        with suppress(OSError):  # a disk that does not even shorten a file: the line stays
            os.ftruncate(self._out, size_bytes)
            self._place = Place(self._place.file, size_bytes)

    def close(self) -> None:
        out, self._out = self._out, -1
        if out >= 0:
            os.close(out)

    def _names(self) -> list[str]:
        return names_in(self._directory)

    def _take_over(self, name: str, begin: int) -> list[ClipRecord]:
        """The records of a file from a place on. What is no record, at its end, is cut off."""
        path = self._directory / name
        with path.open("rb") as file:
            file.seek(begin)
            records = []
            for line, record in _records(file):
                begin += len(line)
                records.append(record)
        if path.stat().st_size > begin:
            os.truncate(path, begin)
        return records

    def _rotate(self, more_bytes: int) -> None:
        date, number = self._place.file[:10], self._number
        today = max(date, self._today())
        if self._out >= 0 and today == date and self._place.size_bytes + more_bytes <= self.limit_bytes:
            return
        if self._out >= 0 and not self._place.size_bytes and today == date:
            return
        number = number + 1 if today == date else 1
        self.close()
        self._begin(f"{today}-{number:04}.jsonl", 0)

    @property
    def _number(self) -> int:
        return int(self._place.file[11:-6] or 0)

    def _begin(self, name: str, size_bytes: int) -> None:
        self._out = os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._place = Place(name, size_bytes)


def names_in(directory: Path) -> list[str]:
    """The results files of a folder, in order of time."""
    return sorted(path.name for path in directory.glob("*.jsonl") if NAME.fullmatch(path.name))


def _records(file: BinaryIO) -> Iterator[tuple[bytes, ClipRecord]]:
    """Whole lines that are records, up to the first that is none."""
    for line in file:
        if not line.endswith(b"\n"):
            return
        try:
            yield line, decode_json(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return


def cut_torn_line(path: Path) -> None:
    """Cut off what is behind the last line end."""
    with path.open("rb+") as file:
        size_bytes = end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - _BLOCK_BYTES)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        if end < size_bytes:
            file.truncate(end)
