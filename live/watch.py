"""The supervisor of a watch: cameras instead of files, until it is stopped."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from live.canary import Canary
from live.commands import Commands
from live.control import Change, Control
from live.folder import StateFolder, removed
from live.logs import tidy_logs
from live.plan import reader_options
from live.settings import Camera, Settings
from live.status import Status as WatchStatus
from live.status_now import status_now
from pipeline.live_feed import LiveFeed, Watched
from pipeline.live_ledger import LiveLedger
from pipeline.live_outlet import LiveOutlet
from pipeline.messages import (
    Answer,
    Ask,
    Broken,
    Configured,
    Connection,
    ConnectionChanged,
    Counted,
    Ended,
    Film,
    FilmAsked,
    FilmDone,
    FilmWritten,
    FromWorker,
    Hello,
    MissedClip,
    Probe,
    Probed,
    Reply,
    Request,
    StatusUpdate,
    Told,
    ToWorker,
    Written,
)
from pipeline.plan import Plan
from pipeline.processes import Worker
from pipeline.status import Account, Notice, Row, Status
from pipeline.supervisor import Supervisor

STATUS_EVERY_S = 1.0
RESTART_S = 1.0
LONGEST_RESTART_S = 60.0
TIDY_S = 60.0
STEADY_S = 60.0
"""A process that lived so long is started again at once when it dies."""


class WatchSupervisor(Supervisor):
    """Watches cameras; `run` returns when it is stopped.

    url_of: the URL of a camera with its secrets. check: what is wrong with settings. save: writes settings back.
    zero_ns: the instant on the monotonic clock from which the times of clips count. shared: see `Control`.
    """

    ledger: LiveLedger
    feed: LiveFeed
    outlet: LiveOutlet

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        folder: StateFolder,
        *,
        zero_ns: int,
        url_of: Callable[[Camera], str],
        check: Callable[[Settings], list[str]],
        save: Callable[[Settings], dict[str, Any]],
        test_alert: Callable[[Settings], list[dict[str, Any]]],
        shared: Camera | None = None,
        on_status: Callable[[Status], None] = lambda status: None,
        on_watch: Callable[[WatchStatus], None] = lambda status: None,
        on_notice: Callable[[Notice], None] = lambda notice: None,
        on_rows: Callable[[list[Row]], None] = lambda rows: None,
        on_complete: Callable[[Account], None] = lambda account: None,
    ) -> None:
        self.settings = settings
        self.version = 1
        self._folder = folder
        self._url_of = url_of
        self._on_watch = on_watch
        self._commands = Commands(self, Control(plan.config, check, shared), save, test_alert)
        self._zero_ns = zero_ns
        self._status_at_s = 0.0
        self._clerk: Worker | None = None
        self._restarts: dict[str, tuple[float, int]] = {}
        """Of the page and the clerk: when the next one may start, and how often it died young."""
        self._started_s: dict[str, float] = {}
        self._deaths: dict[str, int] = {}
        self._canary = Canary()
        self._tidied_s = 0.0
        self._counted = Counted({})
        self._address = ""
        """Of the page."""
        self._has_listened = False
        super().__init__(
            plan,
            [camera.name for camera in settings.cameras],
            on_status=on_status,
            on_notice=on_notice,
            on_rows=on_rows,
            on_complete=on_complete,
        )

    def _make_ledger(self) -> LiveLedger:
        config = self.plan.config
        return LiveLedger(
            self.plan.groups, self.plan.slot_arrays, self._release, config.queue.tries, self._wake, config.keep
        )

    def _make_outlet(self) -> LiveOutlet:
        return LiveOutlet(self.ledger, self._send)

    def _make_feed(self, complete: frozenset[int]) -> LiveFeed:
        return LiveFeed(self.ledger, self.slots, self.processes, self._send, self._connection_changed)

    def _wake(self, index: int) -> None:
        self.feed.wake(index)

    def _start_more(self) -> None:
        for camera in self.settings.cameras:
            self._add(camera)
        for role in ("page", "clerk"):
            if role in self.plan.roles:
                self._spawn(role)

    def _add(self, camera: Camera) -> None:
        self.feed.add(camera.name, self._options(camera), camera.policy == "every").places = camera.places

    def _options(self, camera: Camera) -> dict[str, Any]:
        directory = Path(self.plan.settings.directory, "cameras", camera.name)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return reader_options(camera, self._url_of(camera), self._zero_ns, directory)

    # -- messages ---------------------------------------------------------------------------------------------------

    def _handle(self, worker: Worker, message: FromWorker) -> None:
        if worker.role == "page" and isinstance(message, Written):
            self.outlet.shown(message.count)
        elif isinstance(message, Ended):
            if notice := self.feed.handle(worker, message):
                self._notice(notice)
        elif worker.role in ("page", "clerk") and isinstance(message, Broken) and self._has_listened:
            self._notice(f"{worker.name}: {message.error}; it is started again", "warning")
        else:
            super()._handle(worker, message)

    def _handle_more(self, worker: Worker, message: FromWorker) -> None:
        match message:
            case MissedClip() | Connection():
                if notice := self.feed.handle(worker, message):
                    is_good = isinstance(message, Connection) and message.state == "live"
                    self._notice(notice, "info" if is_good else "warning")
            case FilmAsked():
                film = Film(message.event, message.path, message.from_ns, message.until_ns)
                if not self.feed.film(message.camera, film):
                    self._to_output(FilmWritten(message.event, "the camera is not read now"))
            case FilmDone(event, error):
                self._to_output(FilmWritten(event, error))
            case Probed(problem):
                self._canary.answered(worker.id)
                if problem:
                    self._canary.fail(f"{worker.name}: {problem}")
                    self._notice(f"{worker.name}: {problem}; replacing the process", "error")
                    self.processes.kill(worker)
            case Counted():
                self._counted = message
            case Told(text, level):
                self._notice(text, level)
            case Ask():
                self._commands.ask(worker, message)
            case Reply():
                self._commands.replied(message)
            case _:
                super()._handle_more(worker, message)

    def _to_output(self, message: ToWorker) -> None:
        if self.outlet.worker is not None and self.outlet.worker.ready:
            self._send(self.outlet.worker, message)

    def _connection_changed(self, camera: Watched) -> None:
        self._to_output(ConnectionChanged(camera.name, camera.state, camera.text))

    def _hello(self, worker: Worker, hello: Hello) -> None:
        super()._hello(worker, hello)
        if worker.role == "sink":
            self._send(worker, self._configured())
            for camera in self.feed.cameras.values():
                self._connection_changed(camera)
        elif worker.role == "page":
            self.outlet.begin_page(worker)
            self._send(worker, self._configured())
        elif worker.role == "clerk":
            self._clerk = worker

    def _configured(self) -> Configured:
        return Configured(self.version, msgspec.msgpack.encode(self.settings))

    # -- what commands do --------------------------------------------------------------------------------------------

    def answer(self, worker: Worker, answer: Answer) -> None:
        if worker.id in self.processes.workers:
            self._send(worker, answer)

    def ask_clerk(self, request: Request) -> bool:
        """Returns False while models are loading."""
        if self._clerk is None or not self._prepared:
            return False
        self._send(self._clerk, request)
        return True

    def page_is_at(self, address: str) -> None:
        self._folder.tell({"pid": os.getpid(), "address": address})
        if address and address != self._address:
            self._notice(f"the page is at {address}")
        self._address = address
        self._has_listened = True

    def apply(self, changes: list[Change]) -> dict[str, Any]:
        """Have changes take effect, with the clips that arrive from now on. Returns the versions."""
        self.version += 1
        for change in changes:
            self.settings = change.settings
            if change.before is None and change.after is not None:
                self._add(change.after)
            elif change.after is None and change.before is not None:
                if (camera := self.feed.named(change.before.name)) is not None:
                    self.feed.remove(camera.index)
                    self.outlet.forget(camera.index)
            elif change.after is not None and (camera := self.feed.named(change.after.name)) is not None:
                if change.words is not None:
                    camera.labels_version += 1
                    self.feed.wake(camera.index)
                camera.places = change.after.places
                if change.needs_reader:
                    self.feed.reopen(camera.index, self._options(change.after))
                    self._notice(f"{camera.name}: opened again with its new settings")
        configured = self._configured()
        self._to_output(configured)
        if self.outlet.page is not None:
            self._send(self.outlet.page, configured)
        versions = {
            change.after.name: camera.labels_version
            for change in changes
            if change.after is not None and (camera := self.feed.named(change.after.name)) is not None
        }
        return {"version": self.version, "labels_versions": versions}

    # -- time -------------------------------------------------------------------------------------------------------

    def _timers(self, now_s: float) -> None:
        super()._timers(now_s)
        self._commands.tick(now_s)
        for name, (start_at_s, _) in list(self._restarts.items()):
            if now_s >= start_at_s and name not in self._started_s:
                self._spawn(name)
        self.ledger.leave_out()
        self._send_canaries(now_s)
        if now_s - self._tidied_s > TIDY_S:
            self._tidied_s = now_s
            tidy_logs(Path(self.plan.settings.directory), set(self.processes.workers))
        if now_s - self._status_at_s > STATUS_EVERY_S:
            self._status_at_s = now_s
            if not self._folder.is_held():
                self._fail("OutputError", removed(self._folder.path))
            status = self.watch_status()
            self._on_watch(status)
            if self.outlet.page is not None and self.outlet.page.ready:
                self._send(self.outlet.page, StatusUpdate(msgspec.json.encode(status)))

    def _send_canaries(self, now_s: float) -> None:
        """Have every engine checked: when all are loaded, and then every `CANARY_S`."""
        if self._ready_s and now_s >= self._canary.next_s:
            workers = [each for each in self.processes.workers.values() if each.role == "group" and each.ready]
            self._canary.begin(now_s, {worker.id for worker in workers})
            for worker in workers:
                self._send(worker, Probe())

    def watch_status(self) -> WatchStatus:
        return status_now(
            self.plan,
            self.ledger,
            self.feed,
            self.outlet,
            self.processes,
            deaths=self._deaths,
            counted=self._counted,
            canary=self._canary.status(set(self.processes.workers)),
            uptime_s=time.monotonic() - self._began_s,
            ready=self._ready_s > 0,
            version=self.version,
            stage_s={name: round(took_ns / 1e9, 3) for name, took_ns in self.leases.took_ns.items()},
        )

    # -- deaths -----------------------------------------------------------------------------------------------------

    def _spawn(self, name: Any) -> None:
        self._started_s[name] = time.monotonic()
        self.processes.spawn(name, name)

    def _handle_deaths(self, dead: list[tuple[Worker, str]]) -> None:
        for worker, _ in dead:
            if worker.role == "decode" and worker.stopping:
                self.feed.exited(worker)
        super()._handle_deaths(dead)

    def _output_died(self, worker: Worker, cause: str) -> None:
        """Another one goes on where it was: it receives all records that may not be written."""
        self._count_death(worker)
        deaths = 0 if worker.ready else self._early_deaths.get(worker.name, 0) + 1
        self._early_deaths[worker.name] = deaths
        if deaths >= 3:
            super()._output_died(worker, cause)
        else:
            self.outlet.begin_again(self.processes.spawn("sink", "output"))

    def _replace_or_stop(self, worker: Worker, cause: str) -> None:
        self._count_death(worker)
        if worker.role == "decode":
            return  # the feed starts another
        if worker.role not in ("page", "clerk"):
            super()._replace_or_stop(worker, cause)
            return
        if worker.role == "page":
            self.outlet.page = None
        else:
            self._clerk = None
        lived_s = time.monotonic() - self._started_s.pop(worker.role, 0.0)
        young = 0 if lived_s > STEADY_S else self._restarts.get(worker.role, (0.0, 0))[1] + 1
        wait_s = min(LONGEST_RESTART_S, RESTART_S * 2 ** (young - 1)) if young else 0.0
        self._restarts[worker.role] = time.monotonic() + wait_s, young

    def _count_death(self, worker: Worker) -> None:
        self._deaths[worker.name] = self._deaths.get(worker.name, 0) + 1

    # -- the end ----------------------------------------------------------------------------------------------------

    def _exit_code(self) -> int:
        """To be stopped is the usual end of a watch, and clips that were dropped or failed are told elsewhere."""
        return super()._exit_code() if self._fatal else 0
