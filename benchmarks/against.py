"""Is this checkout faster, smaller or different from one of its commits?

    python -m benchmarks.against COMMIT [--runs 5] [--json FILE] -- run talk.mp4 --labels "dog, rain" -o {out}

The arguments after `--` go to the command `percept` of both builds: `this`, the checkout as it is, and `that`, the
commit. Each build is installed from its own constraints.txt into a folder under ~/.cache/percept-against
(benchmarks/against_build.py describes it; delete it to free the space) and has its own engine cache, which the warm-up
fills. `{out}` becomes a new file in each run; without it, the output of the command is compared as its results.

Runs are made in pairs, and the order of the builds alternates from pair to pair, so that a drift of the machine's speed
affects both equally. Ratios are this / that within a pair. The figures of a run:

    wall_s        from the start of the command to its end
    cpu_s         user and system time of all its processes, including killed and orphaned ones
    ready_s       until all workers had loaded, from the account that --log-json prints
    clips_per_s   from then to the end, from the same account
    peak_mb       proportional memory (PSS) of all its processes together: the largest sample, taken every 50 ms or as
                  often as the system allows; sampling slows a run down, so memory is measured in separate pairs
"""

import argparse
import datetime
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.against_build import (
    Build,
    Call,
    alone_in,
    checked,
    checkout_root,
    committed,
    make_build,
    working_tree,
)
from benchmarks.against_run import Run, run, title

UNITS = {"wall_s": "wall time, s", "cpu_s": "CPU time, s", "ready_s": "until ready, s"}
UNITS |= {"clips_per_s": "clips per second", "peak_mb": "peak memory, MB"}
IGNORED = "engine,engine_reason,schema_version"
TOLERANCE = 1e-3


def main(given: Sequence[str] | None = None, call: Call = checked) -> None:
    """Compare two builds and print a table; `call` runs each step of an installation."""
    given = sys.argv[1:] if given is None else given
    parser = make_parser()
    split = given.index("--") if "--" in given else len(given)
    arguments = list(given[split + 1 :])
    if not arguments and not {"-h", "--help"} & {*given}:
        parser.error("nothing to run. Give percept's arguments after --, for example: HEAD~1 -- run talk.mp4 -o {out}")
    options = parser.parse_args(given[:split])
    if min(options.runs - 1, options.warmup, options.memory_runs) < 0:
        parser.error("--runs must be at least 1, --warmup and --memory-runs at least 0")
    root = checkout_root(Path.cwd())
    with alone_in(options.folder.expanduser().resolve()) as cache:
        sources = {"this": working_tree(root, cache), "that": committed(root, options.commit, cache)}
        builds = [make_build(name, source, cache, options.extras, call) for name, source in sources.items()]
        here = machine()
        pairs = measure(builds, arguments, options)
    compared = compare(pairs[0]["this"].results, pairs[0]["that"].results, set(options.ignore.split(",")))
    found = ratios([{name: run.figures for name, run in pair.items()} for pair in pairs])
    print(table(builds, found))
    print(f"\nResults: {compared}.")
    print("Medians over pairs of runs on {cores} cores ({processor}), Python {python}, load {load:.1f}.".format(**here))
    if options.json:
        figures: dict[str, Any] = {"benchmark": "against", "machine": here, "arguments": arguments, "results": compared}
        figures["builds"] = {build.name: {"title": build.title, "packages": build.packages} for build in builds}
        figures["ratios"] = {name: asdict(each) for name, each in found.items()}
        figures["pairs"] = [{name: run.figures for name, run in pair.items()} for pair in pairs]
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.against",
        usage="%(prog)s COMMIT [options] -- ARGUMENTS OF PERCEPT",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "percept-against"
    parser.add_argument("commit", metavar="COMMIT")
    parser.add_argument("--runs", type=int, default=5, help="timed pairs; 6 give a 95 %% interval (default: 5)")
    parser.add_argument("--memory-runs", type=int, default=3, help="pairs with sampled memory (default: 3)")
    parser.add_argument("--warmup", type=int, default=1, help="pairs before these that do not count (default: 1)")
    parser.add_argument("--extras", default="openvino,decord", help="extras to install (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=cache, help="folder for the builds (default: %(default)s)")
    parser.add_argument("--ignore", default=IGNORED, help="result keys not to compare (default: %(default)s)")
    parser.add_argument("--timeout-s", type=float, default=3600.0, help="limit for one run (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    return parser


def measure(builds: Sequence[Build], arguments: list[str], options: argparse.Namespace) -> list[dict[str, Run]]:
    """Pairs of runs by the builds' names: first the timed pairs, then those with sampled memory."""
    if "--log-json" not in arguments and all(accepts_log_json(build, arguments) for build in builds):
        arguments = [*arguments, "--log-json"]
    for build in [*builds] * options.warmup:
        print(f"warming up {title(build)}", file=sys.stderr)
        run(build, arguments, options.timeout_s)
    pairs: list[dict[str, Run]] = []
    count = options.runs + options.memory_runs
    for number in range(count):
        sampled = number >= options.runs
        order = in_turn(builds, number)
        pairs.append({build.name: run(build, arguments, options.timeout_s, sampled) for build in order})
        summary = "; ".join(f"{name} {shown(made.figures)}" for name, made in pairs[-1].items())
        print(f"pair {number + 1} of {count}: {summary}", file=sys.stderr)
    return pairs


def in_turn(builds: Sequence[Build], number: int) -> Sequence[Build]:
    """The builds in alternating order: this that, that this, this that, …"""
    return builds if number % 2 == 0 else builds[::-1]


def accepts_log_json(build: Build, arguments: list[str]) -> bool:
    command = [str(build.script), *arguments, "--help"]
    done = subprocess.run(
        command, env=build.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    return "--log-json" in done.stdout


@dataclass(frozen=True)
class Ratio:
    """this / that of one figure over pairs of runs."""

    this: float
    """Median."""
    that: float
    median: float
    least: float
    greatest: float
    low: float
    """The interval contains the true median with probability `confidence`, for any distribution (order statistics)."""
    high: float
    confidence: float


def ratios(pairs: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Ratio]:
    """The ratio of each figure, over the pairs in which both builds report a value above 0."""
    found = {}
    for figure in UNITS:
        values = [(pair["this"].get(figure, 0.0), pair["that"].get(figure, 0.0)) for pair in pairs]
        if whole := [both for both in values if min(both) > 0]:
            found[figure] = ratio(*zip(*whole, strict=True))
    return found


def ratio(this: Sequence[float], that: Sequence[float]) -> Ratio:
    """The ratio of values measured in the same pairs."""
    each = sorted(a / b for a, b in zip(this, that, strict=True))
    low, high, confidence = median_interval(each)
    middle = statistics.median
    return Ratio(middle(this), middle(that), middle(each), each[0], each[-1], low, high, confidence)


def median_interval(ordered: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """The narrowest pair of order statistics that contains the median with this confidence, and its actual confidence.

    Fewer than 6 values do not reach 95 %; the pair is then the minimum and the maximum.
    """
    count = len(ordered)
    reached = [1 - 2 * sum(math.comb(count, below) for below in range(k + 1)) / 2**count for k in range(count // 2)]
    skipped = max((k for k, held in enumerate(reached) if held >= confidence), default=0)
    return ordered[skipped], ordered[-1 - skipped], reached[skipped] if reached else 0.0


def compare(this: str, that: str, ignored: set[str]) -> str:
    """One line about how far two results agree."""
    if not this and not that:
        return "no results to compare"
    try:
        ours, theirs = ([json.loads(line) for line in text.split("\n") if line] for text in (this, that))
    except ValueError:
        return f"{'equal' if this == that else 'not equal'}; compared as text, because they are not JSON lines"
    exact = near = 0
    first = ""
    for number, (a, b) in enumerate(zip(ours, theirs, strict=False), 1):
        unlike = list(differences(dict(leaves(a, ignored)), dict(leaves(b, ignored))))
        apart = [text for text, close in unlike if not close]
        exact += not unlike
        near += not apart
        if apart and not first:
            first = f"; the first difference is in record {number} at {apart[0]}"
    count = f"{len(ours)}" if len(ours) == len(theirs) else f"{len(ours)} against {len(theirs)}"
    return f"{near} of {count} records equal within {TOLERANCE}, {exact} of them exactly{first}"


def leaves(value: Any, ignored: set[str], path: str = "$") -> Iterator[tuple[str, Any]]:
    """Yields every value without inner values, with its path."""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = [(f"{path}.{key}", item) for key, item in value.items() if key not in ignored]
    elif isinstance(value, list):
        inner = [(f"{path}[{number}]", item) for number, item in enumerate(value)]
    for place, item in inner:
        yield from leaves(item, ignored, place)
    if not inner:
        yield path, {} if isinstance(value, dict) else value


def differences(this: dict[str, Any], that: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yields each difference as text, and whether it is within the tolerance; integers must be equal."""
    for path in this | that:
        a, b = (side.get(path, "nothing") for side in (this, that))
        if a != b:
            numbers = {type(a), type(b)} in ({float}, {float, int})
            yield f"{path}: {a} against {b}", numbers and abs(a - b) <= TOLERANCE


def shown(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def table(builds: Sequence[Build], found: dict[str, Ratio]) -> str:
    rows = [("figure", *(title(build) for build in builds), "this / that", "min–max", "interval of the median")]
    for name, each in found.items():
        interval = f"{each.low:.3f}–{each.high:.3f} ({each.confidence:.0%})"
        spread = f"{each.least:.3f}–{each.greatest:.3f}"
        rows.append((UNITS[name], f"{each.this:.4g}", f"{each.that:.4g}", f"{each.median:.3f}", spread, interval))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
