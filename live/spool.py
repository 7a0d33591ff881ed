"""Alerts on their way: kept in the history's file until they are delivered, so that a crash or an outage loses none."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from live.event import LiveEvent
from live.history import connect

MOST_ALERTS = 10_000
"""Alerts that wait for one target. The oldest beyond are given up."""
OLDEST_S = 7 * 86400.0
"""An alert that waits for longer is given up."""
MOST_REFUSED = 1000
"""Alerts of a target that are set aside."""
MOST_UNSAVED = 1000
"""Alerts of a target that a full disk keeps out of the spool."""
_encode = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(LiveEvent)


class Alert(msgspec.Struct, frozen=True):
    """One event for one target. `id` is 0 if a full disk kept it out of the spool."""

    id: int
    event: LiveEvent


def add_alerts(connection: sqlite3.Connection, targets: Iterable[str], event: LiveEvent) -> dict[str, int]:
    """Add an event for each target, within the caller's transaction. Returns how many were given up, by target."""
    given_up = {}
    for target in targets:
        connection.execute(
            "INSERT INTO spool (target, at_s, body) VALUES (?, ?, ?)", (target, time.time(), _encode(event))
        )
        if lost := _give_up(connection, target):
            given_up[target] = lost
    return given_up


def _give_up(connection: sqlite3.Connection, target: str) -> int:
    """Remove what is too old or too much of the alerts for a target. Looks at few rows where nothing is to be done."""
    waiting = "FROM spool WHERE target = ? AND refused = ''"
    first, last = connection.execute(f"SELECT min(id), max(id) {waiting}", (target,)).fetchone()
    lost = 0
    if last - first >= MOST_ALERTS:
        (count,) = connection.execute(f"SELECT count(*) {waiting}", (target,)).fetchone()
        oldest = f"SELECT id {waiting} ORDER BY id LIMIT ?"
        beyond = max(0, count - MOST_ALERTS)
        lost += connection.execute(f"DELETE FROM spool WHERE id IN ({oldest})", (target, beyond)).rowcount
    oldest_s = time.time() - OLDEST_S
    while lost_now := connection.execute(
        f"DELETE FROM spool WHERE at_s < ? AND id = (SELECT min(id) {waiting})", (oldest_s, target)
    ).rowcount:
        lost += lost_now
    return lost


def forget_refused(connection: sqlite3.Connection, target: str) -> None:
    """Of the alerts that were set aside, keep the newest."""
    connection.execute(
        "DELETE FROM spool WHERE target = ?1 AND refused != '' AND id <= "
        "(SELECT id FROM spool WHERE target = ?1 AND refused != '' ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        (target, MOST_REFUSED),
    )


def drop_targets(connection: sqlite3.Connection, targets: Iterable[str]) -> int:
    """Give up the alerts for all targets but these. Returns how many waited."""
    names = list(targets)
    marks = ", ".join("?" * len(names))
    gone = f"FROM spool WHERE target NOT IN ({marks})"
    (waiting,) = connection.execute(f"SELECT count(*) {gone} AND refused = ''", names).fetchone()
    connection.execute(f"DELETE {gone}", names)
    return int(waiting)


class Spool:
    """The alerts for one target, in order. One thread takes them, another may add some that could not be saved."""

    def __init__(self, path: Path, target: str) -> None:
        self.target = target
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._unsaved: deque[LiveEvent] = deque(maxlen=MOST_UNSAVED)
        self._finished: dict[int, str] = {}
        """Alerts that are dealt with and whose rows a full disk has kept, with the reason if they were refused."""
        self._lock = threading.Lock()

    def add_unsaved(self, event: LiveEvent) -> bool:
        """Add an event that the disk has no room for. Returns whether an older one had to give way."""
        with self._lock:
            is_full = len(self._unsaved) == MOST_UNSAVED
            self._unsaved.append(event)
            return is_full

    def next(self) -> Alert | None:
        """The alert whose turn it is: first those of the spool, then those that could not be saved."""
        last = max(self._finished, default=0)
        row = self._execute(
            "SELECT id, body FROM spool WHERE target = ? AND refused = '' AND id > ? ORDER BY id LIMIT 1",
            (self.target, last),
        ).fetchone()
        if row:
            return Alert(row[0], _event.decode(row[1]))
        with self._lock:
            return Alert(0, self._unsaved[0]) if self._unsaved else None

    def finish(self, alert: Alert, refused: str = "") -> None:
        """The alert is delivered; or set aside, because the target will never take it."""
        if not alert.id:
            with self._lock:
                if self._unsaved and self._unsaved[0] is alert.event:
                    self._unsaved.popleft()
            return
        self._finished[alert.id] = refused
        try:
            for id, reason in list(self._finished.items()):
                if reason:
                    self._execute("UPDATE spool SET refused = ? WHERE id = ?", (reason, id))
                    forget_refused(self._open(), self.target)
                else:
                    self._execute("DELETE FROM spool WHERE id = ?", (id,))
                del self._finished[id]
        except sqlite3.OperationalError:
            pass  # no room on the disk; the rows go with the next alert

    def waiting(self) -> int:
        """How many alerts wait."""
        last = max(self._finished, default=0)
        count = "SELECT count(*) FROM spool WHERE target = ? AND refused = '' AND id > ?"
        (found,) = self._execute(count, (self.target, last)).fetchone()
        with self._lock:
            return int(found) + len(self._unsaved)

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _execute(self, query: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        return self._open().execute(query, values)

    def _open(self) -> sqlite3.Connection:
        """A connection of the thread that takes alerts."""
        if self._connection is None:
            self._connection = connect(self._path)
        return self._connection
