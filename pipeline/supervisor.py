"""The one process that knows: clip ledger, slots, queues, counters. It never blocks on a worker, a sink or a disk."""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from pipeline.build import GroupPlan, Plan
from pipeline.bus import address
from pipeline.errors import PerceptError
from pipeline.feed import Feed
from pipeline.ledger import Entry, Ledger
from pipeline.messages import (
    PROTOCOL_VERSION,
    Broken,
    Decoded,
    Done,
    Ended,
    Finished,
    FromWorker,
    GapFound,
    Hello,
    Note,
    Opened,
    Prepared,
    Records,
    SinkClosed,
    SourceDone,
    SourceFailed,
    SourceStarted,
    Stop,
    ToWorker,
    Warned,
    Work,
    WorkClip,
    Written,
    decode_from_worker,
    encode,
)
from pipeline.processes import Processes, Worker
from pipeline.slots import Slots
from pipeline.status import Account, Notice, Position, Status, SummaryRecord

NOBLOCK = int(zmq.NOBLOCK)
"""A plain number: pyzmq's flags cost more than the call they go with."""
POLL_MS = 100
TIMER_S = 0.2
RECORDS_UNDER_WAY = 512
"""Records a sink may hold unwritten; the rest waits here."""
EARLY_DEATHS_LIMIT = 3
LAST_WORDS_S = 2.0
FATAL_CLOSING_S = 10.0
CLOSING_S = 600.0
"""A sink that re-encodes video may take long to close, and a reader may have stopped reading: it is waited for this
long."""


@dataclass
class _Fatal:
    kind: str
    text: str


@dataclass
class _Batches:
    """How many clips a group ran, and in how many batches."""

    clips: int = 0
    batches: int = 0

    def add(self, clips: int, batches: int) -> None:
        self.clips += clips
        self.batches += batches

    @property
    def mean(self) -> float:
        return self.clips / max(1, self.batches)


@dataclass
class Supervisor:
    """Runs a plan over sources; `run` returns the account. `interrupt()` may be called from a signal handler."""

    plan: Plan
    sources: list[str]
    starts: dict[int, int] = field(default_factory=dict)
    complete: set[int] = field(default_factory=set)
    on_status: Callable[[Status], None] = lambda status: None
    on_notice: Callable[[Notice], None] = lambda notice: None

    def __post_init__(self) -> None:
        self._interrupts = 0
        self._fatal: _Fatal | None = None
        self._prepared = False
        self._early_deaths: dict[str, int] = {}
        self._outbox: deque[Finished | SourceStarted | SourceDone] = deque()
        self._unwritten = 0
        self._sink: Worker | None = None
        self._sink_closed = False
        self._stopping_since_s = 0.0
        self._sink_told = False
        self._drain_since_s = 0.0
        self._summaries: tuple[SummaryRecord, ...] = ()
        self._position = Position(source_count=len(self.sources))
        self._media_ns = 0
        self._began_s = time.monotonic()
        self._ready_s = 0.0
        self._status_s = 0.0
        self._messages: list[str] = []
        self._warnings: set[str] = set()
        self._needs = [frozenset(group.needs) for group in self.plan.groups]
        self._batches = [_Batches() for _ in self.plan.groups]

    # -- life -----------------------------------------------------------------------------------------------------

    def run(self) -> Account:
        self.slots = Slots.create(self.plan.layout, self.plan.slots)
        self._context = zmq.Context(io_threads=1)
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.SNDHWM, 0)
        self._router.setsockopt(zmq.RCVHWM, 0)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.bind(address(self.plan.settings.directory))
        self.processes = Processes(self.plan, self.slots)
        try:
            self._start()
            while not self._finished():
                self._step()
        finally:
            self.processes.close()
            self._router.close()
            self._context.term()
            os.close(self.slots.fd)
        return self._account()

    def _start(self) -> None:
        config = self.plan.config
        self.ledger = Ledger(
            self.plan.groups, self.plan.slot_arrays, lambda slot: self.feed.release(slot), config.queue.tries
        )
        self.feed = Feed(
            self.sources, self.starts, self.complete, self.plan, self.ledger, self.slots, self.processes, self._send
        )
        self._sink = self.processes.spawn("sink", "output")
        self.processes.spawn("prepare", "prepare")
        self.feed.start()
        self._poller = zmq.Poller()
        self._polled: list[int] = []
        self._timer_s = 0.0

    def _start_groups(self) -> None:
        for group in self.plan.groups:
            for number in range(group.workers):
                suffix = f"-{number + 1}" if group.workers > 1 else ""
                self.processes.spawn("group", group.name + suffix, group.index)

    def interrupt(self) -> None:
        """The first time: close the sources and finish what is in flight. The second time: stop at once."""
        self._interrupts += 1

    def _step(self) -> None:
        heard = self._receive() or self._wait()
        now_s = time.monotonic()
        due = now_s - self._timer_s > TIMER_S
        if due or not heard:
            self._bury(self.processes.died())
        if due:
            self._timer_s = now_s
            self._timers(now_s)
        if self._prepared or not self.plan.groups:
            self._lease()
        self.feed.dispatch(hold_back=len(self._outbox) > self.plan.config.queue.results_waiting)
        self._emit()
        if self.ledger.fault and not self._fatal:
            self._fatal = _Fatal("ModelError", f"the first clips all failed the same way: {self.ledger.fault}")

    def _wait(self) -> bool:
        """For a message (true), or something to do with a process, or a while."""
        self._watch_fds()
        self._poller.poll(POLL_MS)
        return self._receive()

    def _watch_fds(self) -> None:
        fds = self.processes.fds()
        if fds != self._polled:
            self._poller = zmq.Poller()
            for item in (self._router, *fds):
                self._poller.register(item, zmq.POLLIN)
            self._polled = fds

    def _timers(self, now_s: float) -> None:
        for worker, text in self.processes.check_deadlines():
            self._tell(f"{worker.name} (pid {worker.pid}) {text}; it is killed and replaced", "warning")
        if self._interrupts and not self._drain_since_s:
            self._drain_since_s = now_s
            self._tell("interrupted: finishing what is in flight; press Ctrl-C again to stop at once", "warning")
            self.feed.close()
        if now_s - self._status_s > 0.5:
            self._status_s = now_s
            self.on_status(self._status())

    # -- messages -------------------------------------------------------------------------------------------------

    def _receive(self, most: int = 1_000) -> bool:
        """Handle what has come; whether anything had."""
        for number in range(most):
            try:
                identity, data = self._router.recv_multipart(NOBLOCK)
            except zmq.Again:
                return number > 0
            worker_id = int.from_bytes(identity, "big")
            worker = self.processes.workers.get(worker_id)
            if worker is None and self._sink is not None and self._sink.id == worker_id:
                worker = self._sink
            if worker is not None:
                self._handle(worker, decode_from_worker(data))
        return True

    def _handle(self, worker: Worker, message: FromWorker) -> None:
        match message:
            case Done(clips, batches):
                worker.credit += len(clips)
                if batches:
                    self._batches[worker.group].add(len(clips), batches)
                for done in clips:
                    self.ledger.done(worker.id, worker.group, done)
            case Decoded() | Opened() | GapFound() | Ended() | SourceFailed():
                notice = self.feed.handle(worker, message)
                if notice:
                    self._tell(notice, "error" if isinstance(message, SourceFailed) else "info")
            case Written(count):
                self._unwritten -= count
            case Hello():
                self._hello(worker, message)
            case Prepared(text, finished, _):
                if text:
                    self._tell(text)
                if finished:
                    self._prepared = True
                    worker.stopping = True
                    self._start_groups()
            case Broken(kind, error):
                worker.stopping = True
                self._fatal = self._fatal or _Fatal(kind, error)
            case Note(text):
                self._messages.append(text)
            case Warned(text):
                if text not in self._warnings:
                    self._warnings.add(text)
                    self._tell(text, "warning")
            case SinkClosed(summaries):
                worker.stopping = True
                self._sink_closed = True
                self._summaries = summaries

    def _hello(self, worker: Worker, hello: Hello) -> None:
        if hello.version != PROTOCOL_VERSION:
            raise PerceptError(f"{worker.name} speaks protocol {hello.version}; expected {PROTOCOL_VERSION}")
        worker.ready, worker.room, worker.credit = True, hello.credit, hello.credit
        self._early_deaths.pop(worker.name, None)
        if worker.role == "group":
            self.ledger.introduce(worker.id, worker.group, hello.facts)
        if (
            not self._ready_s
            and self._prepared
            and all(each.ready for each in self.processes.workers.values() if not each.stopping)
        ):
            self._ready_s = time.monotonic() - self._began_s

    def _send(self, worker: Worker, message: ToWorker) -> None:
        """A worker that died a moment ago cannot be reached; its death gives back what it held."""
        worker.given_s = time.monotonic()
        try:
            self._router.send_multipart([worker.id.to_bytes(4, "big"), encode(message)], NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    # -- leases ---------------------------------------------------------------------------------------------------

    def _lease(self) -> None:
        for group in self.plan.groups:
            queue = self.ledger.ready[group.index]
            if not queue:
                continue
            workers = [
                worker
                for worker in self.processes.workers.values()
                if worker.group == group.index and worker.credit > 0 and worker.ready and not worker.kill_at_s
            ]
            workers.sort(key=lambda worker: -worker.credit)
            for worker in workers:
                fair = -(-len(queue) // len(workers)) if not group.ordered else worker.credit
                entries = self.ledger.lease(group.index, worker.id, min(worker.credit, max(1, fair)))
                if entries:
                    worker.credit -= len(entries)
                    self._send(worker, self._work(entries, group))

    def _work(self, entries: list[Entry], group: GroupPlan) -> Work:
        """A clip under suspicion waits for no other; of a source's clips in order, the first carries the state."""
        waits = group.batch > 1 and group.index not in entries[0].suspect_in
        until_ns = time.monotonic_ns() + round(group.wait_ms * 1e6) if waits else 0
        clips: list[WorkClip] = []
        for entry in entries:
            follows = group.ordered and clips and clips[-1].info.source_index == entry.info.source_index
            clips.append(
                self._work_clip(entry, group.index, None if follows else self.ledger.state_for(entry, group.index))
            )
        return Work(clips, until_ns)

    def _work_clip(self, entry: Entry, group: int, state: bytes | None) -> WorkClip:
        needs = self._needs[group]
        return WorkClip(
            entry.info,
            entry.slot,
            entry.generation,
            {name: shape for name, shape in entry.shapes.items() if name in needs},
            {name: data for name, data in entry.values.items() if name in needs},
            entry.absent,
            state,
        )

    # -- deaths ---------------------------------------------------------------------------------------------------

    def _bury(self, dead: list[tuple[Worker, str]]) -> None:
        for worker, cause in dead:
            if worker.role == "sink":
                self._hear_out(worker)
            if worker.stopping or self._sink_closed:
                continue
            self._tell(f"{worker.name} (pid {worker.pid}) {cause}", "warning", self.processes.log_tail(worker))
            if worker.role == "sink":
                self._fatal = self._fatal or _Fatal("OutputError", f"the output process {cause}; use --resume to go on")
            elif worker.role == "prepare":
                self._again_or_stop(worker, cause)
            elif worker.role == "decode":
                notice = self.feed.died(worker, cause)
                if notice:
                    self._tell(notice, "error")
                self._again_or_stop(worker, cause)
            else:
                for entry in self.ledger.died(worker.id, cause):
                    self._tell(f"{entry.info.source}: clip {entry.info.index}: {entry.error}", "error")
                self._again_or_stop(worker, cause)

    def _hear_out(self, worker: Worker) -> None:
        """What a process said last may come in after its end was seen."""
        until_s = time.monotonic() + LAST_WORDS_S
        while worker.status == 0 and not worker.stopping and time.monotonic() < until_s:
            self._router.poll(10)
            self._receive()

    def _again_or_stop(self, worker: Worker, cause: str) -> None:
        """Replace a worker, unless its kind never gets as far as being ready."""
        deaths = 0 if worker.ready else self._early_deaths.get(worker.name, 0) + 1
        self._early_deaths[worker.name] = deaths
        if deaths >= EARLY_DEATHS_LIMIT:
            tail = self.processes.log_tail(worker)
            text = f"{worker.name}: {cause}, {deaths} times while loading" + (
                f"; it last said:\n{tail}" if tail else ""
            )
            self._fatal = self._fatal or _Fatal("ModelError", text)
        else:
            self.processes.spawn(worker.role, worker.name, worker.group)

    # -- results --------------------------------------------------------------------------------------------------

    def _emit(self) -> None:
        for item in self.ledger.emit():
            if isinstance(item, Finished):
                self._note_position(item)
            self._outbox.append(item)
        if self._sink is None or not self._sink.ready:
            return
        records: list[Finished] = []
        while self._outbox and self._unwritten < RECORDS_UNDER_WAY:
            item = self._outbox.popleft()
            if isinstance(item, Finished):
                records.append(item)
                self._unwritten += 1
                continue
            self._flush(records)
            records = []
            self._send(self._sink, item)
        self._flush(records)

    def _flush(self, records: list[Finished]) -> None:
        if records and self._sink is not None:
            facts = {number: self.ledger.facts.of(number) for number in {done.facts for done in records}}
            self._send(self._sink, Records(records, facts))

    def _note_position(self, done: Finished) -> None:
        info = done.info
        if info.index >= 0:
            self._media_ns += info.end_ns - info.start_ns
        source = self.ledger.sources[info.source_index].info
        duration_ns = source.duration_ns if source else None
        self._position = Position(
            source=info.source,
            source_number=info.source_index + 1,
            source_count=len(self.sources),
            clip=info.index,
            position_s=info.end_ns / 1e9,
            duration_s=None if duration_ns is None else duration_ns / 1e9,
        )

    # -- the end --------------------------------------------------------------------------------------------------

    def _finished(self) -> bool:
        now_s = time.monotonic()
        if self._interrupts > 1 or self._sink_closed:
            return True
        if self._fatal:
            self._stop_sink(complete=False, now_s=now_s)
            sink_is_gone = self._sink is None or self._sink.id not in self.processes.workers
            return sink_is_gone or now_s - self._stopping_since_s > FATAL_CLOSING_S
        drained = self.feed.finished and not self.ledger.counts.in_flight and not self.ledger.waiting()
        if not self.sources and not self._ready_s and not self._interrupts:
            drained = False  # a run over nothing prepares and loads
        overdue = bool(self._drain_since_s) and now_s - self._drain_since_s > self.plan.config.deadlines.drain_s
        if overdue or (drained and not self._outbox and not self._unwritten):
            self._stop_sink(complete=not self._interrupts, now_s=now_s)
        return bool(self._stopping_since_s) and now_s - self._stopping_since_s > CLOSING_S

    def _stop_sink(self, complete: bool, now_s: float) -> None:
        """Told once, when it is there to hear it."""
        self._stopping_since_s = self._stopping_since_s or now_s
        if self._sink is not None and self._sink.ready and not self._sink_told:
            self._sink_told = True
            self._send(self._sink, Stop(complete))

    def _status(self) -> Status:
        counts, elapsed_s = self.ledger.counts, max(time.monotonic() - self._began_s, 1e-9)
        out = counts.results + counts.errors + counts.drops
        phase = "drain" if self._drain_since_s else ("run" if self._prepared else "prepare")
        return Status(
            position=self._position,
            elapsed_s=elapsed_s,
            clips_in=counts.clips_in,
            results=counts.results,
            errors=counts.errors,
            drops=counts.drops,
            in_flight=counts.in_flight,
            clips_per_s=out / elapsed_s,
            x_real_time=self._media_ns / 1e9 / elapsed_s,
            slowest_group=self._slowest(),
            phase=phase,
        )

    def _slowest(self) -> str:
        """The stage of the way before which the clips pile up; a starved stage is not slow."""
        depth = {
            group.name: len(self.ledger.ready[group.index])
            + sum(1 for held in self.ledger.leases.values() for _, index in held if index == group.index)
            for group in self.plan.groups
        }
        depth["decode"] = 1
        return max(depth, key=lambda name: depth[name])

    def _account(self) -> Account:
        counts = self.ledger.counts
        failed = counts.errors + counts.drops + counts.sources_failed
        interrupted = self._interrupts > 0
        code = 130 if interrupted else 0
        if not code and failed:
            code = 1 if counts.results or len(self.sources) > counts.sources_failed else 3
        if self._fatal:
            code = _exit_code(self._fatal.kind)
            self._messages.append(self._fatal.text)
        return Account(
            clips_in=counts.clips_in,
            results=counts.results,
            errors=counts.errors,
            drops=counts.drops,
            in_flight=counts.in_flight,
            gaps=counts.gaps,
            sources=len(self.sources),
            sources_failed=counts.sources_failed,
            clips_before=sum(self.starts.values()),
            elapsed_s=time.monotonic() - self._began_s,
            ready_s=self._ready_s,
            media_s=self._media_ns / 1e9,
            interrupted=interrupted,
            exit_code=code,
            messages=tuple(self._messages),
            summaries=self._summaries,
            mean_batch={
                group.name: run.mean for group, run in zip(self.plan.groups, self._batches, strict=True) if run.batches
            },
        )

    def _tell(self, text: str, level: str = "info", detail: str = "") -> None:
        fields: dict[str, str | int | float] = {"detail": detail} if detail else {}
        self.on_notice(Notice(text=text, level=level, fields=fields))  # type: ignore[arg-type]


def _exit_code(kind: str) -> int:
    import pipeline.errors

    return int(getattr(pipeline.errors, kind, PerceptError).exit_code)
