"""The worker processes of a run: forked by two servers (one with torch, one without), watched, killed, replaced."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from pipeline import slots as phase
from pipeline.build import Plan
from pipeline.errors import PerceptError
from pipeline.slots import MAX_WORKERS, PHASES, Slots
from pipeline.zygote import Exited, Spawn, Spawned

Role = Literal["group", "decode", "prepare", "sink"]
LIGHT = ("av", "numpy", "zmq", "msgspec", "pipeline.decode_worker", "pipeline.sink_process")
HANG_DUMP_S = 0.3
"""Between asking a hung process for its traceback and killing it."""


@dataclass
class Worker:
    """One process as the supervisor sees it."""

    id: int
    seat: int
    role: Role
    group: int = -1
    name: str = ""
    pid: int = 0
    pidfd: int = -1
    ready: bool = False
    stopping: bool = False
    credit: int = 0
    source: int = -1
    """For decode: the source it reads."""
    grants: dict[int, int] = field(default_factory=dict)
    """For decode: slots it holds and their generations."""
    hung: str = ""
    kill_at_s: float = 0.0
    exit_seen_s: float = 0.0
    status: int | None = None


class ForkServer:
    """The supervisor's end of one zygote."""

    def __init__(self, directory: str, slots_fd: int, modules: tuple[str, ...], threads: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = Path(__file__).resolve().parent.parent
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        if root.name not in ("site-packages", "dist-packages"):
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-P", "-m", "pipeline.zygote", directory, str(theirs.fileno()), str(slots_fd)]
        self.process = subprocess.Popen(
            [*command, *modules],
            pass_fds=(theirs.fileno(), slots_fd),
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        ours.setblocking(False)
        self.control = ours
        self.closed = False

    def spawn(self, order: Spawn) -> None:
        """Raises: OSError: the server is gone; whoever notices its end asks again."""
        self.control.send(msgspec.msgpack.encode(order))

    def events(self) -> Iterator[tuple[Spawned | Exited, int]]:
        """What the server has told since, each with a pidfd or -1."""
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
        self.control.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=5)


class Processes:
    """All workers of a run. `died()` yields each dead one once, with the cause in words."""

    def __init__(self, plan: Plan, slots: Slots) -> None:
        self.workers: dict[int, Worker] = {}
        self._plan = plan
        self._slots = slots
        self._directory = plan.settings.directory
        self._heavy = tuple(dict.fromkeys(module for group in plan.groups for module in group.preload))
        self._servers: dict[bool, ForkServer] = {}
        self._next_id = 1
        self._free_seats = list(range(MAX_WORKERS))
        self._server(heavy=False)
        if self._heavy:
            self._server(heavy=True)

    def fds(self) -> list[int]:
        """Readable when something happened to a process."""
        return [server.control.fileno() for server in self._servers.values()]

    def spawn(self, role: Role, name: str, group: int = -1) -> Worker:
        heavy = role == "prepare" or (role == "group" and bool(self._plan.groups[group].preload))
        if not self._free_seats:
            raise PerceptError(f"{name}: more than {MAX_WORKERS} workers; use fewer workers per group")
        worker = Worker(self._next_id, self._free_seats.pop(), role, group, name)
        self._next_id += 1
        self.workers[worker.id] = worker
        self._slots.watch(worker.seat, phase.LOADING)
        with contextlib.suppress(OSError):
            self._server(heavy and bool(self._heavy)).spawn(Spawn(worker.id, worker.seat, role, group))
        return worker

    def died(self) -> list[tuple[Worker, str]]:
        """Workers whose process has exited since the last call."""
        for heavy, server in list(self._servers.items()):
            for event, pidfd in server.events():
                self._note(event, pidfd)
            if server.closed:
                self._lost_server(heavy, server)
        now = time.monotonic()
        dead = []
        for worker in list(self.workers.values()):
            if worker.status is None and worker.pidfd >= 0 and select.select([worker.pidfd], [], [], 0)[0]:
                worker.exit_seen_s = worker.exit_seen_s or now
            if worker.status is not None or (worker.exit_seen_s and now - worker.exit_seen_s > 0.2):
                dead.append((worker, self._cause(worker)))
                self._forget(worker)
        return dead

    def check_deadlines(self) -> list[tuple[Worker, str]]:
        """Find workers that stay in one phase too long; ask them for a traceback, then kill them."""
        now_s, hung = time.monotonic(), []
        for worker in self.workers.values():
            if worker.kill_at_s and now_s >= worker.kill_at_s:
                self.kill(worker)
            if worker.kill_at_s or worker.pidfd < 0:
                continue
            watch = self._slots.watched(worker.seat)
            limit_s = self._limit_s(worker, watch.phase)
            stayed_s = now_s - watch.since_ns / 1e9
            if limit_s and stayed_s > limit_s:
                where = f" clip {watch.index} of source {watch.source_index}" if watch.index >= 0 else ""
                worker.hung = f"hung: {PHASES[watch.phase]}{where} for {stayed_s:.0f} s (limit {limit_s:.0f} s)"
                worker.kill_at_s = now_s + HANG_DUMP_S
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(worker.pidfd, signal.SIGUSR1)
                hung.append((worker, worker.hung))
        return hung

    def _limit_s(self, worker: Worker, now: int) -> float:
        deadlines = self._plan.config.deadlines
        limits = {
            phase.LOADING: deadlines.load_s,
            phase.OPENING: deadlines.open_s,
            phase.WORKING: deadlines.clip_s,
            phase.DECODING: deadlines.decode_s,
            phase.PREPARING: deadlines.prepare_s,
        }
        return 0.0 if worker.role == "sink" else limits.get(now, 0.0)

    def kill(self, worker: Worker) -> None:
        if worker.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(worker.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """End everything at once: the servers go, and their children with them."""
        for worker in self.workers.values():
            self.kill(worker)
        for server in self._servers.values():
            server.close()
        for worker in list(self.workers.values()):
            self._forget(worker)

    def log_tail(self, worker: Worker, lines: int = 12) -> str:
        """The last lines the worker (or a native library in it) wrote."""
        try:
            text = Path(self._directory, f"worker-{worker.id}.log").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-lines:])

    def _server(self, heavy: bool) -> ForkServer:
        if heavy not in self._servers:
            threads = max([group.threads for group in self._plan.groups], default=1)
            modules = (*LIGHT[1:], "pipeline.worker", *self._heavy) if heavy else (*LIGHT, "pipeline.worker")
            self._servers[heavy] = ForkServer(self._directory, self._slots.fd, modules, threads)
        return self._servers[heavy]

    def _lost_server(self, heavy: bool, server: ForkServer) -> None:
        """A fork server died, and its children with it: start another when it is next needed."""
        server.close()
        del self._servers[heavy]
        for worker in self.workers.values():
            is_heavy = bool(self._heavy) and (
                worker.role == "prepare" or (worker.role == "group" and bool(self._plan.groups[worker.group].preload))
            )
            if is_heavy == heavy and worker.status is None:
                self.kill(worker)
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
        self._free_seats.append(worker.seat)
        if worker.pidfd >= 0:
            os.close(worker.pidfd)

    def _cause(self, worker: Worker) -> str:
        if worker.hung:
            return worker.hung
        status = worker.status
        if status is None:
            return "its process is gone"
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return f"exited with code {status}"
