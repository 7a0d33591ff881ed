"""The results of a benchmark: figures with the machine and the versions they were measured on."""

import contextlib
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from pipeline.machine import core_count

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = (
    *("torch", "onnxruntime", "openvino", "nncf", "tensorrt", "tensorrt-rtx"),
    *("av", "numpy", "pyzmq", "msgspec", "opencv-python-headless", "transformers"),
)


def machine() -> dict[str, Any]:
    """Processor, cores, memory, Python, packages, date."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor(),
        "cores": core_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "packages": dict(installed()),
        "date": datetime.date.today().isoformat(),
        "load_average": os.getloadavg()[0],
    }


def installed() -> Iterator[tuple[str, str]]:
    """Yields the name and version of each of `PACKAGES` that is installed."""
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)


def write(name: str, figures: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"benchmark": name, "machine": machine(), **figures}, indent=1) + "\n")
    print(f"written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


def field(account: str, name: str) -> float:
    """A number from the closing account that `percept run` prints: `results=60`."""
    return float(re.findall(rf"\b{name}=([\d.]+)", account)[-1])


def clips_per_s(account: str) -> float:
    """Clips per second, from the moment all workers had loaded to the end."""
    return field(account, "results") / (field(account, "elapsed_s") - field(account, "ready_s"))


def min_median_max(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


@dataclass(frozen=True)
class Finished:
    """A process that ran to its end."""

    seconds: float
    stdout: str
    stderr: str
    peak_bytes: int = 0
    """Proportional memory (PSS) of the whole process tree at its highest sample."""
    memory: tuple[tuple[float, int], ...] = ()
    """(seconds, bytes) samples."""


def execute(command: Sequence[str], sample_memory: bool = False, timeout_s: float = 3600.0) -> Finished:
    """Run a command to its end.

    Raises:
        SystemExit: the command failed; the message contains the end of its stderr.
    """
    began = time.monotonic()
    with subprocess.Popen(
        list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    ) as process:
        samples: list[tuple[float, int]] = []
        while sample_memory and process.poll() is None and time.monotonic() - began < timeout_s:
            samples.append((time.monotonic() - began, tree_bytes(process.pid)))
            time.sleep(0.5)
        stdout, stderr = process.communicate(timeout=timeout_s)
    seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{stderr[-2000:]}")
    return Finished(seconds, stdout, stderr, max((size for _, size in samples), default=0), tuple(samples))


def tree_bytes(pid: int) -> int:
    """Proportional set size of a process and all its descendants; pages shared between them count once."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def pairs(count: int, ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Measure both sides in alternating order, so that a drift of the machine's speed affects both equally."""
    a, b = [], []
    for number in range(count):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            (a if side == 0 else b).append((ours if side == 0 else theirs)())
        print(f"  pair {number + 1}: {a[-1]:.3f} against {b[-1]:.3f}, ratio {a[-1] / b[-1]:.3f}", file=sys.stderr)
    return a, b


def rounds(count: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure every side once per round, in rotating order, so that a drift of speed affects all equally."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(count):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            found[name].append(sides[name]())
        latest = ", ".join(f"{name} {values[-1]:.3f}" for name, values in found.items())
        print(f"  round {number + 1}: {latest}", file=sys.stderr)
    return found


def ratios(a: Sequence[float], b: Sequence[float]) -> dict[str, float]:
    """Ratios of values measured in the same rounds."""
    return min_median_max([x / y for x, y in zip(a, b, strict=True)])
