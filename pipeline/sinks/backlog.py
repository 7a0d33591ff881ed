"""What slow sinks still have to write, and how far they are behind the results."""

import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial

from pipeline.bus import Bus
from pipeline.clip import SourceInfo
from pipeline.messages import Behind, Written
from pipeline.result import ClipRecord
from pipeline.sinks.sink import Sink
from pipeline.status import Writing

REPORT_S = 0.2
"""Time between two reports of progress."""


class Backlog:
    """Calls of slow sinks in order. Each `step` makes one. Without slow sinks, records count as written at once."""

    def __init__(self, bus: Bus, sinks: list[Sink], clock: Callable[[], float] = time.monotonic) -> None:
        self._bus, self._sinks, self._clock = bus, sinks, clock
        self._calls: deque[Callable[[], None]] = deque()
        self._done: Counter[str] = Counter()
        self._total: Counter[str] = Counter()
        self._reported_s = clock()
        self._is_shown = False

    def __bool__(self) -> bool:
        return bool(self._calls)

    def supplied(self, source: str, ticket: bytes) -> None:
        for sink in self._sinks:
            self._calls.append(partial(sink.source_supplied, source, ticket))

    def started(self, info: SourceInfo) -> None:
        for sink in self._sinks:
            self._calls.append(partial(sink.source_started, info))

    def write(self, records: list[ClipRecord]) -> None:
        if not self._sinks:
            self._bus.send(Written(len(records)))
            return
        for record in records:
            for sink in self._sinks:
                path = sink.file_of(record.source)
                self._total[path] += 1
                self._calls.append(partial(self._write, sink, record, path))
            self._calls.append(partial(self._bus.send, Written(1)))

    def ended(self, source_index: int, clips: int) -> None:
        for sink in self._sinks:
            self._calls.append(partial(sink.source_ended, source_index, clips))

    def after(self, call: Callable[[], None]) -> None:
        """Call something when all that has come so far is written."""
        if self._calls:
            self._calls.append(call)
        else:
            call()

    def step(self) -> None:
        self._calls.popleft()()
        if self._clock() - self._reported_s >= REPORT_S or (self._is_shown and not self._calls):
            self._reported_s = self._clock()
            behind = tuple(
                Writing(path=path, done=self._done[path], total=total)
                for path, total in self._total.items()
                if self._done[path] < total or (self._calls and path == next(reversed(self._total)))
            )
            self._is_shown = bool(behind)
            self._bus.send(Behind(behind))

    def _write(self, sink: Sink, record: ClipRecord, path: str) -> None:
        sink.write(record)
        self._done[path] += 1
