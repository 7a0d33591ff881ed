"""Clips that wait in a worker until a batch is full, or until the first clip has waited long enough."""

import time
from collections import deque
from itertools import repeat

from pipeline.bus import Bus
from pipeline.messages import Probe, Stop, Work, WorkClip


class Inbox:
    """Clips that the supervisor has sent and that are not taken yet."""

    def __init__(self, bus: Bus, batch: int) -> None:
        self.stopped = False
        self.probes = 0
        """Probes that were asked for and are not answered yet."""
        self._bus = bus
        self._batch = batch
        self._clips: deque[WorkClip] = deque()
        self._until_ns: deque[int] = deque()
        """Until when each clip may wait for others, in monotonic time."""

    @property
    def is_full(self) -> bool:
        """Whether a full batch is waiting."""
        return len(self._clips) >= self._batch

    def fill(self) -> None:
        """Wait for a first clip without limit, and for others no longer than the first may wait."""
        while not self.stopped and not self.is_full:
            left_s = max(0, self._until_ns[0] - time.monotonic_ns()) / 1e9 if self._clips else None
            message = self._bus.receive(left_s)
            if isinstance(message, Work):
                self._clips.extend(message.clips)
                self._until_ns.extend(repeat(message.until_ns, len(message.clips)))
            elif isinstance(message, Stop):
                self.stopped = True
            elif isinstance(message, Probe):
                self.probes += 1
                return
            elif message is None:
                return

    def take(self) -> list[WorkClip]:
        """The next batch, in order; empty if the worker was asked to stop."""
        count = min(self._batch, len(self._clips))
        for _ in range(count):
            self._until_ns.popleft()
        return [self._clips.popleft() for _ in range(count)]
