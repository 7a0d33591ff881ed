"""The past of a watch, as its page reads it: events, clips and who may write them. See `live.keeper` for the writer."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from live.event import LiveEvent

FILE = "history.sqlite"
BUSY_S = 5.0
"""How long one connection waits for another to finish writing."""
LONG_MS = 600_000
"""Longer events have an index of their own, in which a timeline finds those that began long before it."""
LONGEST_EVENT_MS = 86_400_000
"""A timeline finds closed events that began at most so long before it."""
_event: msgspec.json.Decoder[LiveEvent] = msgspec.json.Decoder(LiveEvent)
_labels: msgspec.json.Decoder[dict[str, float]] = msgspec.json.Decoder(dict[str, float])


class ClipRow(msgspec.Struct, frozen=True):
    """One clip of a camera, in short."""

    camera: str
    epoch: int
    clip: int
    start: str
    """UTC, ISO 8601 with offset and milliseconds."""
    start_s: float
    """Since the start of its run, on the monotonic clock."""
    end_s: float
    age_s: float
    state: str
    """`result`, `reused`, `error`, `dropped` or `gap`."""
    labels: dict[str, float]
    """Probabilities of its best labels."""


class Timeline(msgspec.Struct, frozen=True):
    """What a camera saw in a stretch of time, in order of time."""

    events: list[LiveEvent]
    clips: list[ClipRow]
    has_more: bool
    """There are more clips or events than the limit; these are the oldest of the stretch."""


class History:
    """Questions to the history, from one thread at a time. A writer never waits for a reader."""

    def __init__(self, path: Path) -> None:
        """Raises: sqlite3.Error: there is none, or it cannot be read."""
        self._connection = connect(path, read_only=True)

    def close(self) -> None:
        self._connection.close()

    def events(
        self, camera: str | None = None, kind: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[LiveEvent]:
        """The newest events, newest first. before: only older ones than the event of this id, or than this time.

        Raises: ValueError: `before` is neither the id of an event nor a time in ISO 8601.
        """
        where: list[str] = []
        values: list[str | int] = []
        for name, value in (("camera", camera), ("kind", kind)):
            if value is not None:
                where.append(f"{name} = ?")
                values.append(value)
        if before is not None:
            where.append("(start_ms, id) < (?, ?)")
            values += self._place(before)
        condition = f"WHERE {' AND '.join(where)}" if where else ""
        return self._events(f"{condition} ORDER BY start_ms DESC, id DESC LIMIT ?", *values, limit)

    def event(self, id: str) -> LiveEvent | None:
        found = self._events("WHERE id = ?", id)
        return found[0] if found else None

    def open_events(self, camera: str | None = None) -> list[LiveEvent]:
        if camera is None:
            return self._events("WHERE state = 'open' ORDER BY start_ms, id")
        return self._events("WHERE state = 'open' AND camera = ? ORDER BY start_ms, id", camera)

    def timeline(self, camera: str, since: str, until: str, limit: int = 2000) -> Timeline:
        """Events that touch, and clips that begin in, the stretch [since, until); ISO 8601 with offset."""
        since_ms, until_ms = milliseconds(since), milliseconds(until)
        events = self._events_of(camera, since_ms, until_ms, limit + 1)
        clips = self._clips(
            "camera = ? AND start_ms >= ? AND start_ms < ? ORDER BY start_ms LIMIT ?",
            *(camera, since_ms, until_ms, limit + 1),
        )
        return Timeline(events[:limit], clips[:limit], max(len(events), len(clips)) > limit)

    def _events_of(self, camera: str, since_ms: int, until_ms: int, limit: int) -> list[LiveEvent]:
        """Those that begin in the stretch or shortly before it, and of earlier ones the long and the open ones."""
        early_ms = since_ms - LONG_MS
        query = f"""
            SELECT body FROM (
                SELECT body, start_ms, id FROM events INDEXED BY events_by_camera
                WHERE camera = ?1 AND start_ms >= ?4 AND start_ms < ?3
                    AND (end_ms > ?2 OR start_ms >= ?2 OR state = 'open')
                UNION ALL
                SELECT body, start_ms, id FROM events INDEXED BY events_long
                WHERE camera = ?1 AND start_ms >= ?5 AND start_ms < ?4 AND end_ms - start_ms > {LONG_MS} AND end_ms > ?2
                UNION ALL
                SELECT body, start_ms, id FROM events INDEXED BY events_open
                WHERE camera = ?1 AND state = 'open' AND start_ms < ?4
            ) ORDER BY start_ms, id LIMIT ?6
        """
        values = (camera, since_ms, until_ms, early_ms, since_ms - LONGEST_EVENT_MS, limit)
        return [_event.decode(body) for (body,) in self._connection.execute(query, values)]

    def latest_clips(self, camera: str, limit: int = 30) -> list[ClipRow]:
        """The newest clips, in order of time."""
        return self._clips("camera = ? ORDER BY start_ms DESC LIMIT ?", camera, limit)[::-1]

    def _events(self, rest: str, *values: Any) -> list[LiveEvent]:
        return [_event.decode(body) for (body,) in self._connection.execute(f"SELECT body FROM events {rest}", values)]

    def _clips(self, rest: str, *values: Any) -> list[ClipRow]:
        query = f"SELECT camera, epoch, clip, start_ms, start_s, end_s, age_s, state, labels FROM clips WHERE {rest}"
        return [
            ClipRow(camera, epoch, clip, iso(start_ms), start_s, end_s, age_s, state, _labels.decode(labels))
            for camera, epoch, clip, start_ms, start_s, end_s, age_s, state, labels in self._connection.execute(
                query, values
            )
        ]

    def _place(self, before: str) -> tuple[int, str]:
        row = self._connection.execute("SELECT start_ms, id FROM events WHERE id = ?", (before,)).fetchone()
        return row or (milliseconds(before), "")


def connect(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """A connection without implicit transactions. Writing is safe against the death of the process at any instant."""
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=not read_only,
    )
    if not read_only:
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:  # later it would have to lock the file
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16777216")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that the block writes, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def milliseconds(time: str) -> int:
    """Unix time. Raises: ValueError: it is not ISO 8601, or has no offset."""
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError(f"{time!r} has no offset; expected a time such as 2026-01-31T12:00:00+00:00")
    return round(moment.timestamp() * 1000)


def iso(unix_ms: int) -> str:
    """`2026-01-31T12:00:00.000+00:00`"""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds")
