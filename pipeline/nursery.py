"""The process that fork servers are forked from: it imports what they share, once, while the command still plans.

Nothing heavy is imported here, so that a command can start it first of all.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

COMMON = ("av", "numpy", "zmq", "msgspec", "pipeline.decode_worker", "pipeline.worker", "pipeline.sink_process")
USUAL = "pipeline.build:import_usual"
ANSWER_S = 60.0
"""Longest wait for a server: it is forked at once, after what is common has been imported."""
_early: list["Nursery"] = []


class Forked:
    """A process that is not our child, so it has no exit code for us."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid, self._pidfd = pid, pidfd

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        return self._pidfd < 0 or bool(select.select([self._pidfd], [], [], timeout_s)[0])

    def kill(self) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


class Nursery:
    """The supervisor's end. It ends with the supervisor, or when it is closed; servers end by their own sockets."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = child_environment() | {"TOKENIZERS_PARALLELISM": "false"}
        environment["OPENBLAS_NUM_THREADS"] = "1"  # numpy's would start threads at its import: not to be forked
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.zygote", str(theirs.fileno()), *COMMON, USUAL],
            pass_fds=(theirs.fileno(),),
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        ours.settimeout(ANSWER_S)
        self._control = ours

    def fork(self, order: bytes, fds: list[int]) -> Forked:
        """Fork a server, which keeps these descriptors. order: an encoded `pipeline.zygote.Serve`.

        Raises:
            OSError: the nursery is gone.
        """
        socket.send_fds(self._control, [order], fds)
        data, pidfds, _, _ = socket.recv_fds(self._control, 64, 1)
        if not data:
            raise ConnectionResetError("the nursery is gone")
        return Forked(int(data), pidfds[0])

    def close(self) -> None:
        self._control.close()
        self.process.kill()
        self.process.wait(timeout=5)


def child_environment() -> dict[str, str]:
    """The environment of a child process, which finds our packages before others of the same names."""
    root = Path(__file__).resolve().parent.parent
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))}


def start_early() -> None:
    """Start one for the run that this process will begin."""
    if not _early:
        _early.append(Nursery())


def end_unused() -> None:
    """End the one that was started early and that no run has taken."""
    while _early:
        _early.pop().close()


def take() -> Nursery:
    """The one that was started early, or a new one."""
    return _early.pop() if _early else Nursery()
