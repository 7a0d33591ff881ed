"""The way out: passes finished clips to the output process, and closes it."""

from collections import deque
from collections.abc import Callable

from pipeline.ledger import Ledger
from pipeline.messages import (
    Behind,
    Finished,
    Records,
    SinkClosed,
    SourceDone,
    SourceStarted,
    SourceSupplied,
    Stop,
    ToWorker,
    Written,
)
from pipeline.processes import Worker
from pipeline.status import Position, SummaryRecord, Writing

RECORDS_UNDER_WAY = 512
"""Records that the output process may hold unwritten. More wait in the supervisor."""
CLOSING_S = 600.0
"""Closing a sink that re-encodes video takes long, and a reader of the output may have stopped."""


Item = Finished | SourceSupplied | SourceStarted | SourceDone


class Outlet:
    """Takes finished clips from the ledger, and sends them as fast as they are written.

    start_s, end_s: the stretch of every source that is labelled.
    """

    def __init__(
        self,
        ledger: Ledger,
        source_count: int,
        send: Callable[[Worker, ToWorker], None],
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> None:
        self.worker: Worker | None = None
        """The output process."""
        self.is_closed = False
        self.summaries: tuple[SummaryRecord, ...] = ()
        self.writing: tuple[Writing, ...] = ()
        self.position = Position(source_count=source_count)
        self.media_ns = 0
        """Length of all clips that came out."""
        self._ledger = ledger
        self._source_count = source_count
        self._start_s, self._end_s = start_s, end_s
        self._send = send
        self._waiting: deque[Item] = deque()
        self._under_way: deque[Item] = deque()
        """Sent, and not known to be written."""
        self._unwritten = 0
        self._stopping_since_s = 0.0
        self._is_asked = False

    def __len__(self) -> int:
        """Items that wait to be sent."""
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        """Records that are sent and not known to be written."""
        return self._unwritten

    @property
    def is_empty(self) -> bool:
        """Whether everything that was finished is written."""
        return not self._waiting and not self._unwritten

    def handle(self, message: Written | Behind | SinkClosed) -> None:
        match message:
            case Behind(writing):
                self.writing = writing
            case Written(count):
                self._unwritten -= count
                self._note_written(count)
            case SinkClosed(summaries):
                self.is_closed, self.summaries = True, summaries

    def pass_on(self) -> None:
        """Take finished clips from the ledger, and send as many as the output process may hold."""
        for item in self._ledger.emit():
            if isinstance(item, Finished):
                self._note_position(item)
            self._waiting.append(item)
        if self.worker is None or not self.worker.ready:
            return
        records: list[Finished] = []
        while self._waiting and self._unwritten < RECORDS_UNDER_WAY:
            item = self._waiting.popleft()
            self._under_way.append(item)
            if isinstance(item, Finished):
                records.append(item)
                self._unwritten += 1
                continue
            self._send_records(self.worker, records)
            records = []
            self._send(self.worker, item)
        self._send_records(self.worker, records)

    def _note_written(self, count: int) -> None:
        """Forget what is written: so many records, and what was sent before them."""
        while count:
            count -= isinstance(self._under_way.popleft(), Finished)

    def send_again(self, started: list[SourceStarted]) -> None:
        """Another output process takes the place of one that died. It receives all that may not be written.

        started: the sources that are open.
        """
        under_way = [item for item in self._under_way if not isinstance(item, SourceStarted)]
        waiting = [item for item in self._waiting if not isinstance(item, SourceStarted)]
        self._under_way.clear()
        self._waiting = deque([*started, *under_way, *waiting])
        self._unwritten = 0

    def _send_records(self, worker: Worker, records: list[Finished]) -> None:
        if records:
            facts = {number: self._ledger.facts.of(number) for number in {done.facts for done in records}}
            self._send(worker, Records(records, facts))

    def _note_position(self, done: Finished) -> None:
        info = done.info
        if info.index >= 0:
            self.media_ns += info.end_ns - info.start_ns
        source = self._ledger.sources[info.source_index].info
        duration_s = source.duration_ns / 1e9 if source and source.duration_ns is not None else None
        ends_s = [each for each in (duration_s, self._end_s) if each is not None]
        self.position = Position(
            source=info.source,
            source_number=info.source_index + 1,
            source_count=self._source_count,
            clip=info.index,
            position_s=info.end_ns / 1e9,
            duration_s=duration_s,
            start_s=self._start_s,
            end_s=min(ends_s, default=None),
        )

    def stop(self, complete: bool, now_s: float) -> None:
        """Ask the output process to finish: once, as soon as it is ready."""
        self._stopping_since_s = self._stopping_since_s or now_s
        if self.worker is not None and self.worker.ready and not self._is_asked:
            self._is_asked = True
            self._send(self.worker, Stop(complete))

    def stopping_s(self, now_s: float) -> float:
        """Seconds since it was first asked to stop; 0.0 if it was not."""
        return now_s - self._stopping_since_s if self._stopping_since_s else 0.0
