"""How fast is each backend and precision, and how much memory does it need?

    python -m benchmarks.engines [--rounds 5] [--seconds 2] [--threads N] [--quick]

Backend × precision × batch {1, 8, 16} × percept-mini's towers, CLIP ViT-B/32 and ViT-B/16 with random weights: items/s,
seconds to load, memory, gate. Each engine runs in its own process; the engines of a network are timed in turn. The
headline figure is OpenVINO bf16 over ONNX Runtime fp32 on ViT-B/32 at batch 8, the median of the ratios within rounds.
"""

import argparse
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import media, report
from benchmarks.naive import make_model, quantized
from engines.backends.table import Candidate, Settings
from engines.building.bench import Timing
from engines.building.choice import Choice, build_all, networks, order_for
from engines.models.checkpoint import read_model
from pipeline import machine
from pipeline.errors import ModelError

HEADLINE = ("clip-b32", 8)
MB = 1 << 20


@dataclass(frozen=True)
class TimingPlan:
    """Durations, batch sizes and threads."""

    rounds: int
    seconds: float
    """Duration per engine, batch size and round."""
    batches: tuple[int, ...]
    threads: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="only ViT-B/32, one short round, no results file")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    plan = TimingPlan(options.rounds, options.seconds, (1, 8, 16), options.threads)
    if options.quick:
        plan = TimingPlan(1, 0.1, (1, 8), options.threads)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = media.looped(folder / "short.mp4", 40.0, media.SAMPLE)
        models = {"clip-b32": make_model(folder, 32)}
        if not options.quick:
            models |= {"clip-b16": make_model(folder, 16), "percept-mini": Path("percept-mini")}
        for title, model in models.items():
            if not options.quick:
                quantized(str(model), str(video))
            rows += of_model(title, str(model), plan)
    for row in (HEADS, *map(cells, rows)):
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, WIDTHS, strict=True)))
    figures = {"threads": plan.threads, "rows": rows} | headline(rows)
    if options.quick:
        print({key: value for key, value in figures.items() if key != "rows"})
        return
    report.write("engines", figures)


def of_model(title: str, model: str, plan: TimingPlan) -> list[dict[str, Any]]:
    """A row for every available engine of every tower's network, also if its gate failed."""
    run = Settings("auto", "auto", "auto", plan.threads, str(machine.cache_directory()))
    choices = list(build_all(model, "", (), run, lambda text: print(f"  {text}", file=sys.stderr)))
    rows: list[dict[str, Any]] = []
    for towers, tower in networks(read_model(model)):
        mine = [choice for choice in choices if choice.towers == towers and not choice.reason]
        rows += [
            {"model": title, "towers": "+".join(towers), **row} for row in of_network(tower.directory, mine, run, plan)
        ]
    return rows


def of_network(directory: str, choices: Sequence[Choice], run: Settings, plan: TimingPlan) -> list[dict[str, Any]]:
    """A row for every engine of one network, with its rates by batch size, one per round.

    All engines are open at once, each in its own process.
    """
    rows: list[dict[str, Any]] = []
    sides: dict[str, Timing] = {}
    with contextlib.ExitStack() as stack:
        for choice in choices:
            backend, _, precision = choice.engine.partition("-")
            candidate = Candidate(backend, precision, choice.device)
            order = order_for(choice.network, directory, candidate, run.cache_directory, plan.threads)
            timing = stack.enter_context(Timing(order, backend))
            try:
                opened = timing.open()
            except ModelError as error:
                print(f"  {error}", file=sys.stderr)
                continue
            sides[choice.engine] = timing
            gate = msgspec.to_builtins(choice.gate) if choice.gate else None
            rows.append({"engine": choice.engine, "device": choice.device, "load_s": opened.load_s, "gate": gate})
        memory = dict.fromkeys(sides, 0)

        def rate(name: str, batch: int) -> float:
            timed = sides[name].time(batch, plan.seconds)
            memory[name] = max(memory[name], timed.memory_bytes)
            return timed.items_per_s

        rates = {
            batch: report.rounds(plan.rounds, {name: partial(rate, name, batch) for name in sides})
            for batch in plan.batches
        }
    for row in rows:
        row["memory_mb"] = memory[row["engine"]] / MB
        row["items_per_s"] = {str(batch): rates[batch][row["engine"]] for batch in plan.batches}
    return rows


def headline(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """ViT-B/32 at batch 8: pictures per second, and ratios to ONNX Runtime fp32 in the same rounds."""
    model, batch = HEADLINE
    rates = {row["engine"]: row["items_per_s"][str(batch)] for row in rows if row["model"] == model}
    figures: dict[str, Any] = {}
    for name, values in rates.items():
        key = name.replace("-", "_")
        figures[key] = report.min_median_max(values)
        if name != "onnxruntime-fp32":
            figures[f"{key}_ratio"] = report.ratios(values, rates["onnxruntime-fp32"])
    return figures


HEADS = ("model", "towers", "engine", "batch 1", "batch 8", "batch 16", "load s", "MB", "passed", "centred", "top-1")
WIDTHS = (12, 12, 16, 8, 8, 8, 6, 5, 6, 7, 5)


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    rates = [row["items_per_s"].get(str(batch), []) for batch in (1, 8, 16)]
    medians = [f"{report.min_median_max(values)['median']:.1f}" if values else "-" for values in rates]
    gate = row["gate"]
    worst = min(gate["figures"], key=lambda each: each["centred_cosine"]) if gate else {}
    held = ("-", "-", "-")
    if gate:
        top1 = "-" if worst["top1"] is None else f"{100 * worst['top1']:.0f} %"
        held = ("yes" if gate["passed"] else "no", f"{worst['centred_cosine']:.4f}", top1)
    what = row["model"], row["towers"], row["engine"]
    return (*what, *medians, f"{row['load_s']:.1f}", f"{row['memory_mb']:.0f}", *held)


if __name__ == "__main__":
    main()
