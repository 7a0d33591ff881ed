"""One process at a time changes a search cache."""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import OutputError

WAIT_S = 3600.0
STEP_S = 0.1


@contextlib.contextmanager
def locked(folder: Path, report: Callable[[str], None], wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock of a folder. The system frees it if the holder dies.

    Raises: OutputError: another process still holds it after `wait_s`.
    """
    end_s, told = time.monotonic() + wait_s, False
    with (folder / "lock").open("wb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end_s:
                    raise OutputError(f"{folder}: another process has been changing it for {wait_s:g} s") from None
            if not told:
                report("waiting for another process that prepares the search")
                told = True
            time.sleep(STEP_S)
        yield
