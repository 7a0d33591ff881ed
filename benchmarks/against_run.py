"""One run of an installed percept, measured as a whole process tree."""

import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.against_build import Build, last_lines

SAMPLE_S = 0.05
END_S = 10.0
"""Time that processes may outlive the command that started them."""
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Run:
    """One run of one build."""

    figures: dict[str, float]
    results: str


def run(build: Build, arguments: list[str], timeout_s: float, sampled: bool = False) -> Run:
    """Run the command once, either timed or with its memory sampled. Exits if the command fails."""
    with tempfile.TemporaryDirectory(prefix="percept-against-") as name:
        out, stdout, stderr = (Path(name, file) for file in ("out.jsonl", "stdout", "stderr"))
        command = [str(build.script), *(argument.replace("{out}", str(out)) for argument in arguments)]
        with stdout.open("wb") as to_stdout, stderr.open("wb") as to_stderr, orphans_adopted():
            used_s = children_cpu_s()
            began_s = time.monotonic()
            with subprocess.Popen(
                command, env=build.environment, stdin=subprocess.DEVNULL, stdout=to_stdout, stderr=to_stderr
            ) as process:
                try:
                    peak_bytes = watch(process, began_s + timeout_s, sampled)
                except TimeoutError:
                    late = f"did not end within {timeout_s:g} s. Allow more with --timeout-s."
                    raise SystemExit(f"{title(build)}: {' '.join(command)}\n{late}") from None
                wall_s = time.monotonic() - began_s
        log = stderr.read_text(errors="replace")
        if process.returncode:
            end = last_lines(log)
            raise SystemExit(f"{title(build)}: {' '.join(command)}\nended with {process.returncode}:\n{end}")
        if sampled:
            figures = {"peak_mb": peak_bytes / 1e6}
        else:
            figures = {"wall_s": wall_s, "cpu_s": children_cpu_s() - used_s, **account_figures(log)}
        return Run(figures, (out if out.is_file() else stdout).read_text(errors="replace"))


def watch(process: "subprocess.Popen[bytes]", until_s: float, sampled: bool) -> int:
    """Wait for the process to end; returns the peak memory of it and its descendants in bytes, 0 without sampling.

    Raises:
        TimeoutError: the process was still running at `until_s` (monotonic) and was killed.
    """
    peak_bytes = 0
    end = os.pidfd_open(process.pid)
    try:
        while not select.select([end], [], [], SAMPLE_S if sampled else max(0.0, until_s - time.monotonic()))[0]:
            if time.monotonic() > until_s:
                raise TimeoutError
            if sampled:
                tree = {process.pid} | descendants(process.pid)
                peak_bytes = max(peak_bytes, sum(map(pss_bytes, tree)))
    except BaseException:
        process.kill()
        raise
    finally:
        os.close(end)
    return peak_bytes


def children_cpu_s() -> float:
    """User and system time of all children that this process waited for, and of those that they waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def orphans_adopted() -> Iterator[None]:
    """Waits at the end for all processes started within the context; kills them after an error.

    A process whose parent dies becomes a child of this process instead of init, so that its CPU time is counted.
    """
    before = descendants(os.getpid())
    set_subreaper(True)
    try:
        yield
        reap(before)
    except BaseException:
        for pid in descendants(os.getpid()) - before:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap(before)
        raise
    finally:
        set_subreaper(False)


def set_subreaper(on: bool) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap(before: set[int]) -> None:
    """Wait for the processes that a command left behind."""
    until_s = time.monotonic() + END_S
    while left := descendants(os.getpid()) - before:
        for pid in left:
            with suppress(ChildProcessError):  # its parent is still alive
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > until_s:
            raise SystemExit(f"Processes still run {END_S:g} s after the command ended: {sorted(left)}")
        time.sleep(0.005)


def descendants(pid: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        with suppress(OSError, ValueError):
            parent = int(Path("/proc", str(int(entry)), "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    ahead = [pid]
    while ahead:
        below = children.get(ahead.pop(), [])
        found.update(below)
        ahead += below
    return found


def pss_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def account_figures(stderr: str) -> dict[str, float]:
    """Figures from the closing account in the JSON log lines; empty if there is none."""
    for line in reversed(stderr.splitlines()):
        with suppress(ValueError):
            fields = json.loads(line)
            if isinstance(fields, dict) and fields.get("message") == "account" and "ready_s" in fields:
                busy_s = fields["elapsed_s"] - fields["ready_s"]
                rate = {"clips_per_s": fields["results"] / busy_s} if busy_s > 0 else {}
                return {"ready_s": fields["ready_s"], **rate}
    return {}


def title(build: Build) -> str:
    return f"{build.name} ({build.title})"
