"""Builds an engine, or opens it for the first time, in a child process: a native crash ends that, not the pipeline.

    python -P -m engines.building.build_child < request > answers

The request is one JSON object, each answer one JSON line; output of libraries goes to standard error. The child dies
with its parent, is killed after a timeout without a line, and SIGTERM asks it to stop by itself.
"""

import contextlib
import ctypes
import faulthandler
import importlib
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from engines.backends.backend import Backend, Order, Report
from pipeline.errors import ModelError

PR_SET_PDEATHSIG = 1
STOP_WAIT_S = 10.0
"""How long a child may take to stop when asked to."""
LOG_LINES = 15


class Build(msgspec.Struct, frozen=True, tag=True):
    """Run a backend's `build`."""

    parent: int
    backend: str
    order: Order
    exported: str
    into: str


class Open(msgspec.Struct, frozen=True, tag=True):
    """Open the engine that a backend makes from a finished build, and close it."""

    parent: int
    backend: str
    order: Order
    exported: str
    built: str


class Line(msgspec.Struct, frozen=True, tag=True):
    """A progress line."""

    text: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The engine cannot be built or opened; `text` says why."""

    text: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """The request succeeded."""


def build_in_child(
    backend: str, order: Order, exported: Path | None, into: Path, report: Report, timeout_s: float
) -> None:
    """Run `build` of the backend of that name (or "module:NAME") in a child process; its lines are passed to `report`.

    An exception from `report`, or Ctrl-C, asks the child to stop. Call it from a thread that outlives the build.

    timeout_s: longest time without a progress line; each line resets it.

    Raises:
        ModelError: the error that the build raised; or the process crashed (names the signal and quotes the last lines
            of its log); or it timed out.
    """
    what = f"building {order.network} with {backend}-{order.precision}"
    _ask(Build(os.getpid(), backend, order, str(exported or ""), str(into)), what, report, timeout_s)


def open_in_child(
    backend: str, order: Order, exported: Path | None, built: Path, report: Report, timeout_s: float
) -> None:
    """Open and close an engine, perhaps built on another machine, in a child process: a crash ends only that process.

    Raises:
        ModelError: as `build_in_child`.
    """
    what = f"opening {order.network} with {backend}-{order.precision}"
    _ask(Open(os.getpid(), backend, order, str(exported or ""), str(built)), what, report, timeout_s)


def cancelled() -> bool:
    """Whether this build child was asked to stop. Always False in other processes, where SIGTERM is not blocked."""
    return signal.SIGTERM in signal.sigpending()


def _ask(request: Build | Open, what: str, report: Report, timeout_s: float) -> None:
    with tempfile.TemporaryFile() as noise:
        child = _start(noise)
        try:
            with contextlib.suppress(BrokenPipeError):  # it died at once: its exit status is reported below
                child.stdin.write(msgspec.json.encode(request))  # type: ignore[union-attr]
                child.stdin.close()  # type: ignore[union-attr]
            for answer in _answers(child, timeout_s):
                if isinstance(answer, Line):
                    report(answer.text)
                elif isinstance(answer, Failed):
                    raise ModelError(answer.text)
                else:
                    return
            status = _status(child)
        except TimeoutError:
            child.kill()
            raise ModelError(f"{what}: no progress for {timeout_s:.0f} s; stopped") from None
        finally:
            _stop(child)
        raise ModelError(f"{what}: its process {status}; its last output:\n{_tail(noise)}")


def _start(noise: IO[bytes]) -> "subprocess.Popen[bytes]":
    root = Path(__file__).resolve().parents[2]
    environment = dict(os.environ)
    if root.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-m", "engines.building.build_child"]
    # The child, and the threads that its imports start, inherit a blocked SIGTERM: see `cancelled`.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        return subprocess.Popen(
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, env=environment
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answers(child: "subprocess.Popen[bytes]", timeout_s: float) -> Iterator[Line | Failed | Done]:
    """Yield answers until the child closes its end.

    Raises:
        TimeoutError: no line arrived for `timeout_s`.
    """
    assert child.stdout is not None
    deadline_s = time.monotonic() + timeout_s
    ready, rest = select.poll(), b""
    ready.register(child.stdout, select.POLLIN | select.POLLHUP)
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        if not ready.poll(1000 * min(left_s, 60.0)):
            continue
        data = os.read(child.stdout.fileno(), 65536)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield msgspec.json.decode(line, type=Line | Failed | Done)
            deadline_s = time.monotonic() + timeout_s


def _status(child: "subprocess.Popen[bytes]") -> str:
    """How a child that has closed its end of the pipe ended: "was ended by SIGSEGV"."""
    try:
        code = child.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        return "stopped answering"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _stop(child: "subprocess.Popen[bytes]") -> None:
    """Ask it to stop, wait, then kill it."""
    if child.stdin is not None and not child.stdin.closed:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
    child.terminate()
    try:
        child.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _tail(noise: IO[bytes]) -> str:
    noise.seek(max(0, noise.seek(0, os.SEEK_END) - 20_000))
    lines = noise.read().decode(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-LOG_LINES:]) or "  (none)"


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which asks us to stop
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    faulthandler.enable()
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    logging.getLogger("percept").setLevel(logging.DEBUG)
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Build | Open)
    if os.getppid() != request.parent:
        os._exit(1)

    def send(answer: Line | Failed | Done) -> None:
        answers.write(msgspec.json.encode(answer) + b"\n")

    try:
        send(_handle(request, lambda text: send(Line(text))))
    except ModelError as error:
        send(Failed(str(error)))


def _handle(request: Build | Open, report: Report) -> Done:
    backend, exported = _backend(request.backend), Path(request.exported) if request.exported else None
    if isinstance(request, Build):
        backend.build(request.order, exported, Path(request.into), report)
        return Done()
    engine = backend.make(request.order, exported, Path(request.built))
    engine.open()
    engine.close()
    return Done()


def _backend(name: str) -> Backend:
    module, _, attribute = name.partition(":")
    if attribute:
        found: Any = getattr(importlib.import_module(module), attribute)
        return found  # type: ignore[no-any-return]
    from engines.backends.table import backend

    return backend(name)


if __name__ == "__main__":
    main()
