"""Cores by affinity and quota, and the folder of the cache."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.machine import UNKNOWN_BYTES, available_bytes, cache_directory, core_count, quota, unmap_pages


def test_the_cache_is_where_the_environment_puts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PERCEPT_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.delenv("PERCEPT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path))
    assert cache_directory() == tmp_path / "percept"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # invalid by the specification
    assert cache_directory() == Path.home() / ".cache" / "percept"


def control_group(tmp_path: Path, line: str, files: dict[str, str]) -> tuple[Path, Path]:
    groups, own = tmp_path / "cgroup", tmp_path / "own"
    own.write_text(f"4:freezer:/x\n{line}\n")
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)
    return groups, own


@pytest.mark.parametrize(
    ("line", "files", "cores"),
    [
        ("0::/", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/", {"cpu.max": "max 100000\n"}, 10**6),
        ("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/a/b", {"a/cpu.max": "800000 100000", "a/b/cpu.max": "100000 50000"}, 2),
        ("0::/gone", {"cpu.max": "400000 100000"}, 4),
        ("0::/", {}, 10**6),
        ("3:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ("3:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 10**6),
        ("3:cpuset:/", {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 10**6),
    ],
)
def test_the_smallest_quota_counts(tmp_path: Path, line: str, files: dict[str, str], cores: int) -> None:
    assert quota(*control_group(tmp_path, line, files)) == cores


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path, tmp_path / "missing") == 10**6


MEMINFO = "MemTotal:       16000 kB\nMemFree:  1 kB\nMemAvailable:    8000 kB\n"
OLD = "memory/memory."


@pytest.mark.parametrize(
    ("line", "files", "kib"),
    [
        ("0::/", {}, 8000),
        ("0::/", {"memory.max": "max", "memory.current": "1024"}, 8000),
        ("0::/", {"memory.max": "3072000\n", "memory.current": "1024000\n"}, 2000),
        (
            "0::/",
            {"memory.max": "3072000", "memory.current": "3072000", "memory.stat": "anon 5\ninactive_file 1024"},
            1,
        ),
        ("0::/a/b", {"a/memory.max": "4096", "a/memory.current": "1024", "a/b/memory.max": "max"}, 3),
        ("0::/", {"memory.max": "1024", "memory.current": "2048"}, 0),
        ("4:memory:/", {f"{OLD}limit_in_bytes": "9223372036854771712", f"{OLD}usage_in_bytes": "1024"}, 8000),
        (
            "4:memory:/gone",
            {f"{OLD}limit_in_bytes": "4096", f"{OLD}usage_in_bytes": "3072", f"{OLD}stat": "total_inactive_file 1024"},
            2,
        ),
    ],
)
def test_the_least_memory_that_is_left_counts(tmp_path: Path, line: str, files: dict[str, str], kib: int) -> None:
    info = tmp_path / "meminfo"
    info.write_text(MEMINFO)
    assert available_bytes(*control_group(tmp_path, line, files), info) == kib << 10


def test_where_nothing_says_how_much_memory_there_is_it_is_not_limited(tmp_path: Path) -> None:
    assert available_bytes(tmp_path, tmp_path / "missing", tmp_path / "missing") == UNKNOWN_BYTES
    assert 0 < available_bytes() < UNKNOWN_BYTES


def test_the_affinity_limits_the_cores() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from pipeline.machine import core_count"
    done = subprocess.run([sys.executable, "-c", f"{code}; print(core_count())"], capture_output=True, timeout=60)
    assert done.stdout.strip() == b"1"


@pytest.mark.parametrize(("given", "cores"), [("3", 3), ("64", 32), ("", 32), ("0", 1), ("many", 32)])
def test_a_share_of_the_cores_may_be_given(monkeypatch: pytest.MonkeyPatch, given: str, cores: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(32)))
    monkeypatch.setattr("pipeline.machine.quota", lambda: 10**6)
    monkeypatch.setenv("PERCEPT_CORES", given)
    assert core_count() == cores


def test_a_plan_has_no_more_workers_than_the_quota_has_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.build import make_plan
    from pipeline.config import Config

    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(32)))
    monkeypatch.setattr("pipeline.machine.quota", lambda: 2)
    assert core_count() == 2
    plan = make_plan(Config(), sources=8)
    assert [group.workers for group in plan.groups] == [2, 1]
    assert plan.decode_workers == 1


def test_pages_of_a_mapped_file_are_given_back_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights!" * 100_000)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
        assert mapped[:8] == mapped[-8:] == b"weights!"
        assert resident_kb(path) > 4
        assert unmap_pages(path) >= 800_000
        assert resident_kb(path) == 0
        assert mapped[-8:] == b"weights!"


def resident_kb(path: Path) -> int:
    """How much of a mapped file this process has in memory."""
    of_file = Path("/proc/self/smaps").read_text().partition(f" {path}\n")[2]
    return int(of_file.partition("Rss:")[2].split()[0])
