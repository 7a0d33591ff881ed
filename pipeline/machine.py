"""What this process may use of the machine: cores, memory, and a folder that outlives it."""

import ctypes
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from functools import cache
from math import ceil
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
_CGROUPS = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")
_MEMORY = Path("/proc/meminfo")
_MAPS = Path("/proc/self/maps")
_MADV_DONTNEED = 4
UNKNOWN_BYTES = 1 << 62


@cache
def package_version(name: str) -> str:
    """The installed version. Asked once in a process: the standard library parses a file for every answer.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    return importlib.metadata.version(name)


def cpu_name(info: str) -> str:
    """From the text of /proc/cpuinfo; ARM has no name there."""
    named = (line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


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
    for folder, version in _folders("cpu", groups, self_file):
        cores = _quota_v2(folder) if version == 2 else _quota_v1(folder)
        if cores is not None:
            found.append(ceil(cores))
    return min(found)


def available_bytes(groups: Path = _CGROUPS, self_file: Path = _SELF, memory_file: Path = _MEMORY) -> int:
    """Memory that can still be had: what the machine has available, or what a control group leaves if that is less.

    Files in a group's page cache that are not in use can be dropped, and count as available. If nothing is told, it is
    `UNKNOWN_BYTES`.
    """
    free_kib = _entry(memory_file, "MemAvailable:")
    found = [UNKNOWN_BYTES if free_kib is None else free_kib << 10]
    for folder, version in _folders("memory", groups, self_file):
        names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        limit, used = (_text(folder / name) for name in names)
        if limit.isdigit() and used.isdigit():  # "max": no limit
            files = _entry(folder / "memory.stat", "inactive_file" if version == 2 else "total_inactive_file")
            found.append(max(0, int(limit) - int(used) + (files or 0)))
    return min(found)


def _folders(controller: str, groups: Path, self_file: Path) -> Iterator[tuple[Path, int]]:
    """The folders of this process's control group and of those above it, and the version of control groups, 1 or 2."""
    for line in _text(self_file).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, version = groups, 2
        elif controller in controllers.split(","):
            root, version = groups / controller, 1
        else:
            continue
        place = root / path.strip("/")
        for folder in (place, *place.parents):
            if not folder.is_relative_to(root):
                break
            yield folder, version


def _quota_v2(folder: Path) -> float | None:
    """From `cpu.max`: "200000 100000", or "max 100000" without a quota."""
    limit, _, period = _text(folder / "cpu.max").partition(" ")
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else None


def _quota_v1(folder: Path) -> float | None:
    limit, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else None  # -1: no quota


def _entry(path: Path, name: str) -> int | None:
    """The number that follows a name in a file of names and numbers; None if it is not there."""
    for line in _text(path).splitlines():
        match line.split():
            case [first, number, *_] if first == name and number.isdigit():
                return int(number)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def unmap_pages(path: Path, maps: Path = _MAPS) -> int:
    """Give back what this process has read of a file that it maps read-only; a page is mapped again when it is used.

    Returns how many bytes of address space that were.
    """
    given = 0
    for line in maps.read_text().splitlines():
        if line.endswith(f" {path}") and line.split()[1][:2] == "r-":
            start, end = (int(each, 16) for each in line.split()[0].split("-"))
            if not ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED):
                given += end - start
    return given


def cache_directory() -> Path:
    """Where built engines and text vectors are kept: $PERCEPT_CACHE, else `percept` in $XDG_CACHE_HOME or ~/.cache."""
    if given := os.environ.get("PERCEPT_CACHE"):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG base directory specification: a relative path is invalid and is ignored
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "percept"
