"""The logs of worker processes, which must not fill a disk in weeks."""

import os
import re
from pathlib import Path

MOST_BYTES = 1 << 20
"""Of one log. What is beyond is cut off: the newest part stays."""
KEPT_BYTES = 64 << 10
KEPT_DEAD = 20
"""Logs of processes that have ended."""
_NAME = re.compile(r"worker-(\d+)\.log")


def tidy_logs(directory: Path, alive: set[int]) -> None:
    """Shorten the logs of a run's workers, and remove those of workers that ended long ago.

    Workers append to their logs, so they go on at the new end.
    """
    logs = {int(found[1]): path for path in directory.iterdir() if (found := _NAME.fullmatch(path.name))}
    dead = sorted(worker for worker in logs if worker not in alive)
    for worker in dead[: max(0, len(dead) - KEPT_DEAD)]:
        logs.pop(worker).unlink(missing_ok=True)
    for path in logs.values():
        if path.stat().st_size > MOST_BYTES:
            _shorten(path)


def _shorten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-KEPT_BYTES, os.SEEK_END)
        newest = file.read().partition(b"\n")[2]
        file.seek(0)
        file.truncate()
        file.write(b"(older lines were cut off)\n" + newest)
