"""A child process that labels a batch. Standard library only: it is sent to workers that have nothing else of ours."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

ENTRY = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with its parent
if os.getppid() != int(sys.argv.pop(1)):
    sys.exit(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and shells in the background have it ignored
import percept
sys.exit(percept.main())
"""
SAID_BYTES = 2000
POLL_S = 0.2
STOP_S = 120.0
"""From a polite request to end until a child is killed."""


class Child:
    """`percept` with these arguments, an order on its stdin, and its messages kept."""

    def __init__(
        self, arguments: Sequence[str], order: bytes, folder: str, cores: int, more: Mapping[str, str]
    ) -> None:
        """folder: the working directory, if there is one of that name. cores: how many it may keep busy."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        with tempfile.TemporaryFile() as given:
            given.write(order)
            given.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", ENTRY, str(os.getpid()), *arguments],
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                cwd=folder if os.path.isdir(folder) else None,
                env=os.environ | {"PERCEPT_CORES": str(cores)} | dict(more),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code; None if it still runs. Negative: the signal that ended it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def said(self) -> str:
        """The end of its messages."""
        size = os.fstat(self._log.fileno()).st_size
        at = max(0, size - SAID_BYTES)
        return os.pread(self._log.fileno(), SAID_BYTES, at).decode("utf-8", "replace").strip()

    def interrupt(self) -> None:
        """Ask it to finish its clips in flight and to end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=30)
        self._log.close()


def run_child(
    arguments: Sequence[str], order: bytes, folder: str, cores: int, more: Mapping[str, str]
) -> tuple[int, str]:
    """Run a child to its end. Returns its exit code and what it said. Ctrl-C is passed on to it."""
    child = Child(arguments, order, folder, cores, more)
    try:
        try:
            while (code := child.wait(POLL_S)) is None:
                pass
        except KeyboardInterrupt:
            child.interrupt()
            code = child.wait(STOP_S)
        return (-signal.SIGKILL if code is None else code), child.said()
    finally:
        child.close()
