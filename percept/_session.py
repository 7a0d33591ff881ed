"""`percept.Session`: a process that stays open between calls, with the networks that they need."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import IO

from percept import _child

_ANSWERING = "commands.answering"
_GRACE_S = 5.0


class Session:
    """Keeps networks open for `percept.explain`, `percept.find` and `result.explain()`, which else load them each time.

        with percept.Session() as session:
            for second in range(0, 60, 2):
                print(percept.explain("talk.mp4", second, "rain", session=session))

    The work is done in one process, which starts with the first call and ends with the block or `close()`. A call with
    another model, detector or setting opens it beside what is open; three of a kind are kept. Calls of several threads
    wait for one another.
    """

    __module__ = "percept"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def close(self) -> None:
        """End the process. A later call starts it again."""
        with self._lock:
            self._end()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<percept.Session: {'open' if self._child else 'not open'}>"

    def _answer(self, verb: str, arguments: Sequence[str]) -> bytes:
        """What a command prints as JSON. Raises: PerceptError: as `_child.answer`."""
        with self._lock:
            try:
                self._child = self._child or _Child()
                code, text = self._child.ask([verb, "--json", "--quiet", *arguments])
            except BaseException:  # its answer may still come, which would be taken for that of the next call
                if self._child is not None:
                    self._child.interrupt()
                self._end()
                raise
        if code:
            raise _child.error_of(code, text)
        return text.encode()

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def session_of(session: Session | None) -> AbstractContextManager[Session]:
    """The given session, which stays open, or one for this call alone."""
    return nullcontext(session) if session is not None else Session()


class _Child:
    """The process, and what it logs. It also ends when nobody refers to this any more."""

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `_end`)
        self._process = _child.start([], self._log, module=_ANSWERING)
        self.end = weakref.finalize(self, _end, self._process, self._log)

    def ask(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Raises: PerceptError: the process ended without an answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps({"folder": os.getcwd(), "arguments": list(arguments)}).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # its log says why
        line = stdout.readline()
        if not line:
            raise _child.error(self._process.wait(timeout=_GRACE_S), self._log, arguments[0])
        answer = json.loads(line)
        return answer["code"], answer["text"]

    def interrupt(self) -> None:
        """Stop what it is working on."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)


def _end(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
    """End a process that waits for the next call. None is left when this returns."""
    try:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=_GRACE_S)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        pass
    _child.stop(process)
    log.close()
