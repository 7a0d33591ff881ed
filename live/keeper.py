"""The writer of a watch's history: the only one, in the output process."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from live.event import LiveEvent
from live.folder import is_at, removed
from live.history import connect, iso, milliseconds, transaction
from live.history_schema import migrate
from live.results import Place
from pipeline.errors import OutputError
from pipeline.result import ClipRecord

_BEGIN = (-1, -1, -1.0)
LABELS_KEPT = 5
"""Labels of a clip that its row has."""
_encode = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(LiveEvent)
_cursor = msgspec.msgpack.Decoder(tuple[int, int, float]).decode


class Film(msgspec.Struct, frozen=True):
    """A film of an event that is wanted: when it begins and ends, and when it is given up, in monotonic time."""

    event: str
    camera: str
    path: str
    start_ns: int
    """When the event began."""
    post_s: float
    """How much of what comes after the event is wanted."""
    from_ns: int
    until_ns: int
    give_up_ns: int


class Keeper:
    """Writes the history. What a transaction holds is there together or not at all.

    run: names one run of a watch; clips count from 0 in each. A restarted output process goes on with the same name.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path, self._run_name = path, run
        self._file: os.stat_result
        self._run = 0
        self._cursors: dict[str, tuple[int, int, float]] = {}
        """Of each camera: epoch and clip of the last record, and the latest end of all."""
        self.told: list[str] = []
        """Sentences for the user."""

    def open(self) -> bool:
        """Open the file, or make it. Returns whether this run has begun before.

        Raises:
            OutputError: it is of a newer version.
            sqlite3.OperationalError, OSError: it cannot be written now.
        """
        try:
            self.connection = self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            if "newer percept" in str(error):
                raise OutputError(f"{self._path}: {error}. Use a newer percept, or another folder.") from None
            self._set_aside(error)
            self.connection = self._connect()
        self._file = self._path.stat()
        row = self.connection.execute("SELECT number FROM runs WHERE name = ?", (self._run_name,)).fetchone()
        if row:
            self._run = row[0]
            cursors = self.connection.execute("SELECT camera, body FROM states WHERE part = 'cursor'")
            self._cursors = {camera: _cursor(body) for camera, body in cursors}
        return row is not None

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path)
        try:
            migrate(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        damaged = self._path.with_name(f"history-damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.sqlite")
        self._path.rename(damaged)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self.told.append(f"the history is damaged ({error}); it is now {damaged.name}, and a new one begins")

    def close(self) -> None:
        self.connection.close()

    def check_place(self) -> None:
        """Raises: OutputError: the file was removed or replaced; what is written to it would be lost in silence."""
        if not is_at(self._path, self._file):
            raise OutputError(removed(self._path))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with transaction(self.connection):
            yield

    def begin_run(self) -> None:
        """Begin the run. States of cameras stay: what an earlier run has learned goes on."""
        self.connection.execute(
            "INSERT INTO runs (name, since_ms) VALUES (?, ?)", (self._run_name, round(time.time() * 1000))
        )
        self._run = self.connection.execute("SELECT number FROM runs WHERE name = ?", (self._run_name,)).fetchone()[0]
        self.connection.execute("DELETE FROM states WHERE part = 'cursor'")
        self.connection.execute("DELETE FROM films")

    # -- records -----------------------------------------------------------------------------------------------------

    def is_new(self, record: ClipRecord) -> bool:
        """Whether the record was not written yet. Those of a camera come in order.

        A camera that was taken away and added again counts its clips anew, but time goes on.
        """
        epoch, clip, end_s = self._cursors.get(record.source, _BEGIN)
        return (record.epoch, record.clip) > (epoch, clip) or record.end_s > end_s

    def passed(self, record: ClipRecord) -> None:
        """The record is dealt with; it is not new any more."""
        self._cursors[record.source] = record.epoch, record.clip, self._reached_s(record)

    def _reached_s(self, record: ClipRecord) -> float:
        return max(record.end_s, self._cursors.get(record.source, _BEGIN)[2])

    def add_clip(self, record: ClipRecord) -> None:
        """A row of a clip, and how far its camera is. A row that is there already stays as it is."""
        labels = {each.label: round(each.probability, 4) for each in (record.labels or ())[:LABELS_KEPT]}
        start_ms = milliseconds(record.wall_time) if record.wall_time else round(time.time() * 1000)
        self.connection.execute(
            "INSERT OR IGNORE INTO clips VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(record.source, start_ms, record.epoch, record.clip, record.start_s, record.end_s, record.age_s),
                *(_state(record), _encode(labels).decode()),
            ),
        )
        cursor = record.epoch, record.clip, self._reached_s(record)
        self.save_state(record.source, "cursor", msgspec.msgpack.encode(cursor))

    def start_s(self, event: LiveEvent) -> float | None:
        """When the first clip of an event began, on the monotonic clock of the run; None if its row is not there."""
        row = self.connection.execute(
            "SELECT start_s FROM clips WHERE camera = ? AND start_ms = ? AND epoch = ? AND clip = ?",
            (event.camera, milliseconds(event.start), event.epoch, event.first_clip),
        ).fetchone()
        return row and float(row[0])

    def save_place(self, place: Place) -> None:
        self.save_state("", "results", msgspec.msgpack.encode(place))

    def place(self) -> Place | None:
        body = self.state("", "results")
        return None if body is None else msgspec.msgpack.decode(body, type=Place)

    # -- events ------------------------------------------------------------------------------------------------------

    def put_event(self, event: LiveEvent) -> None:
        """Add an event, or replace the row of this id."""
        start_ms, end_ms = milliseconds(event.start), milliseconds(event.end or event.start)
        self.connection.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET state = ?6, start_ms = ?7, end_ms = ?8, body = ?9",
            (
                *(event.id, self._run, event.camera, event.kind, event.name, event.state),
                *(start_ms, end_ms, _encode(event)),
            ),
        )

    def event(self, id: str) -> LiveEvent | None:
        row = self.connection.execute("SELECT body FROM events WHERE id = ?", (id,)).fetchone()
        return row and _event.decode(row[0])

    def open_events(self) -> list[LiveEvent]:
        rows = self.connection.execute("SELECT body FROM events WHERE state = 'open' ORDER BY start_ms, id")
        return [_event.decode(body) for (body,) in rows]

    def ended(self, event: LiveEvent, text: str) -> LiveEvent:
        """An open event of an earlier run, closed at the end of its camera's last clip."""
        row = self.connection.execute(
            "SELECT start_ms, end_s - start_s FROM clips WHERE camera = ? ORDER BY start_ms DESC LIMIT 1",
            (event.camera,),
        ).fetchone()
        start_ms = milliseconds(event.start)
        end_ms = max(start_ms, round(row[0] + 1000 * row[1])) if row else milliseconds(event.end or event.start)
        duration_s = max(event.duration_s, (end_ms - start_ms) / 1000)
        return msgspec.structs.replace(
            event, state="closed", end=iso(end_ms), duration_s=duration_s, text=event.text or text
        )

    def counts(self) -> dict[str, int]:
        """Events of this run by camera."""
        return dict(
            self.connection.execute("SELECT camera, count(*) FROM events WHERE run = ? GROUP BY camera", (self._run,))
        )

    # -- states and films --------------------------------------------------------------------------------------------

    def save_state(self, camera: str, part: str, body: bytes) -> None:
        self.connection.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", (camera, part, body))

    def state(self, camera: str, part: str) -> bytes | None:
        row = self.connection.execute(
            "SELECT body FROM states WHERE camera = ? AND part = ?", (camera, part)
        ).fetchone()
        return row and bytes(row[0])

    def save(self, key: str, value: bytes) -> None:
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def load(self, key: str) -> bytes | None:
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row and bytes(row[0])

    def put_film(self, film: Film) -> None:
        self.connection.execute(
            "INSERT OR REPLACE INTO films VALUES (?, ?, ?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(film)
        )

    def drop_film(self, event: str) -> None:
        self.connection.execute("DELETE FROM films WHERE event = ?", (event,))

    def films(self) -> list[Film]:
        rows = self.connection.execute("SELECT * FROM films ORDER BY until_ns, event")
        return [Film(*row) for row in rows]


def _state(record: ClipRecord) -> str:
    if record.error is not None:
        return "error"
    if record.dropped is not None:
        return "dropped"
    return "gap" if record.gap else "reused" if record.reused else "result"
