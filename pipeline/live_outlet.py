"""The way out of a watch: the output process may die and be replaced, and the page sees the records too."""

import time
from collections import deque
from collections.abc import Callable

from pipeline.ledger import Ledger
from pipeline.messages import Finished, Records, SourceStarted, ToWorker
from pipeline.outlet import Outlet
from pipeline.processes import Worker

MOST_WAITING = 50_000
"""Records that wait for an output process. Of more, the oldest are given up, and counted."""
MOST_SHOWN = 200
"""Records that the page may not have read. It misses those that come then."""
AGES = 256
"""Newest clips of a camera by which its age is judged."""


class LiveOutlet(Outlet):
    """Like `Outlet`, for sources that never end."""

    def __init__(self, ledger: Ledger, send: Callable[[Worker, ToWorker], None]) -> None:
        super().__init__(ledger, 0, send)
        self.page: Worker | None = None
        self.ages_s: dict[int, deque[float]] = {}
        """By source: the ages of the newest results."""
        self.lost = 0
        """Records that were given up unwritten."""
        self._unshown = 0

    def pass_on(self) -> None:
        super().pass_on()
        while len(self._waiting) > MOST_WAITING:
            self.lost += isinstance(self._waiting.popleft(), Finished)

    def forget(self, source_index: int) -> None:
        """A camera was removed."""
        self.ages_s.pop(source_index, None)

    def begin_again(self, worker: Worker) -> None:
        """Another output process takes the place of one that died."""
        self.worker = worker
        sources = self._ledger.sources.values()
        self.send_again([SourceStarted(each.info) for each in sources if each.started and each.info is not None])

    def shown(self, count: int) -> None:
        """The page has read so many records."""
        self._unshown -= count

    def begin_page(self, worker: Worker) -> None:
        """The page is ready for records."""
        self.page, self._unshown = worker, 0

    def _send_records(self, worker: Worker, records: list[Finished]) -> None:
        super()._send_records(worker, records)
        page = self.page
        if records and page is not None and page.ready and self._unshown < MOST_SHOWN:
            self._unshown += len(records)
            facts = {number: self._ledger.facts.of(number) for number in {done.facts for done in records}}
            self._send(page, Records(records, facts))

    def _note_position(self, done: Finished) -> None:
        live = done.info.live
        if done.info.index >= 0:
            self.media_ns += done.info.end_ns - done.info.start_ns
        if live is not None and done.error is None and done.dropped is None and not done.gap:
            ages_s = self.ages_s.setdefault(done.info.source_index, deque(maxlen=AGES))
            ages_s.append((time.monotonic_ns() - live.captured_ns) / 1e9)
