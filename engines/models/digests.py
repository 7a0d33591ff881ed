"""SHA-256 of files. Those that are known are kept in the cache, so that not every process of a run reads all weights.

A file is read again if its device, inode, size, time of modification or time of change is another. On Linux's own file
systems only the kernel sets the time of change, so a copy that keeps the other time does not pass for what it has
replaced.
"""

import contextlib
import functools
import hashlib
import os
import time
from pathlib import Path

from pipeline.errors import ModelError

FOLDER = "digests"
"""Of the cache; it has one file."""
MOST_LINES = 5_000
"""A file with more is begun anew: most of its lines are of files that are gone."""
SETTLED_NS = 2_000_000_000
"""A file may still change within the resolution of its times; older ones are kept."""
_read_here: dict[str, tuple[str, str]] = {}
"""What this process has read: state and digest by path."""


def sha256_of(path: Path, cache: str | Path = "") -> str:
    """Hash of a file. cache: the folder where known hashes are kept; "": they are known to this process only.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        now_ns, status = time.time_ns(), path.stat()
        name, state = os.path.abspath(path), _state_of(status)
        known = _read_here.get(name) or (_kept(_file(cache)).get(name) if cache else None)
        if known is not None and known[0] == state:
            return known[1]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        is_same = _state_of(path.stat()) == state
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; expected a file of the model") from error
    _read_here[name] = state, digest
    if cache and is_same and now_ns - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS and "\n" not in name:
        _keep(_file(cache), f"{digest} {state} {name}\n")
    return digest


def _state_of(status: os.stat_result) -> str:
    return f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def _file(cache: str | Path) -> Path:
    return Path(cache, FOLDER, "sha256.txt")


def _keep(kept: Path, line: str) -> None:
    """Append a line, at once, so that processes may do it at the same time. Nothing is lost but time if they cannot."""
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(kept, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, os.fsencode(line))
        finally:
            os.close(file)


@functools.cache
def _kept(kept: Path) -> dict[str, tuple[str, str]]:
    """State and digest by path, as the file has them when this process looks first; the later of two lines holds."""
    try:
        lines = os.fsdecode(kept.read_bytes()).split("\n")
    except OSError:
        return {}
    if len(lines) > MOST_LINES:
        with contextlib.suppress(OSError):
            kept.unlink()
    parts = (line.split(" ", 2) for line in lines)
    return {part[2]: (part[1], part[0]) for part in parts if len(part) == 3 and len(part[0]) == 64}
