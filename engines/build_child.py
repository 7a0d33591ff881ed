"""Builds in a process of its own: where a library is missing or at fault, native code ends it, not the pipeline.

    python -P -m engines.build_child < request > answers

The request is one JSON object, each answer one JSON line; whatever libraries print goes to standard error. The child
dies with its parent, is killed when time is up, and SIGTERM asks it to stop by itself.
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

from engines.backend import Backend, Order, Report
from engines.gpus import Gpu, gpu_probe
from pipeline.errors import ModelError

PR_SET_PDEATHSIG = 1
STOP_WAIT_S = 10.0
"""How long a child that was asked to stop may take."""
PROBE_TIMEOUT_S = 60.0
LOG_LINES = 15


class Build(msgspec.Struct, frozen=True, tag=True):
    """Run `build` of a backend."""

    parent: int
    backend: str
    order: Order
    exported: str
    into: str


class Probe(msgspec.Struct, frozen=True, tag=True):
    """Ask the driver for its GPUs."""

    parent: int


class Line(msgspec.Struct, frozen=True, tag=True):
    """A line about progress."""

    text: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It cannot be built, and why."""

    text: str


class Done(msgspec.Struct, frozen=True, tag=True):
    gpus: list[Gpu] = []


def build_in_child(
    backend: str, order: Order, exported: Path | None, into: Path, report: Report, timeout_s: float
) -> None:
    """`build` of the backend of that name (or "module:NAME"), in a process of its own; lines come to `report` here.

    Whatever `report` raises, and Ctrl-C, asks the child to stop. To be called from a thread that outlives the build.

    Raises:
        ModelError: what the build raised; or that its process crashed, and by which signal, with the last lines of its
            log; or that time was up.
    """
    what = f"building {order.network} with {backend}-{order.precision}"
    _ask(Build(os.getpid(), backend, order, str(exported or ""), str(into)), what, report, timeout_s)


def probe_in_child() -> list[Gpu]:
    """The GPUs that the driver shows, asked in a process of its own: a fork of this one can still use them.

    Raises:
        ModelError: the driver crashed or hung.
    """
    return _ask(Probe(os.getpid()), "looking for NVIDIA GPUs", lambda text: None, PROBE_TIMEOUT_S).gpus


def cancelled() -> bool:
    """Whether this process, a build child, was asked to stop. Elsewhere SIGTERM is not held back: always False."""
    return signal.SIGTERM in signal.sigpending()


def _ask(request: Build | Probe, what: str, report: Report, timeout_s: float) -> Done:
    deadline_s = time.monotonic() + timeout_s
    with tempfile.TemporaryFile() as noise:
        child = _start(noise)
        try:
            with contextlib.suppress(BrokenPipeError):  # it died at once: its status says why
                child.stdin.write(msgspec.json.encode(request))  # type: ignore[union-attr]
                child.stdin.close()  # type: ignore[union-attr]
            for answer in _answers(child, deadline_s):
                if isinstance(answer, Line):
                    report(answer.text)
                elif isinstance(answer, Failed):
                    raise ModelError(answer.text)
                else:
                    return answer
            status = _status(child)
        except TimeoutError:
            child.kill()
            raise ModelError(f"{what}: not done after {timeout_s:.0f} s; stopped") from None
        finally:
            _stop(child)
        raise ModelError(f"{what}: its process {status}; the last it said:\n{_tail(noise)}")


def _start(noise: IO[bytes]) -> "subprocess.Popen[bytes]":
    root = Path(__file__).resolve().parent.parent
    environment = dict(os.environ)
    if root.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-m", "engines.build_child"]
    # The child starts with SIGTERM held back, and so do the threads that its imports start: see `cancelled`.
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        return subprocess.Popen(
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, env=environment
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)


def _answers(child: "subprocess.Popen[bytes]", deadline_s: float) -> Iterator[Line | Failed | Done]:
    """Until the child closes its end.

    Raises:
        TimeoutError: the deadline has passed.
    """
    assert child.stdout is not None
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


def _status(child: "subprocess.Popen[bytes]") -> str:
    """How a child ended that has closed its end: "was ended by SIGSEGV"."""
    try:
        code = child.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        return "went silent"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _stop(child: "subprocess.Popen[bytes]") -> None:
    """Ask it, wait, kill it."""
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
    return "\n".join(f"  {line}" for line in lines[-LOG_LINES:]) or "  nothing"


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print must not come between the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which asks us to stop
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    faulthandler.enable()
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    logging.getLogger("percept").setLevel(logging.DEBUG)
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Build | Probe)
    if os.getppid() != request.parent:
        os._exit(1)

    def tell(answer: Line | Failed | Done) -> None:
        answers.write(msgspec.json.encode(answer) + b"\n")

    try:
        tell(_obey(request, lambda text: tell(Line(text))))
    except ModelError as error:
        tell(Failed(str(error)))


def _obey(request: Build | Probe, report: Report) -> Done:
    if isinstance(request, Probe):
        return Done(gpu_probe())
    exported = Path(request.exported) if request.exported else None
    _backend(request.backend).build(request.order, exported, Path(request.into), report)
    return Done()


def _backend(name: str) -> Backend:
    module, _, attribute = name.partition(":")
    if attribute:
        found: Any = getattr(importlib.import_module(module), attribute)
        return found  # type: ignore[no-any-return]
    from engines.backends import backend

    return backend(name)


if __name__ == "__main__":
    main()
