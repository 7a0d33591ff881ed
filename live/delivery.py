"""Delivers alerts: a thread per target, in order, at least once, again and again until the target takes them."""

import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from live.event import LiveEvent
from live.spool import Spool
from pipeline.logs import visible
from pipeline.messages import Told

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
"""After a failure a target is tried again in about 1, 2, 4 ... 60 s, each shortened by up to a half at random."""
LEAVING_RETRY_S = 0.2
LEAVING_S = 3.0
"""At the end, alerts that wait are tried for so long; the rest stay in the spool for the next run."""


class Later(Exception):
    """The target cannot take the alert now. The text has no secrets. wait_s: it asks for so much time."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Refused(Exception):
    """The target will never take this alert. The text has no secrets."""


class Target(Protocol):
    """Where alerts go. All but `is_back` is called by one thread."""

    name: str
    """Its key in the spool; it holds no secrets."""
    shown: str
    """What users read: `webhook https://hooks.example.org/…`."""
    kinds: tuple[str, ...]
    """Kinds of events that it wants."""
    is_back: threading.Event
    """Set when a target that was away can be reached again: the next try need not wait."""

    def send(self, event: LiveEvent) -> None:
        """Raises: Later, Refused"""

    def tend(self) -> None:
        """Called about once a second, for what is no alert. Raises: Later"""

    def close(self) -> None: ...


def wait_s(failures: int, jitter: float) -> float:
    """How long to wait after so many failures in a row; jitter is in [0, 1)."""
    longest: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 16))
    return longest * (1.0 - 0.5 * jitter)


class Deliverer:
    """The thread of one target."""

    def __init__(self, path: Path, target: Target, told: "deque[Told]") -> None:
        self.target = target
        self.spool = Spool(path, target.name)
        self.delivered = 0
        self._told = told
        self._wake, self._leave_at_s = threading.Event(), 0.0
        self._failures = 0
        self._refusals: set[str] = set()
        self._thread = threading.Thread(target=self._run, name=f"deliver-{target.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There are new alerts."""
        self._wake.set()

    def leave(self, within_s: float) -> None:
        """Deliver what waits, for no longer than this, and end."""
        self._leave_at_s = time.monotonic() + within_s
        self._wake.set()
        self.target.is_back.set()

    def join(self, within_s: float) -> None:
        self._thread.join(within_s + 2.0)

    def _run(self) -> None:
        try:
            while self._step() and (not self._is_leaving or time.monotonic() < self._leave_at_s):
                pass
        finally:
            self.spool.close()
            self.target.close()

    @property
    def _is_leaving(self) -> bool:
        return self._leave_at_s > 0.0

    def _step(self) -> bool:
        """Deliver one alert, or wait. Returns False if there is nothing more to deliver before the end."""
        is_leaving = self._is_leaving
        self._wake.clear()
        self.target.is_back.clear()
        try:
            self.target.tend()
            alert = self.spool.next()
            if alert is None:
                self._wake.wait(0.0 if is_leaving else 1.0)
                return not is_leaving
            self._send(alert.event)
            self.spool.finish(alert)
            self.delivered += 1
        except Refused as error:
            assert alert is not None
            self.spool.finish(alert, refused=str(error))
            self._tell_refused(alert.event, str(error))
        except (Later, sqlite3.Error) as error:
            return self._failed(error)
        except Exception as error:  # a fault in one target must end neither it nor the others
            return self._failed(Later(f"unexpected {type(error).__name__}"))
        return True

    def _send(self, event: LiveEvent) -> None:
        self.target.send(event)
        if self._failures:
            self._tell(f"{self.target.shown} takes alerts again", "info")
        self._failures = 0

    def _failed(self, error: Exception) -> bool:
        """Wait. Returns False if the end has come and nothing is left to deliver."""
        self._failures += 1
        try:
            waiting = self.spool.waiting()
        except sqlite3.Error:
            waiting = 1
        if self._failures == 1:
            self._tell(f"{self.target.shown}: {error}; alerts wait ({waiting})", "warning")
        if self._is_leaving:
            self.target.is_back.wait(LEAVING_RETRY_S)
            return waiting > 0
        asked_s = min(error.wait_s, LONGEST_WAIT_S) if isinstance(error, Later) else 0.0
        self.target.is_back.wait(max(asked_s, wait_s(self._failures, random.random())))
        return True

    def _tell_refused(self, event: LiveEvent, text: str) -> None:
        """Once per reason."""
        if text not in self._refusals and len(self._refusals) < 100:
            self._refusals.add(text)
            self._tell(f"{self.target.shown}: {text}; the alert of {event.id} is set aside, as will be others", "error")

    def _tell(self, text: str, level: str) -> None:
        self._told.append(Told(visible(text), level))  # type: ignore[arg-type]


class Delivery:
    """All targets of a watch.

    path: the history, which holds the spool.
    """

    def __init__(self, path: Path, targets: Sequence[Target]) -> None:
        self.told: deque[Told] = deque(maxlen=1000)
        self._path = path
        self._deliverers = {target.name: Deliverer(path, target, self.told) for target in targets}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._deliverers)

    @property
    def targets(self) -> list[Target]:
        return [each.target for each in self._deliverers.values()]

    def start(self) -> None:
        for each in self._deliverers.values():
            each.start()

    def wanting(self, event: LiveEvent) -> list[str]:
        """The targets that want the event."""
        return [name for name, each in self._deliverers.items() if event.kind in each.target.kinds]

    def wake(self) -> None:
        for each in self._deliverers.values():
            each.wake()

    def add_unsaved(self, event: LiveEvent) -> None:
        """Deliver an event that the disk has no room for, as long as this process lives."""
        for name in self.wanting(event):
            if self._deliverers[name].spool.add_unsaved(event):
                self.told.append(Told(f"{self._deliverers[name].target.shown}: an alert was given up", "error"))
            self._deliverers[name].wake()

    def given_up(self, counts: dict[str, int]) -> None:
        """Tell of alerts that left the spool because it was full, or because they were too old."""
        for name, count in counts.items():
            shown = self._deliverers[name].target.shown
            self.told.append(
                Told(f"{shown}: {count} alerts were given up, because too many wait or for too long", "error")
            )

    def close(self, within_s: float | None = None) -> None:
        """End. within_s: for so long, what waits is still delivered; none: for `LEAVING_S`."""
        within_s = LEAVING_S if within_s is None else within_s
        for each in self._deliverers.values():
            each.leave(within_s)
        for each in self._deliverers.values():
            each.join(within_s)


def sent_now(targets: Iterable[Target], event: LiveEvent) -> list[tuple[str, bool, str]]:
    """Send an event to each target at once, without the spool: (target, whether it took it, what it said)."""
    found = []
    for target in targets:
        try:
            target.tend()
            target.send(event)
            found.append((target.shown, True, "taken"))
        except (Later, Refused) as error:
            found.append((target.shown, False, str(error)))
        finally:
            target.close()
    return found
