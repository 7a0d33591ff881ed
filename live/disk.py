"""A disk that cannot be written is a state: writing pauses, is tried again, and what was not written is counted."""

import errno
import secrets
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from live.event import LiveEvent

RETRY_S = 3.0
"""Time between two tries to write."""
_REASONS = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file has reached the largest size",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk does not work",
    errno.EACCES: "permission denied",
    errno.ENOENT: "the folder is gone",
}
_SQLITE_REASONS = {
    sqlite3.SQLITE_FULL: "no space left on the disk",
    sqlite3.SQLITE_READONLY: "the disk is read-only",
    sqlite3.SQLITE_IOERR: "the disk does not work, or is full",
    sqlite3.SQLITE_CANTOPEN: "the history cannot be opened",
    sqlite3.SQLITE_BUSY: "another process writes to the history",
}


def disk_reason(error: Exception) -> str:
    """Why something cannot be written, if that may pass; "" for other errors."""
    if isinstance(error, OSError):
        return _REASONS.get(error.errno or 0, "")
    if isinstance(error, sqlite3.OperationalError):
        return _SQLITE_REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
    return ""


class Disk:
    """Whether the state folder can be written, and what could not be."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._clock, self._now = clock, now
        self._event: LiveEvent | None = None
        self._since_s = self._tried_s = 0.0
        self.missed = 0
        """Clips that were not written since it is full."""

    @property
    def is_full(self) -> bool:
        return self._event is not None

    @property
    def is_due(self) -> bool:
        """Whether writing may be tried."""
        return not self.is_full or self._clock() - self._tried_s >= RETRY_S

    def failed(self, reason: str) -> LiveEvent | None:
        """A try has failed. Returns the event that begins, if it is the first."""
        self._tried_s = self._clock()
        if self._event is not None:
            return None
        self._since_s, self.missed = self._tried_s, 0
        now = self._now()
        self._event = LiveEvent(
            id=f"disk-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
            camera="",
            kind="health",
            name="disk_full",
            state="open",
            start=_iso(now),
            text=f"results and history cannot be written: {reason}",
            evidence={"reason": reason},
        )
        return self._event

    def works_again(self) -> LiveEvent | None:
        """A try has succeeded. Returns the event that is over, if there was one."""
        if self._event is None:
            return None
        now = self._now()
        begin, end = (_clock_text(each) for each in (datetime.fromisoformat(self._event.start), now))
        event = msgspec.structs.replace(
            self._event,
            state="closed",
            end=_iso(now),
            duration_s=round(self._clock() - self._since_s, 3),
            text=f"{self.missed} clips were not written from {begin} to {end}: {self._event.evidence['reason']}",
            evidence=self._event.evidence | {"clips_not_written": self.missed},
        )
        self._event = None
        return event


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds")


def _clock_text(time: datetime) -> str:
    """`14:03:22`, in this machine's time zone"""
    return f"{time.astimezone():%H:%M:%S}"
