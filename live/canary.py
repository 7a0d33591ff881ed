"""The canary: every engine is checked now and then on inputs whose answers are known."""

import time
from datetime import UTC, datetime

from live.running import utc_text
from live.status import Canary as CanaryStatus

EVERY_S = 600.0
"""From one check to the next."""


class Canary:
    """One round after another. A round is over when every worker has answered, or is gone."""

    def __init__(self) -> None:
        self.next_s = 0.0
        """When the next round begins, on the monotonic clock."""
        self._waiting: set[int] = set()
        self._problem = ""
        self._found = ""
        """The problem of the round under way."""
        self._at: float | None = None

    def begin(self, now_s: float, workers: set[int]) -> None:
        """Workers are asked."""
        self.next_s = now_s + EVERY_S
        self._waiting, self._found = set(workers), ""

    def answered(self, worker: int) -> None:
        self._waiting.discard(worker)
        if not self._waiting:
            self._at, self._problem = time.time(), self._found

    def fail(self, text: str) -> None:
        """A worker has found something. The next round, with another process, comes soon."""
        self._found = self._problem = text
        self._at = time.time()
        self.next_s = min(self.next_s, time.monotonic() + EVERY_S / 20)

    def status(self, alive: set[int]) -> CanaryStatus:
        """`ok` is None until the first round is over. alive: workers that can still answer."""
        if self._waiting and not self._waiting & alive:
            self._waiting.clear()
        if self._at is None:
            return CanaryStatus()
        return CanaryStatus(
            ok=not self._problem, text=self._problem, at=utc_text(datetime.fromtimestamp(self._at, UTC))
        )
