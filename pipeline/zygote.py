"""A fork server: imports what workers need once, then forks ready workers in milliseconds.

    python -P -m pipeline.zygote CONTROL_FD MODULE...

That is the nursery (`pipeline.nursery`): it imports what is common and forks the servers of a run, which share these
pages. None of them starts threads or runs a network, so forking is safe. When the supervisor ends, for whatever reason,
the nursery notices that by its control socket, when it has forked what was asked for before; then the servers end, and
their children with them (PDEATHSIG). The server named "output" notices it by its own control socket, ends its children,
and removes the private directory of the run.
"""

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import os
import selectors
import shutil
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import msgspec

from pipeline.plan import Plan

PR_SET_PDEATHSIG = 1
PLAN_FILE = "plan"
REMOVE_S = 5.0


class Serve(msgspec.Struct, frozen=True):
    """Fork a server. The message carries the descriptors of its control socket and of the slots."""

    name: str
    directory: str
    modules: tuple[str, ...]
    """What it imports beyond what is common."""
    threads: int
    """Of each library."""


class Spawn(msgspec.Struct, frozen=True, tag=True):
    """Fork a worker of a role: see `pipeline.processes.Role`. `group` is the group's index."""

    worker: int
    seat: int
    role: str
    group: int = -1


class Spawned(msgspec.Struct, frozen=True, tag=True):
    """A worker was forked. The message carries a pidfd."""

    worker: int
    pid: int


class Exited(msgspec.Struct, frozen=True, tag=True):
    """A worker exited. `status` is its exit code, or minus the number of a signal."""

    worker: int
    status: int


class Zygote:
    """The loop of the server: forks on request and reports exits."""

    def __init__(self, directory: str, control: socket.socket, slots_fd: int) -> None:
        self._directory = directory
        self._control = control
        self._slots_fd = slots_fd
        self._plan: Plan | None = None
        self._workers: dict[int, int] = {}

    def run(self) -> None:
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        gc.freeze()
        selector = selectors.DefaultSelector()
        selector.register(self._control, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(timeout=1.0):
                if key.fileobj is self._control:
                    try:
                        data = self._control.recv(65536)
                    except ConnectionError:
                        data = b""
                    if not data:
                        return
                    self._spawn(msgspec.msgpack.decode(data, type=Spawn), wake_read, wake_write)
                else:
                    os.read(wake_read, 4096)
            self._reap()

    def end_workers(self) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)

    def _spawn(self, order: Spawn, *wake_fds: int) -> None:
        if self._plan is None:
            self._plan = msgspec.msgpack.decode(Path(self._directory, PLAN_FILE).read_bytes(), type=Plan)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for fd in wake_fds:
                os.close(fd)
            self._control.close()
            _child(order, parent, self._directory, self._slots_fd, self._plan)
        self._workers[pid] = order.worker
        pidfd = os.pidfd_open(pid)
        socket.send_fds(self._control, [msgspec.msgpack.encode(Spawned(order.worker, pid))], [pidfd])
        os.close(pidfd)

    def _reap(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            worker = self._workers.pop(pid, -1)
            self._control.send(msgspec.msgpack.encode(Exited(worker, os.waitstatus_to_exitcode(status))))


def _child(order: Spawn, parent: int, directory: str, slots_fd: int, plan: Plan) -> None:
    """Never returns. Output, also of native libraries, goes to a log that is quoted if the worker dies."""
    code = 1
    try:
        _die_with(parent)
        if not os.path.isdir(directory):
            os._exit(1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(f"{directory}/worker-{order.worker}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if order.role != "sink":
            os.dup2(log, 1)
        os.dup2(log, 2)
        faulthandler.enable(file=2)
        faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
        _run(order, slots_fd, plan)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _run(order: Spawn, slots_fd: int, plan: Plan) -> None:
    from pipeline.slots import Slots

    slots = Slots(slots_fd, plan.layout, plan.slots)
    common: tuple[int, int, Plan, Slots] = (order.worker, order.seat, plan, slots)
    if order.role in plan.roles:
        from pipeline.build import load

        load(plan.roles[order.role])(*common)
    elif order.role == "group":
        from pipeline.worker import run_group

        run_group(order.worker, order.seat, plan.groups[order.group], plan, slots)
    elif order.role == "decode":
        from pipeline.decode_worker import run_decode

        run_decode(*common)
    elif order.role == "prepare":
        from pipeline.worker import run_prepare

        run_prepare(*common)
    else:
        from pipeline.sink_process import run_sink

        run_sink(*common)


def main(arguments: list[str]) -> None:
    control_fd, *modules = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(control_fd))
    control.set_inheritable(False)
    # ONNX Runtime starts a thread at import, which no worker needs; Python 3.12 warns about threads at a fork
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    for module in modules:
        _preload(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the servers
    gc.freeze()
    with contextlib.suppress(ConnectionError):  # the supervisor ended
        while True:
            order, fds, _, _ = socket.recv_fds(control, 65536, 2)
            if not order:
                return
            _fork_server(msgspec.msgpack.decode(order, type=Serve), control, *fds)


def _fork_server(order: Serve, control: socket.socket, theirs_fd: int, slots_fd: int) -> None:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            control.close()
            _serve(order, parent, socket.socket(fileno=theirs_fd), slots_fd)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    pidfd = os.pidfd_open(pid)
    socket.send_fds(control, [str(pid).encode()], [pidfd])
    for fd in (pidfd, theirs_fd, slots_fd):
        os.close(fd)


def _serve(order: Serve, parent: int, control: socket.socket, slots_fd: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if order.name != "output":  # importing torch takes seconds, in which no socket is read
        _die_with(parent)
    os.environ["OMP_NUM_THREADS"] = str(order.threads)
    for module in order.modules:
        _preload(module)
    zygote = Zygote(order.directory, control, slots_fd)
    with contextlib.suppress(ConnectionError):  # the supervisor ended during a send
        zygote.run()
    zygote.end_workers()
    _remove(order.directory)


def _remove(directory: str) -> None:
    """Workers that are ending may still make a file in it, and then it is not empty when its turn comes."""
    deadline = time.monotonic() + REMOVE_S
    while os.path.isdir(directory) and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.01)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _preload(module: str) -> Any:
    """Import a module, or call "module:function", which imports one. If that fails, it fails again, with a report, in
    the worker that needs it."""
    try:
        name, _, function = module.partition(":")
        imported = importlib.import_module(name)
        return getattr(imported, function)() if function else imported
    except Exception:
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
