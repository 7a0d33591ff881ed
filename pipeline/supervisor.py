"""The supervisor owns the clip ledger, the slots, the queues and the counters. It never blocks on anybody else."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pipeline.errors
from pipeline.bus import Hub
from pipeline.errors import PerceptError
from pipeline.feed import Feed
from pipeline.leases import Leases
from pipeline.ledger import Ledger
from pipeline.live_feed import LiveFeed
from pipeline.logs import key_values
from pipeline.messages import (
    PROTOCOL_VERSION,
    Begin,
    Behind,
    Broken,
    Decoded,
    Done,
    Ended,
    FromWorker,
    GapFound,
    HalfOpen,
    Hello,
    Note,
    Opened,
    Prepared,
    Shown,
    SinkClosed,
    SourceFailed,
    SourceWritten,
    ToWorker,
    Warned,
    Written,
)
from pipeline.outlet import CLOSING_S, Outlet
from pipeline.plan import Plan
from pipeline.processes import Processes, Worker
from pipeline.slots import Slots
from pipeline.status import Account, Level, Notice, Row, RunPhase, Status
from pipeline.supply import NoSupply, Supply

POLL_MS = 100
TIMER_S = 0.2
STATUS_S = 0.5
EARLY_DEATHS_LIMIT = 3
LAST_WORDS_S = 2.0
FATAL_CLOSING_S = 10.0
MOST_WARNINGS = 10_000
"""Different warnings that are remembered; after more, one may be shown again."""
STILL_BUILDING = "all results are written; building the rest of the engines for later runs (Ctrl-C puts it off)"


@dataclass(frozen=True)
class _Fatal:
    """Why the run stops: the name of an error class, and its text."""

    kind: str
    text: str


class Supervisor:
    """Runs a plan over sources; `run` returns the account. `interrupt()` may be called from a signal handler.

    starts: by source, the first clip to do. complete: sources that an earlier run finished. supply: gives the sources
    that come after those.
    """

    def __init__(
        self,
        plan: Plan,
        sources: Sequence[str],
        starts: Mapping[int, int] | None = None,
        complete: frozenset[int] = frozenset(),
        on_status: Callable[[Status], None] = lambda status: None,
        on_notice: Callable[[Notice], None] = lambda notice: None,
        on_rows: Callable[[list[Row]], None] = lambda rows: None,
        on_complete: Callable[[Account], None] = lambda account: None,
        supply: Supply | None = None,
    ) -> None:
        self.plan = plan
        self.sources = list(sources)
        self._starts = dict(starts or {})
        self._decode_ns, self._decoded_bytes = 0, 0
        self._supply: Supply = supply or NoSupply()
        self._on_complete = on_complete
        self._last_account: Account | None = None
        self._on_status, self._on_notice, self._on_rows = on_status, on_notice, on_rows
        self._interrupts = 0
        self._fatal: _Fatal | None = None
        self._prepared = False
        self._takes_clips = False
        """Whether a worker is ready for clips that are only decoded."""
        self._half_open: list[Worker] = []
        """Workers that wait for `Begin`."""
        self._improving = False
        """Faster engines are being built, while clips are already processed."""
        self._successors: dict[int, Worker] = {}
        """By id of a worker that is loading: the worker whose place it takes."""
        self._is_cut_short = False
        """It was interrupted before its results were complete."""
        self._step_text = ""
        """The last step of preparing; several stages may report the same one."""
        self._early_deaths: dict[str, int] = {}
        self._exited: dict[int, Worker] = {}
        """By id: workers that have exited, and whose last messages are awaited."""
        self._messages: list[str] = []
        self._warnings: set[str] = set()
        self._began_s = time.monotonic()
        self._ready_s = self._drain_since_s = self._status_s = self._timer_s = 0.0
        self._stack = ExitStack()
        with self._stack:
            self.slots = Slots.create(plan.layout, plan.slots)
            self._stack.callback(os.close, self.slots.fd)
            self._hub = Hub(plan.settings.directory)
            self._stack.callback(self._hub.close)
            self.processes = Processes(plan, self.slots)
            self._stack.callback(self.processes.close)
            self.ledger = self._make_ledger()
            self.leases = Leases(plan, self.ledger, self.processes, self._send)
            self.outlet = self._make_outlet()
            self.feed = self._make_feed(complete)
            self._stack = self._stack.pop_all()  # nothing failed: `run` closes them

    def _make_ledger(self) -> Ledger:
        return Ledger(self.plan.groups, self.plan.slot_arrays, self._release, self.plan.config.queue.tries)

    def _make_outlet(self) -> Outlet:
        clips = self.plan.config.clips
        return Outlet(self.ledger, len(self.sources), self._send, clips.start_s, clips.end_s)

    def _make_feed(self, complete: frozenset[int]) -> Feed | LiveFeed:
        return Feed(
            self.sources,
            self._starts,
            complete,
            self.plan,
            self.ledger,
            self.slots,
            self.processes,
            self._send,
            self._supply,
        )

    # -- life -----------------------------------------------------------------------------------------------------

    def run(self) -> Account:
        """Once."""
        with self._stack:
            self.processes.start()
            self.outlet.worker = self.processes.spawn("sink", "output")
            self.processes.spawn("prepare", "prepare")
            self._start_groups(early=True)
            self._start_more()
            self.feed.start()
            while not self._finished():
                self._step()
        return self._complete()

    def _start_more(self) -> None:
        """Start what else a run of this kind has."""

    def interrupt(self) -> None:
        """The first time: close the sources and finish what is in flight. The second time: stop at once."""
        self._interrupts += 1
        self._is_cut_short = self._is_cut_short or not self.outlet.is_closed

    def _start_groups(self, early: bool) -> None:
        """Those with a stage that opens beside `prepare`, or the others."""
        for group in self.plan.groups:
            for number in range(group.workers if group.opens_early == early else 0):
                suffix = f"-{number + 1}" if group.workers > 1 else ""
                self.processes.spawn("group", group.name + suffix, group.index)

    def _step(self) -> None:
        heard = self._receive() or self._wait()
        now_s = time.monotonic()
        due = now_s - self._timer_s > TIMER_S
        if due or not heard:
            self._handle_deaths(self.processes.died())
        if due:
            self._timer_s = now_s
            self._timers(now_s)
        if self._prepared or not self.plan.groups:
            self.leases.lease()
        self.feed.dispatch(self._is_far_ahead() or len(self.outlet) > self.plan.config.queue.results_waiting)
        self.outlet.pass_on()
        if self.ledger.fault:
            self._fail("ModelError", f"the first clips all failed the same way: {self.ledger.fault}")

    def _is_far_ahead(self) -> bool:
        """Whether each worker will find a clip when it has loaded. Until then, decoding more would slow it down."""
        first = [group for group in self.plan.groups if not group.after]
        is_ready = self._takes_clips or not first
        return not is_ready and self.ledger.counts.clips_in >= sum(group.workers for group in first)

    def _wait(self) -> bool:
        """Wait for a message, an event of a process, or a while. Returns whether a message arrived."""
        self._hub.wait(self.processes.fds(), POLL_MS)
        return self._receive()

    def _timers(self, now_s: float) -> None:
        for worker, text in self.processes.check_deadlines(self._has_work):
            self._notice(f"{worker.shown} {text}; killing and replacing it", "warning")
        if self._interrupts and not self._drain_since_s and not self.outlet.is_closed:
            self._drain_since_s = now_s
            self._notice("interrupted: finishing what is in flight; press Ctrl-C again to stop at once", "warning")
            self.feed.close()
        if now_s - self._status_s > STATUS_S:
            self._status_s = now_s
            self._on_status(self._status())

    def _has_work(self, worker: Worker) -> bool:
        return self.feed.has_work(worker) if worker.role == "decode" else self.leases.has_work(worker)

    def _release(self, slot: int) -> None:
        self.feed.release(slot)

    # -- messages -------------------------------------------------------------------------------------------------

    def _receive(self, most: int = 1_000) -> bool:
        """Handle the messages that have arrived. Returns whether there were any."""
        for number in range(most):
            received = self._hub.receive()
            if received is None:
                return number > 0
            worker = self._worker(received[0])
            if worker is not None:
                self._handle(worker, received[1])
        return True

    def _worker(self, number: int) -> Worker | None:
        """The worker of this id, if it lives or its last messages are awaited."""
        return self.processes.workers.get(number) or self._exited.get(number)

    def _send(self, worker: Worker, message: ToWorker) -> None:
        worker.sent_to()
        self._hub.send(worker.id, message)

    def _handle(self, worker: Worker, message: FromWorker) -> None:
        match message:
            case Done():
                self.leases.done(worker, message)
            case Decoded() | Opened() | GapFound() | Ended() | SourceFailed():
                if isinstance(message, Ended):
                    self._decode_ns += message.took_ns
                if isinstance(message, Decoded):
                    size = sum(self.plan.specs[name].bytes_of(shape) for name, shape in message.shapes.items())
                    self._decoded_bytes = max(self._decoded_bytes, size)
                if isinstance(message, Opened):
                    self._notice(message.info.in_words(), "debug")
                if notice := self.feed.handle(worker, message):
                    failed = isinstance(message, SourceFailed | Ended)
                    self._notice(notice, "error" if failed else "info", in_results=failed)
            case SourceWritten(index):
                self._supply.written(self.sources[index])
            case Shown(rows):
                self._on_rows(rows)
            case Written() | Behind() | SinkClosed():
                self.outlet.handle(message)
                if self.outlet.is_closed:
                    worker.expect_exit()
                    if self._improving and self.sources and not self._interrupts and not self._fatal:
                        self._complete()
                        self._notice(STILL_BUILDING)
            case Hello():
                self._hello(worker, message)
            case Prepared():
                self._handle_prepared(worker, message)
            case HalfOpen():
                if self._prepared:
                    self._send(worker, Begin())
                else:
                    self._half_open.append(worker)
            case Broken(kind, error):
                worker.expect_exit()
                if self._is_dispensable(worker):
                    self._notice(f"{error}; the worker that it should have replaced goes on", "warning")
                else:
                    self._fail(kind, error)
            case Note(text):
                self._messages.append(text)
            case Warned(text):
                if text not in self._warnings:
                    if len(self._warnings) >= MOST_WARNINGS:
                        self._warnings.clear()
                    self._warnings.add(text)
                    self._notice(text, "warning")
            case _:
                self._handle_more(worker, message)

    def _handle_more(self, worker: Worker, message: FromWorker) -> None:
        """Handle a message that not every kind of run has."""
        raise PerceptError(f"{worker.name} sent {type(message).__name__}, which this run has no use for")

    def _handle_prepared(self, worker: Worker, prepared: Prepared) -> None:
        if prepared.text and prepared.text != self._step_text:
            self._step_text = prepared.text
            self._notice(prepared.text)
        if prepared.ready:
            worker.loaded()
            self._improving = True
            if not self._prepared:
                self._prepared = True
                self._start_groups(early=False)
                while self._half_open:
                    self._send(self._half_open.pop(), Begin())
        if prepared.finished:
            worker.expect_exit()
            self._improving = False
            if not self._all_is_out():
                self._replace_workers(frozenset(prepared.improved))

    def _replace_workers(self, stages: frozenset[str]) -> None:
        """Start a successor of every worker that runs one of these stages. The worker goes on until it is ready."""
        for worker in list(self.processes.workers.values()):
            if worker.role == "group" and stages.intersection(self.plan.groups[worker.group].stages):
                successor = self.processes.spawn("group", worker.name, worker.group)
                self._successors[successor.id] = worker

    def _hello(self, worker: Worker, hello: Hello) -> None:
        if hello.version != PROTOCOL_VERSION:
            raise PerceptError(f"{worker.name} speaks protocol {hello.version}; expected {PROTOCOL_VERSION}")
        worker.loaded()
        self._early_deaths.pop(worker.name, None)
        if worker.role == "group":
            self._notice(f"{worker.name}: {key_values(hello.facts) or 'ready'}", "debug")
            self.leases.introduce(worker, hello)
            self._takes_clips = self._takes_clips or not self.plan.groups[worker.group].after
            before = self._successors.pop(worker.id, None)
            if before is not None and before.ready and before.id in self.processes.workers:
                self.leases.retire(before)
        elif worker.role == "decode":
            self.feed.introduce(worker)
        expected = (each for each in self.processes.workers.values() if not each.stopping)
        if not self._ready_s and self._prepared and all(each.ready for each in expected):
            self._ready_s = time.monotonic() - self._began_s

    # -- deaths ---------------------------------------------------------------------------------------------------

    def _handle_deaths(self, dead: list[tuple[Worker, str]]) -> None:
        awaited = [worker for worker, _ in dead if worker.role in ("sink", "prepare") or not worker.ready]
        self._exited = {worker.id: worker for worker in awaited}
        for worker, cause in dead:
            if worker.id in self._exited:
                self._await_last_messages(worker)
                del self._exited[worker.id]
            if worker.role == "prepare" and worker.ready and not worker.stopping:
                self._improving = False
                if worker.status != 0:
                    text = f"{worker.shown} {cause}; faster engines are built in a later run"
                    self._notice(text, "warning", self.processes.log_tail(worker))
                continue
            if worker.stopping or self.outlet.is_closed:
                continue
            self._notice(f"{worker.shown} {cause}", "warning", self.processes.log_tail(worker))
            if worker.role == "sink":
                self._output_died(worker, cause)
                continue
            if worker.role == "decode":
                if notice := self.feed.died(worker, cause):
                    self._notice(notice, "error")
            elif worker.role == "group":
                is_replaced = self._is_replaced(worker)
                for entry in self.leases.died(worker, cause):
                    self._notice(
                        f"{entry.info.source}: clip {entry.info.index}: {entry.error}", "error", in_results=True
                    )
                if is_replaced:
                    continue
            self._replace_or_stop(worker, cause)

    def _output_died(self, worker: Worker, cause: str) -> None:
        self._fail("OutputError", f"the output process {cause}; use --resume to continue")

    def _is_replaced(self, worker: Worker) -> bool:
        """Whether another worker takes its place, or will once it has loaded."""
        return self.leases.is_retiring(worker) or any(before is worker for before in self._successors.values())

    def _is_dispensable(self, worker: Worker) -> bool:
        """Whether it was to succeed a worker that still works. It is a successor no more."""
        before = self._successors.pop(worker.id, None)
        return before is not None and before.id in self.processes.workers

    def _await_last_messages(self, worker: Worker) -> None:
        """Wait for the last messages of a process that exited by itself. They may arrive after its exit was noticed."""
        until_s = time.monotonic() + LAST_WORDS_S
        while worker.status == 0 and not worker.stopping and time.monotonic() < until_s:
            self._hub.wait((), 10)
            self._receive()

    def _replace_or_stop(self, worker: Worker, cause: str) -> None:
        """Replace a worker, unless it keeps dying before it is ready, or the run goes on as well without it."""
        if self._is_dispensable(worker):
            return
        deaths = 0 if worker.ready else self._early_deaths.get(worker.name, 0) + 1
        self._early_deaths[worker.name] = deaths
        if deaths < EARLY_DEATHS_LIMIT:
            self.processes.spawn(worker.role, worker.name, worker.group)
            return
        tail = self.processes.log_tail(worker)
        text = f"{worker.name}: {cause}, {deaths} times while loading" + (f"; its last output:\n{tail}" if tail else "")
        self._fail("ModelError", text)

    # -- the end --------------------------------------------------------------------------------------------------

    def _fail(self, kind: str, text: str) -> None:
        """End the run for this reason, unless it ends for another already. kind: name of an error class."""
        self._fatal = self._fatal or _Fatal(kind, text)

    def _finished(self) -> bool:
        now_s = time.monotonic()
        if self._interrupts > 1:
            return True
        if self.outlet.is_closed:
            return not self._improving or self._interrupts > 0 or self._fatal is not None
        if self._fatal:
            self.outlet.stop(complete=False, now_s=now_s)
            output = self.outlet.worker
            is_gone = output is None or output.id not in self.processes.workers
            return is_gone or self.outlet.stopping_s(now_s) > FATAL_CLOSING_S
        drained = self._all_is_out()
        if not self.sources and not self._ready_s and not self._interrupts:
            drained = False  # a run without sources still prepares and loads
        overdue = bool(self._drain_since_s) and now_s - self._drain_since_s > self.plan.config.deadlines.drain_s
        if overdue or (drained and self.outlet.is_empty):
            self.outlet.stop(complete=not self._interrupts, now_s=now_s)
        return self.outlet.stopping_s(now_s) > CLOSING_S

    def _all_is_out(self) -> bool:
        """Whether every clip of every source has left the ledger."""
        return self.feed.finished and not self.ledger.counts.in_flight and not self.ledger.waiting()

    def _status(self) -> Status:
        counts, elapsed_s = self.ledger.counts, max(time.monotonic() - self._began_s, 1e-9)
        out = counts.results + counts.errors + counts.drops
        return Status(
            position=self.outlet.position,
            elapsed_s=elapsed_s,
            clips_in=counts.clips_in,
            results=counts.results,
            errors=counts.errors,
            drops=counts.drops,
            in_flight=counts.in_flight,
            clips_per_s=out / elapsed_s,
            x_real_time=self.outlet.media_ns / 1e9 / elapsed_s,
            media_s=self.outlet.media_ns / 1e9,
            writing=self.outlet.writing,
            slowest_group=self.leases.slowest(),
            phase=self._phase(),
        )

    def _phase(self) -> RunPhase:
        if self.outlet.is_closed:
            return "build"
        return "drain" if self._drain_since_s else ("run" if self._prepared else "prepare")

    def _complete(self) -> Account:
        """The account, made and reported once: when all results are written, or when the run ends without that."""
        if self._last_account is None:
            self._last_account = self._account()
            self._on_complete(self._last_account)
        return self._last_account

    def _account(self) -> Account:
        counts = self.ledger.counts
        if self._fatal:
            self._messages.append(self._fatal.text)
        return Account(
            clips_in=counts.clips_in,
            results=counts.results,
            errors=counts.errors,
            drops=counts.drops,
            in_flight=counts.in_flight,
            reused=counts.reused,
            gaps=counts.gaps,
            sources=len(self.sources),
            sources_failed=counts.sources_failed,
            clips_before=sum(self._starts.values()),
            elapsed_s=time.monotonic() - self._began_s,
            ready_s=self._ready_s,
            media_s=self.outlet.media_ns / 1e9,
            interrupted=self._is_cut_short,
            exit_code=self._exit_code(),
            messages=tuple(self._messages),
            summaries=self.outlet.summaries,
            mean_batch=self.leases.mean_batches(),
            stage_mb={
                name: size / 1e6 for name, size in ({"decode": self._decoded_bytes} | self.leases.most_bytes).items()
            },
            stage_s={
                name: took_ns / 1e9 for name, took_ns in ({"decode": self._decode_ns} | self.leases.took_ns).items()
            },
        )

    def _exit_code(self) -> int:
        if self._fatal:
            return int(getattr(pipeline.errors, self._fatal.kind, PerceptError).exit_code)
        if self._is_cut_short:
            return 130
        counts = self.ledger.counts
        if not counts.errors + counts.drops + counts.sources_failed:
            return 0
        return 1 if counts.results or len(self.sources) > counts.sources_failed else 3

    def _notice(self, text: str, level: Level = "info", detail: str = "", in_results: bool = False) -> None:
        fields: dict[str, str | int | float] = {"detail": detail} if detail else {}
        self._on_notice(Notice(text=text, level=level, fields=fields, in_results=in_results))
