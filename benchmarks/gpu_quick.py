"""What does a GPU bring, in four minutes: whole films, the share of the encoder's speed, and the wait for labels.

    python -m benchmarks.gpu --quick

Every step is a process, which is ended when its time is over. What was measured until then stays, and is written after
each step. What matters most comes first: where time runs out, the last steps are left out.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import gpu, media, report

LEAST_S = 5.0
"""A step with less time is not begun."""
BEFORE_X = 51.0
"""Times real time of eight films on an H200 with 16 cores, when films were decoded on the CPU."""
SECONDS = 8.0
"""Length of one measurement; of paced sources it is half as much more."""
LEAST_PACED_S = 6.0
"""The first clip of 2 s is for warming up."""
MEDIA = "media"

Figures = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """limit_s: after which it is ended. shown, wanted: the figure in the table, and what it should be on an H200."""

    limit_s: float
    measure: Callable[[gpu.Bench], Figures]
    shown: str
    wanted: str = ""


def films(height: int, count: int, decode: str = "") -> Callable[[gpu.Bench], Figures]:
    """Measures films with percept-mini from beginning to end. decode: what decodes; by default the GPU, if it can."""

    def measured(bench: gpu.Bench) -> Figures:
        options, chosen = bench.options, decode or gpu.decoder(bench.options.device)
        paths = gpu.videos(bench.folder / str(height))[:count]
        command = [sys.executable, "-m", "commands.main", "run", *paths, "-c", "gpu", "--device", options.device]
        done = report.execute([*command, "--set", f"decode.device={chosen}", "-o", "/dev/null"])
        media_s, elapsed_s, ready_s = (report.field(done.stderr, name) for name in ("media_s", "elapsed_s", "ready_s"))
        return {
            "x_real_time": round(media_s / (elapsed_s - ready_s), 1),
            "media_s": media_s,
            "ready_s": ready_s,
            "elapsed_s": elapsed_s,
            "mean_batch": report.field(done.stderr, "mean_batch_model"),
            "decoded_on": chosen,
            "in_software": done.stderr.count("in software: "),
        }

    return measured


def made(bench: gpu.Bench) -> Figures:
    """Make all media and the model, unless they are there."""
    for height, count in ((720, 8), (1080, 4)):
        folder, width = bench.folder / str(height), height * 16 // 9
        short = bench.folder / f"{height}p.mp4"
        size = {"width": width // bench.shrink, "height": height // bench.shrink // 2 * 2}
        gpu.made_once(short, partial(media.scaled, **size))
        gpu.made_once(folder, partial(filled, short=short, count=count, seconds=bench.options.file_seconds))
    return {}


def filled(folder: Path, short: Path, count: int, seconds: float) -> None:
    """A folder of equal films."""
    folder.mkdir()
    first = media.looped(folder / "0.mp4", seconds, short)
    for number in range(1, count):
        shutil.copy(first, folder / f"{number}.mp4")


def encoder(bench: gpu.Bench) -> Figures:
    return {"clips_per_s": round(bench.encoder(), 2)}


def kept(workers: int) -> Callable[[gpu.Bench], Figures]:
    def measured(bench: gpu.Bench) -> Figures:
        alone = read(bench.folder, "encoder").get("clips_per_s")
        return bench.kept(alone, workers) if alone else {"skipped": "the encoder alone was not measured"}

    return measured


def delay(sources: int) -> Callable[[gpu.Bench], Figures]:
    def measured(bench: gpu.Bench) -> Figures:
        bench.options.seconds = max(LEAST_PACED_S, 1.5 * bench.options.seconds)
        return bench.delay(sources)

    return measured


STEPS: dict[str, Step] = {
    MEDIA: Step(90, made, ""),
    "films_720": Step(90, films(720, 8), "x_real_time", f">= {4 * BEFORE_X:.0f}"),
    "encoder": Step(60, encoder, "clips_per_s"),
    "fraction_1": Step(40, kept(1), "fraction", ">= 0.85"),
    "delay_32": Step(50, delay(32), "labels_p99_ms", "< 3000"),
    "films_1080": Step(40, films(1080, 4), "x_real_time"),
    "delay_8": Step(35, delay(8), "labels_p99_ms"),
    "delay_1": Step(35, delay(1), "labels_p99_ms"),
    "films_720_cpu": Step(60, films(720, 8, "cpu"), "x_real_time", "(decoded on the CPU)"),
    "fraction_2": Step(40, kept(2), "fraction", ">= 0.85"),
}
"""The steps in order."""


def run(options: argparse.Namespace) -> None:
    """All steps, or the one of this process."""
    if options.model == "l14":
        options.model = "b16"
    options.seconds = min(options.seconds, SECONDS)
    if options.step:
        one(options)
        return
    names = [name for name in STEPS if not options.steps or name in options.steps.split(",")]
    with folder_of(options.folder) as folder:
        began = time.monotonic()
        found: dict[str, Figures] = {}
        for name in names:
            left_s = options.budget - (time.monotonic() - began)
            found[name] = bounded(command(name, folder, options), min(STEPS[name].limit_s, left_s), folder, name)
            write(about(options) | found, place(options))
            print(
                f"{time.monotonic() - began:5.0f} s: {name} {trouble(found[name]) or 'done'}",
                flush=True,
            )
    print(table(found, time.monotonic() - began))
    print(f"written to {place(options)}")


def write(figures: Figures, path: Path) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"machine": report.machine(), **figures}, indent=1) + "\n")
    part.replace(path)


def place(options: argparse.Namespace) -> Path:
    """Where the figures are written after every step."""
    return (
        options.output
        or (report.RESULTS if options.device != "cpu" else Path(tempfile.gettempdir())) / "gpu_quick.json"
    )


def about(options: argparse.Namespace) -> Figures:
    return {"benchmark": "gpu_quick", "device": options.device, "model": options.model}


@contextmanager
def folder_of(given: Path | None) -> Iterator[Path]:
    if given is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    given.mkdir(parents=True, exist_ok=True)
    yield given


def command(name: str, folder: Path, options: argparse.Namespace) -> list[str]:
    """The process of a step, with the options of this one."""
    given = {
        name: getattr(options, name)
        for name in (*("device", "model", "engine", "precision"), *("seconds", "file_seconds", "shrink"))
    }
    words = [word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "benchmarks.gpu", "--step", name, "--folder", str(folder), *words]


def one(options: argparse.Namespace) -> None:
    bench = gpu.Bench(options)
    bench.prepare(options.folder)
    figures = STEPS[options.step].measure(bench)
    (options.folder / f"{options.step}.json").write_text(json.dumps(figures))


def bounded(command: Sequence[str], limit_s: float, folder: Path, name: str) -> Figures:
    """Run the process of a step, which writes its figures, for `limit_s` at most. What it started ends with it."""
    (folder / f"{name}.json").unlink(missing_ok=True)
    if limit_s < LEAST_S:
        return {"skipped": "no time was left"}
    began = time.monotonic()
    with subprocess.Popen(list(command), stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            _, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return read(folder, name) | {"skipped": f"ended after {limit_s:.0f} s"}
        except BaseException:  # such as Ctrl-C, which a process in a session of its own does not hear
            os.killpg(process.pid, signal.SIGKILL)
            raise
    figures = read(folder, name) | {"seconds": round(time.monotonic() - began, 1)}
    return figures | ({"skipped": errors[-2000:]} if process.returncode else {})


def read(folder: Path, name: str) -> Figures:
    """The figures of a step; none if there are none."""
    path = folder / f"{name}.json"
    figures: Figures = json.loads(path.read_text()) if path.exists() else {}
    return figures


def trouble(figures: Figures) -> str:
    """Why a step has no figures, or not all of them; "" if it has."""
    lines = str(figures.get("skipped", "")).strip().splitlines()
    return lines[-1][:60] if lines else ""


def table(found: dict[str, Figures], took_s: float) -> str:
    """One line per step: the figure, and what it should be."""
    rows = [("step", "figure", "wanted on an H200", "reached", "seconds")]
    for name, figures in found.items():
        step = STEPS[name]
        value = figures.get(step.shown, "" if step.shown else "made")
        reached = f"{value:.4g}" if isinstance(value, float | int) else str(value)
        seconds = str(figures.get("seconds", ""))
        rows.append((name, step.shown, step.wanted, trouble(figures) or reached, seconds))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, f"{took_s:.0f} s in all"])
