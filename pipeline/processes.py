"""The worker processes of a run: forked by servers (one with networks, two without), watched and killed."""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from pipeline import nursery
from pipeline.errors import PerceptError
from pipeline.nursery import Nursery
from pipeline.plan import Plan
from pipeline.slots import MAX_WORKERS, Phase, Slots
from pipeline.zygote import Exited, Serve, Spawn, Spawned

Role = Literal["group", "decode", "prepare", "sink", "page", "clerk"]
"""page: serves a watch to browsers. clerk: answers what stages are asked beside the clips, such as other labels."""
ServerName = Literal["light", "heavy", "output"]
"""light: decode and groups that preload nothing. heavy: other groups. output: the sinks, whose death ends a run."""
_DUMP = "(most recent call first):"
HANG_DUMP_S = 0.3
"""Time between asking a hung process for its traceback and killing it."""


@dataclass
class Worker:
    """One process. Only this module changes it."""

    id: int
    seat: int
    role: Role
    group: int = -1
    name: str = ""
    server: ServerName = "light"
    pid: int = 0
    pidfd: int = -1
    ready: bool = False
    """It has loaded and said hello."""
    stopping: bool = False
    """Its exit is expected."""
    given_s: float = 0.0
    """When the last message was sent to it."""
    fate: str = ""
    """Why it will die, if that is known in advance."""
    kill_at_s: float = 0.0
    exit_seen_s: float = 0.0
    status: int | None = None

    @property
    def shown(self) -> str:
        """`clerk (pid 4711)`, as notices call it."""
        return f"{self.name} (pid {self.pid})" if self.pid else f"{self.name} (not started yet)"

    @property
    def is_hung(self) -> bool:
        return self.kill_at_s > 0

    def loaded(self) -> None:
        self.ready = True

    def sent_to(self) -> None:
        self.given_s = time.monotonic()

    def expect_exit(self) -> None:
        self.stopping = True


class ForkServer:
    """The supervisor's end of one zygote."""

    def __init__(self, nursery: Nursery, order: Serve, slots_fd: int) -> None:
        """Raises: OSError: the nursery is gone."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            self.process = nursery.fork(msgspec.msgpack.encode(order), [theirs.fileno(), slots_fd])
            self.control = socket.socket(fileno=ours.detach())
        self.control.setblocking(False)
        self.closed = False

    def spawn(self, order: Spawn) -> None:
        """Raises: OSError: the server is gone. Whoever notices that asks again."""
        self.control.send(msgspec.msgpack.encode(order))

    def events(self) -> Iterator[tuple[Spawned | Exited, int]]:
        """New events from the server, each with a pidfd or -1."""
        while not self.closed:
            try:
                data, fds, _, _ = socket.recv_fds(self.control, 65536, 1)
            except BlockingIOError:
                return
            except ConnectionError:
                data, fds = b"", []
            if not data:
                self.closed = True
                return
            yield msgspec.msgpack.decode(data, type=Spawned | Exited), (fds[0] if fds else -1)

    def close(self) -> None:
        self.process.kill()
        self.process.has_ended(timeout_s=5)
        self.process.close()
        self.control.close()


class Processes:
    """All workers of a run. `died()` returns each dead worker once, with the cause in words."""

    def __init__(self, plan: Plan, slots: Slots) -> None:
        self.workers: dict[int, Worker] = {}
        self._plan = plan
        self._slots = slots
        self._directory = plan.settings.directory
        self._heavy = tuple(dict.fromkeys(module for group in plan.groups for module in group.preload))
        self._nursery: Nursery | None = None
        self._servers: dict[ServerName, ForkServer] = {}
        self._next_id = 1
        self._free_seats = list(range(MAX_WORKERS))
        self._left_seats: list[int] = []

    def start(self) -> None:
        """Start all fork servers, so that they load in parallel."""
        for name in ("output", "light", "heavy") if self._heavy else ("output", "light"):
            self._server(name)

    def fds(self) -> list[int]:
        """File descriptors that become readable when something happens to a process."""
        return [server.control.fileno() for server in self._servers.values()]

    def spawn(self, role: Role, name: str, group: int = -1) -> Worker:
        if not self._free_seats:
            raise PerceptError(f"{name}: more than {MAX_WORKERS} workers; use fewer workers per group")
        worker = Worker(self._next_id, self._free_seats.pop(), role, group, name, self._server_for(role, group))
        self._next_id += 1
        self.workers[worker.id] = worker
        self._slots.watch(worker.seat, Phase.LOADING)
        with contextlib.suppress(OSError):
            self._server(worker.server).spawn(Spawn(worker.id, worker.seat, role, group))
        return worker

    def died(self) -> list[tuple[Worker, str]]:
        """Workers that have exited since the last call. Their watch records stay until the next call."""
        self._free_seats += self._left_seats
        self._left_seats.clear()
        for name, server in list(self._servers.items()):
            for event, pidfd in server.events():
                self._note(event, pidfd)
            if server.closed:
                self._lost_server(name, server)
        now = time.monotonic()
        dead = []
        for worker in list(self.workers.values()):
            if worker.status is None and worker.pidfd >= 0 and select.select([worker.pidfd], [], [], 0)[0]:
                worker.exit_seen_s = worker.exit_seen_s or now
            if worker.status is not None or (worker.exit_seen_s and now - worker.exit_seen_s > 0.2):
                dead.append((worker, self._cause(worker)))
                self._forget(worker)
        return dead

    def check_deadlines(self, has_work: Callable[[Worker], bool]) -> list[tuple[Worker, str]]:
        """Find workers that stay in one phase for too long, ask them for a traceback, then kill them.

        has_work: whether a worker has something to do, so that it should not be idle.
        """
        now_s, hung = time.monotonic(), []
        for worker in self.workers.values():
            if worker.kill_at_s and now_s >= worker.kill_at_s:
                self.kill(worker)
            if worker.kill_at_s or worker.exit_seen_s:
                continue
            watch = self._slots.watched(worker.seat)
            limit_s = self._limit_s(worker, watch.phase, has_work(worker))
            since_s = max(watch.since_ns / 1e9, worker.given_s if watch.phase == Phase.IDLE else 0.0)
            stayed_s = now_s - since_s
            if limit_s and stayed_s > limit_s:
                where = f" clip {watch.index} of source {watch.source_index}" if watch.index >= 0 else ""
                doing = "idle with work queued" if watch.phase == Phase.IDLE else watch.phase.name.lower()
                worker.fate = f"hung: {doing}{where} for {stayed_s:.0f} s (limit {limit_s:.0f} s)"
                worker.kill_at_s = now_s + HANG_DUMP_S
                self._signal(worker, signal.SIGUSR1)
                hung.append((worker, worker.fate))
        return hung

    def _limit_s(self, worker: Worker, now: Phase, has_work: bool) -> float:
        deadlines = self._plan.config.deadlines
        limits = {
            Phase.LOADING: deadlines.load_s,
            Phase.OPENING: deadlines.open_s,
            Phase.WORKING: deadlines.clip_s,
            Phase.DECODING: deadlines.decode_s,
            Phase.PREPARING: deadlines.prepare_s,
        }
        if now == Phase.IDLE and has_work:
            return deadlines.decode_s if worker.role == "decode" else deadlines.clip_s
        return 0.0 if worker.role in ("sink", "page") else limits.get(now, 0.0)

    def kill(self, worker: Worker) -> None:
        """Kill a worker. If it was never forked, its server hangs, so kill that."""
        if worker.pidfd >= 0:
            self._signal(worker, signal.SIGKILL)
        elif worker.server in self._servers:
            self._servers[worker.server].process.kill()

    def _signal(self, worker: Worker, number: signal.Signals) -> None:
        if worker.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(worker.pidfd, number)

    def close(self) -> None:
        """End everything at once: the servers, and with them their children."""
        for worker in self.workers.values():
            self._signal(worker, signal.SIGKILL)
        for server in self._servers.values():
            server.close()
        if self._nursery is not None:
            self._nursery.close()
        for worker in list(self.workers.values()):
            self._forget(worker)

    def log_tail(self, worker: Worker, lines: int = 12) -> str:
        """The last lines that the worker or a native library wrote; the innermost calls if it dumped a traceback."""
        try:
            text = Path(self._directory, f"worker-{worker.id}.log").read_text(errors="replace")
        except OSError:
            return ""
        written = text.strip().splitlines()
        dumps = [number for number, line in enumerate(written) if line.endswith(_DUMP)]
        return "\n".join(written[dumps[-1] :][:lines] if dumps else written[-lines:])

    def _server_for(self, role: Role, group: int) -> ServerName:
        if role == "sink":
            return "output"
        heavy = role == "clerk" or (role == "group" and self._plan.groups[group].preload)
        if role == "prepare":  # beside the imports of the heavy server, unless it needs the longest of them
            heavy = "torch" in self._heavy
        return "heavy" if self._heavy and heavy else "light"

    def _server(self, name: ServerName) -> ForkServer:
        if name not in self._servers:
            threads = max([group.threads for group in self._plan.groups], default=1)
            order = Serve(name, self._directory, self._heavy if name == "heavy" else (), threads)
            self._servers[name] = self._forked(order)
        return self._servers[name]

    def _forked(self, order: Serve) -> ForkServer:
        """A server from the nursery, or from a new one if that is gone."""
        if self._nursery is None:
            self._nursery = nursery.take()
        try:
            return ForkServer(self._nursery, order, self._slots.fd)
        except OSError:
            self._nursery.close()
            self._nursery = nursery.take()
            return ForkServer(self._nursery, order, self._slots.fd)

    def _lost_server(self, name: ServerName, server: ForkServer) -> None:
        """A fork server died, and its children with it. Another is started when it is needed."""
        server.close()
        del self._servers[name]
        for worker in self.workers.values():
            if worker.server == name and worker.status is None:
                worker.fate = worker.fate or "lost its fork server"
                self._signal(worker, signal.SIGKILL)
                if worker.pidfd < 0:
                    worker.status = -signal.SIGKILL

    def _note(self, event: Spawned | Exited, pidfd: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is None:
            if pidfd >= 0:
                os.close(pidfd)
        elif isinstance(event, Spawned):
            worker.pid, worker.pidfd = event.pid, pidfd
        else:
            worker.status = event.status

    def _forget(self, worker: Worker) -> None:
        self.workers.pop(worker.id, None)
        self._left_seats.append(worker.seat)
        if worker.pidfd >= 0:
            os.close(worker.pidfd)

    def _cause(self, worker: Worker) -> str:
        if worker.fate:
            return worker.fate
        status = worker.status
        if status is None:
            return "its process is gone"
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return f"exited with code {status}"
