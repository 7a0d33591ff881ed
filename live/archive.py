"""Everything that a watch keeps: results, history and alerts, changed together or not at all."""

import os
import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

from live.delivery import Delivery
from live.disk import Disk, disk_reason
from live.event import LiveEvent
from live.history import FILE
from live.keeper import Film, Keeper
from live.results import FOLDER, Results, utc_date
from live.settings import Keep
from live.spool import add_alerts, drop_targets
from pipeline.messages import Told
from pipeline.result import ClipRecord
from pipeline.sinks.jsonl import encode_record

ROOM_BYTES = 1 << 20
"""Writing begins again when so much can be written."""
MOST_PENDING = 1000
"""Events that a full disk keeps out of the history, and that are added when it has room again."""


class Change(msgspec.Struct, kw_only=True):
    """What one step changes."""

    record: ClipRecord | None = None
    events: list[LiveEvent] = []
    """To be added to the history, or replaced there."""
    alerts: list[LiveEvent] = []
    """To be delivered."""
    films: list[Film] = []
    films_over: list[str] = []
    states: list[tuple[str, str, bytes]] = []
    """Camera, part and what it needs to go on."""
    meta: dict[str, bytes] = {}


class Archive:
    """Writes changes. If the disk has no room, alerts are delivered all the same, and events are added later."""

    def __init__(self, directory: Path, run: str, keep: Keep, disk: Disk, today: Callable[[], str] = utc_date) -> None:
        self.keeper = Keeper(directory / FILE, run)
        self.disk = disk
        self.delivery = Delivery(directory / FILE, [])
        self.told: list[Told] = []
        """Sentences for the user. Whoever passes them on empties the list."""
        self._directory = directory
        self._results = Results(directory / FOLDER, limit_bytes(keep), today)
        self._pending: OrderedDict[str, LiveEvent] = OrderedDict()
        self._has_begun = False
        self.goes_on = False
        """Whether an earlier process has begun this run."""

    def open(self) -> list[ClipRecord]:
        """Go on where the last process of this run was killed.

        Returns records that are in the results, but of which the history knows nothing yet. `add` them.

        Raises: OutputError, OSError, sqlite3.OperationalError: it cannot be opened.
        """
        self.goes_on = self._has_begun = self.keeper.open()
        left = self._results.open(self.keeper.place())
        return left if self.goes_on else []

    def configure(self, keep: Keep) -> None:
        self._results.limit_bytes = limit_bytes(keep)

    def write(self, change: Change) -> None:
        """Append the record of a change to the results, and change the history.

        Raises: OutputError, OSError, sqlite3.Error: for a reason other than the disk.
        """
        if self._may_write(change):
            self._try(change, appends=change.record is not None)

    def add(self, change: Change) -> None:
        """The same for a record that is in the results already."""
        if self._may_write(change):
            self._try(change, appends=False)

    def retry(self) -> None:
        """Write what a full disk has kept out, if it has room again. Called whenever there is time."""
        if self.disk.is_full:
            self.write(Change())

    def drop_targets(self) -> int:
        """Give up alerts for targets that are not in the settings any more. Returns how many waited."""
        names = self.delivery.names
        try:
            with self.keeper.transaction():
                return drop_targets(self.keeper.connection, names)
        except sqlite3.OperationalError as error:
            if not disk_reason(error):
                raise
            return 0

    def close(self) -> None:
        self._results.close()
        self.keeper.close()

    def _may_write(self, change: Change) -> bool:
        if not self.disk.is_full:
            return True
        if not self.disk.is_due:
            self._keep_out(change)
            return False
        try:
            self._probe()
        except (OSError, sqlite3.OperationalError) as error:
            self._failed(change, error)
            return False
        return True

    def _try(self, change: Change, appends: bool) -> None:
        try:
            if appends and change.record is not None:
                self._results.append(encode_record(change.record) + b"\n")
            with self.keeper.transaction():
                given_up = self._save(change)
        except (OSError, sqlite3.OperationalError) as error:
            self._results.undo()
            self._failed(change, error)
            return
        self._results.keep()
        self._has_begun = True
        self._pending.clear()
        self.delivery.given_up(given_up)
        if change.alerts:
            self.delivery.wake()
        if over := self.disk.works_again():
            self.told.append(Told(f"the disk can be written again; {over.text}", "warning"))
            self.write(Change(events=[over], alerts=[over]))

    def _save(self, change: Change) -> dict[str, int]:
        """Within a transaction. Returns how many alerts were given up, by target."""
        keeper, given_up = self.keeper, Counter[str]()
        if not self._has_begun:
            keeper.begin_run()
        for event in self._pending.values():
            keeper.put_event(event)
        if change.record is not None:
            keeper.add_clip(change.record)
        for event in change.events:
            keeper.put_event(event)
        for event in change.alerts:
            given_up.update(add_alerts(keeper.connection, self.delivery.wanting(event), event))
        for film in change.films:
            keeper.put_film(film)
        for id in change.films_over:
            keeper.drop_film(id)
        for camera, part, body in change.states:
            keeper.save_state(camera, part, body)
        for key, value in change.meta.items():
            keeper.save(key, value)
        keeper.save_place(self._results.place)
        return given_up

    def _failed(self, change: Change, error: Exception) -> None:
        """Pause, if it is for the disk."""
        reason = disk_reason(error)
        if not reason:
            raise error
        begun = self.disk.failed(reason)
        self._keep_out(change)
        if begun:
            self.told.append(Told(f"{begun.text}; watching and alerts go on, and writing is tried again", "error"))
            self._keep_out(Change(events=[begun], alerts=[begun]))

    def _keep_out(self, change: Change) -> None:
        """Deliver the alerts of a change that is not written, and remember its events for later."""
        self.disk.missed += change.record is not None
        for event in change.events:
            self._pending[event.id] = event
            self._pending.move_to_end(event.id)
            if len(self._pending) > MOST_PENDING:
                self._pending.popitem(last=False)
        for event in change.alerts:
            self.delivery.add_unsaved(event)

    def _probe(self) -> None:
        """Raises: OSError: there is no room that would last for a while."""
        path = self._directory / ".room"
        try:
            with path.open("wb") as file:
                file.write(bytes(ROOM_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            path.unlink(missing_ok=True)


def limit_bytes(keep: Keep) -> int:
    return round(keep.results_megabytes * 1e6)
