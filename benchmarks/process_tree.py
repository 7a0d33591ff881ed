"""What a process and its descendants use: CPU time, memory, descriptors, threads."""

import threading
import time
from dataclasses import dataclass
from typing import Any, Self

import psutil

from benchmarks.slope import slope


@dataclass(frozen=True)
class Sample:
    """One look at a tree of processes."""

    at_s: float
    """On the monotonic clock."""
    cpu_s: float
    """Of all that were ever seen in the tree."""
    memory_mb: float
    """Proportional set size: shared pages count once."""
    descriptors: int
    threads: int
    processes: int


class TreeSampler:
    """Samples a tree in a thread of its own. A context manager. A sample itself costs some 10 ms per process."""

    def __init__(self, pid: int, every_s: float = 10.0) -> None:
        self._pid = pid
        self._every_s = every_s
        self._cpu_s: dict[int, float] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        while not self._end.is_set():
            sample = self.sample()
            if sample.processes:
                self.samples.append(sample)
            self._end.wait(self._every_s)

    def sample(self) -> Sample:
        memory, descriptors, threads, count = 0, 0, 0, 0
        for process in tree(self._pid):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    self._cpu_s[process.pid] = times.user + times.system
                    memory += process.memory_full_info().pss
                    descriptors += process.num_fds()
                    threads += process.num_threads()
                    count += 1
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return Sample(time.monotonic(), sum(self._cpu_s.values()), memory / 1e6, descriptors, threads, count)


def tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants; none if it has ended."""
    try:
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cores_used(samples: list[Sample], from_s: float) -> float:
    """Mean number of cores in use from an instant on."""
    inside = [each for each in samples if each.at_s >= from_s]
    if len(inside) < 2:
        return float("nan")
    return (inside[-1].cpu_s - inside[0].cpu_s) / (inside[-1].at_s - inside[0].at_s)


def growth(samples: list[Sample], field: str, from_s: float) -> dict[str, Any]:
    """Slope per minute of a field from an instant on, see `slope`; empty without enough samples."""
    inside = [each for each in samples if each.at_s >= from_s]
    try:
        return slope([each.at_s for each in inside], [getattr(each, field) for each in inside])
    except ValueError:
        return {}
