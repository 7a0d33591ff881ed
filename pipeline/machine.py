"""What this process may use of the machine: cores, and a folder that outlives it."""

import os
from math import ceil
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")


def core_count() -> int:
    """Cores that this process may keep busy: its CPU affinity, or the CPU quota of its control group if that is less.

    A container with `--cpus 2` on a machine of 64 cores has an affinity of 64 and a quota of 2. $PERCEPT_CORES, a share
    given to one of several processes, can only lower it.
    """
    given = os.environ.get("PERCEPT_CORES", "")
    return max(1, min(len(os.sched_getaffinity(0)), quota(), int(given) if given.isdigit() else 10**6))


def quota(groups: Path = _CGROUPS, self_file: Path = _SELF) -> int:
    """The least CPU quota of this process's control group and those above it, in whole cores, rounded up.

    Control groups of version 2 and 1 are read. Without a quota it is a very large number.
    """
    found = [10**6]
    try:
        lines = self_file.read_text().splitlines()
    except OSError:
        return found[0]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, read = groups, _quota_v2
        elif "cpu" in controllers.split(","):
            root, read = groups / "cpu", _quota_v1
        else:
            continue
        place = root / path.strip("/")
        for folder in (place, *place.parents):
            if not folder.is_relative_to(root):
                break
            if (cores := read(folder)) is not None:
                found.append(ceil(cores))
    return min(found)


def _quota_v2(folder: Path) -> float | None:
    """From `cpu.max`: "200000 100000", or "max 100000" without a quota."""
    limit, _, period = _text(folder / "cpu.max").partition(" ")
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else None


def _quota_v1(folder: Path) -> float | None:
    limit, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else None  # -1: no quota


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def cache_directory() -> Path:
    """Where built engines and text vectors are kept: $PERCEPT_CACHE, else `percept` in $XDG_CACHE_HOME or ~/.cache."""
    if given := os.environ.get("PERCEPT_CACHE"):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG base directory specification: a relative path is invalid and is ignored
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "percept"
