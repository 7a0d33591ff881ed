"""Removes the oldest of what a watch keeps, by age and by size, a little at a time."""

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from live.event import LiveEvent
from live.history import transaction
from live.results import FOLDER as RESULTS
from live.results import NAME, names_in
from live.settings import Keep

MEDIA = "media"
SLICE_S = 0.02
"""How long one step may take."""
EVERY_S = 300.0
"""Time between two rounds."""
ROWS_A_STEP = 500
MOST_HISTORY_BYTES = 512 << 20
"""Of the history. Beyond it, the oldest rows of clips go, which the results files keep, and then the oldest events."""
PAGES_A_STEP = 200
FREE_BYTES = 64 << 20
"""While the disk is full, the oldest files go until so much is free."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_PART_AGE_S = 3600.0


class _Kept(msgspec.Struct, frozen=True, order=True):
    date: str
    changed_ns: int
    name: str
    """Relative to the state folder."""
    size_bytes: int


class Retention:
    """Keeps the state folder within its limits. Files of events that go on stay, as does the newest results file.

    free_bytes: how much room the disk has, for a folder.
    """

    def __init__(
        self,
        directory: Path,
        keep: Keep,
        clock: Callable[[], float] = time.time,
        free_bytes: Callable[[Path], int] = lambda path: _free_bytes(path),
    ) -> None:
        self.removed_files = self.removed_bytes = self.removed_rows = 0
        self._directory, self._keep, self._clock, self._free_bytes = directory, keep, clock, free_bytes
        self._round: Iterator[None] | None = None
        self._next_s = 0.0
        self._is_full = False

    def configure(self, keep: Keep) -> None:
        self._keep, self._next_s = keep, 0.0

    def step(self, connection: sqlite3.Connection, is_full: bool = False) -> int:
        """Do a little. is_full: the disk has no room, so more goes than the limits ask for.

        Returns how many files were removed.

        Raises: OSError, sqlite3.Error
        """
        if is_full and not self._is_full:
            self._round, self._next_s = None, 0.0
        self._is_full = is_full
        if self._round is None:
            if self._clock() < self._next_s:
                return 0
            self._next_s = self._clock() + (5.0 if is_full else EVERY_S)
            self._round = self._clean(connection, is_full)
        until_s, before = time.monotonic() + SLICE_S, self.removed_files
        try:
            while time.monotonic() < until_s:
                if next(self._round, self) is self:
                    self._round = None
                    break
        except BaseException:
            self._round = None
            raise
        return self.removed_files - before

    def _clean(self, connection: sqlite3.Connection, is_full: bool) -> Iterator[None]:
        protected = self._protected(connection)
        files: list[_Kept] = []
        for each in self._files():
            if each is not None and each.name not in protected:
                files.append(each)
            yield
        files.sort()
        oldest = datetime.fromtimestamp(self._clock() - self._keep.days * 86400, UTC).strftime("%Y-%m-%d")
        size_bytes = sum(each.size_bytes for each in files)
        for each in files:
            if is_full and self._free_bytes(self._directory) < FREE_BYTES and each.date < self._today():
                pass
            elif each.date >= oldest and size_bytes <= self._keep.gigabytes * 1e9:
                continue
            self._remove(connection, each)
            size_bytes -= each.size_bytes
            yield
        yield from self._empty_folders()
        if not is_full:
            yield from self._rows(connection)

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%d")

    def _protected(self, connection: sqlite3.Connection) -> set[str]:
        """Files that stay: those of events that go on, and the results file that is being written."""
        decode = msgspec.json.Decoder(LiveEvent).decode
        rows = connection.execute(
            "SELECT body FROM events WHERE state = 'open' OR id IN (SELECT event FROM films)"
        ).fetchall()
        events = [decode(body) for (body,) in rows]
        names = {f"{MEDIA}/{name}" for event in events for name in (event.snapshot, event.recording) if name}
        results = names_in(self._directory / RESULTS)
        return names | ({f"{RESULTS}/{results[-1]}"} if results else set())

    def _files(self) -> Iterator[_Kept | None]:
        """Every file of ours; None after each other one. Links and whatever has another name are not ours."""
        for entry in _entries(self._directory / RESULTS):
            is_ours = entry.is_file(follow_symlinks=False) and bool(NAME.fullmatch(entry.name))
            yield self._kept(entry, f"{RESULTS}/{entry.name}", entry.name[:10]) if is_ours else None
        for day in sorted(_entries(self._directory / MEDIA), key=lambda entry: entry.name):
            if not (day.is_dir(follow_symlinks=False) and _DAY.fullmatch(day.name)):
                continue
            for entry in _entries(Path(day.path)):
                is_ours = entry.is_file(follow_symlinks=False) and not self._is_part(entry)
                yield self._kept(entry, f"{MEDIA}/{day.name}/{entry.name}", day.name) if is_ours else None

    def _is_part(self, entry: os.DirEntry[str]) -> bool:
        """Whether the file is being written."""
        return entry.name.startswith(".") and self._clock() - entry.stat().st_mtime < _PART_AGE_S

    def _kept(self, entry: os.DirEntry[str], name: str, date: str) -> _Kept | None:
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        return _Kept(date, found.st_mtime_ns, name, found.st_size)

    def _remove(self, connection: sqlite3.Connection, file: _Kept) -> None:
        (self._directory / file.name).unlink(missing_ok=True)
        self.removed_files += 1
        self.removed_bytes += file.size_bytes
        folder, _, name = file.name.partition("/")
        if folder == MEDIA and not self._is_full:
            _forget_file(connection, name)

    def _empty_folders(self) -> Iterator[None]:
        for day in _entries(self._directory / MEDIA):
            if day.is_dir(follow_symlinks=False) and _DAY.fullmatch(day.name) and day.name < self._today():
                with suppress(OSError):  # it is not empty
                    os.rmdir(day.path)
                yield

    def _rows(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Remove old rows in small transactions, so that writing never waits for long."""
        oldest_ms = round((self._clock() - self._keep.days * 86400) * 1000)
        cameras = _cameras(connection)
        yield
        while self._delete(connection, _OLD_EVENTS, oldest_ms):
            yield
        for camera in cameras:
            while self._delete(connection, _OLD_CLIPS, camera, camera, oldest_ms):
                yield
        while _size_bytes(connection) > MOST_HISTORY_BYTES and self._shrink(connection, cameras):
            yield
        while connection.execute("PRAGMA freelist_count").fetchone()[0] > 10 * PAGES_A_STEP:
            connection.execute(f"PRAGMA incremental_vacuum({PAGES_A_STEP})").fetchall()
            yield

    def _shrink(self, connection: sqlite3.Connection, cameras: list[str]) -> int:
        """Remove the oldest clips; without any, the oldest events. Returns how many."""
        query = "SELECT min(start_ms) FROM clips WHERE camera = ?"
        oldest = [(connection.execute(query, (camera,)).fetchone()[0], camera) for camera in cameras]
        found = min(((start_ms, camera) for start_ms, camera in oldest if start_ms is not None), default=None)
        if found is None:
            return self._delete(connection, _OLD_EVENTS, _LATEST_MS)
        return self._delete(connection, _OLD_CLIPS, found[1], found[1], _LATEST_MS)

    def _delete(self, connection: sqlite3.Connection, query: str, *values: str | int) -> int:
        removed = connection.execute(query, (*values, ROWS_A_STEP)).rowcount
        self.removed_rows += removed
        return removed


_LATEST_MS = 1 << 62
_OLD_EVENTS = """
    DELETE FROM events WHERE rowid IN (
        SELECT rowid FROM events WHERE start_ms < ? AND state != 'open' ORDER BY start_ms LIMIT ?
    )
"""
_OLD_CLIPS = """
    DELETE FROM clips WHERE camera = ? AND (start_ms, epoch, clip) IN (
        SELECT start_ms, epoch, clip FROM clips WHERE camera = ? AND start_ms < ? ORDER BY start_ms LIMIT ?
    )
"""


def _cameras(connection: sqlite3.Connection) -> list[str]:
    """All cameras that have clips, without a look at every row."""
    found: list[str] = []
    query = "SELECT min(camera) FROM clips WHERE camera > ?"
    while (camera := connection.execute(query, (found[-1] if found else "",)).fetchone()[0]) is not None:
        found.append(camera)
    return found


def _size_bytes(connection: sqlite3.Connection) -> int:
    """Of the rows: without what is free in the file."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _forget_file(connection: sqlite3.Connection, name: str) -> None:
    """The event of a removed snapshot or film does not name it any more."""
    id = Path(name).stem
    row = connection.execute("SELECT body FROM events WHERE id = ?", (id,)).fetchone()
    if row is None:
        return
    event = msgspec.json.decode(row[0], type=LiveEvent)
    gone = {field: "" for field in ("snapshot", "recording") if getattr(event, field) == name}
    if gone:
        with transaction(connection):
            body = msgspec.json.encode(msgspec.structs.replace(event, **gone))
            connection.execute("UPDATE events SET body = ? WHERE id = ?", (body, id))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
