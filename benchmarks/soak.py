"""Does anything grow while cameras are watched for a day? Fails if so.

    python -m benchmarks.soak [--hours 24 | --minutes 20] [--cameras 4] [--clips FOLDER] [--csv FILE]

Every 10 s: the age of the newest answers, and memory (PSS), descriptors, threads, processes and disk of the whole tree
of `percept watch`. The slope of each over the second part of the run (after 10 minutes, or a quarter of a shorter run)
comes with its 95 % interval. A slope fails if its interval lies above zero and its value above the bound: then
something grows, and not only by chance. Ends with 1 if any fails.

Of the state folder, only what is neither results nor media counts here: the length of those is bounded by retention.
"""

import argparse
import csv
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.farm import Farm, prepared
from benchmarks.process_tree import TreeSampler
from benchmarks.slope import percentile, slope
from benchmarks.watch import WORDS
from benchmarks.watched import Watched, end_of, is_result

EVERY_S = 10.0
BOUNDS: dict[str, tuple[float, str]] = {
    "age_s": (0.01, "s"),
    "memory_mb": (1.0, "MB"),
    "descriptors": (0.1, ""),
    "threads": (0.05, ""),
    "processes": (0.02, ""),
    "disk_mb": (0.5, "MB"),
}
"""Growth per minute that is accepted, and its unit."""


@dataclass(frozen=True)
class Row:
    """One line of the samples."""

    at_s: float
    age_s: float
    """Median of the answers since the last sample; NaN without any."""
    memory_mb: float
    descriptors: int
    threads: int
    processes: int
    disk_mb: float
    """Of the state folder without its results files and pictures, which retention bounds."""
    results: int
    drops: int
    errors: int


def other_bytes(state: Path) -> int:
    """Size of the state folder without results and media."""
    total = 0
    for path in state.rglob("*"):
        if path.relative_to(state).parts[0] in ("results", "media"):
            continue
        try:
            total += path.stat().st_blocks * 512 if path.is_file() else 0
        except OSError:
            continue
    return total


def judged(rows: list[Row], from_s: float) -> dict[str, dict[str, Any]]:
    """The slope of every quantity from an instant on, and whether it is accepted."""
    found: dict[str, dict[str, Any]] = {}
    for name, (bound, unit) in BOUNDS.items():
        inside = [(row.at_s, float(getattr(row, name))) for row in rows if row.at_s >= from_s]
        inside = [(at_s, value) for at_s, value in inside if value == value]
        grown = slope([at_s for at_s, _ in inside], [value for _, value in inside])
        grows = grown["low"] > 0 and grown["value"] > bound
        found[name] = grown | {
            "bound": bound,
            "unit": unit,
            "ok": not grows,
            "first": inside[0][1],
            "last": inside[-1][1],
        }
    return found


def show(found: dict[str, dict[str, Any]]) -> None:
    for name, each in found.items():
        interval = f"{each['value']:+.4f} [{each['low']:+.4f}, {each['high']:+.4f}] {each['unit']} a minute"
        state = "ok  " if each["ok"] else "GROWS"
        print(f"{state:5} {name:12} {each['first']:10.2f} -> {each['last']:10.2f}   {interval}; bound {each['bound']}")


def watch_for(seconds: float, count: int, clips: str, path: Path) -> list[Row]:
    """Watch a farm and write a row per sample as it is taken."""
    named = prepared(count, clips)
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Farm(named) as farm,
        path.open("w", newline="") as file,
    ):
        entries = [{"name": name, "url": farm.url(name)} for name in named]
        settings = {"labels": WORDS.split(", "), "cameras": entries, "keep": {"gigabytes": 1.0}}
        with Watched(Path(folder), settings) as watch, TreeSampler(watch.pid, every_s=1e9) as tree:
            watch.wait_for(list(named), 120)
            table = csv.DictWriter(file, list(Row.__dataclass_fields__))
            table.writeheader()
            began_s = time.monotonic()
            while time.monotonic() < began_s + seconds:
                seen = watch.follow(EVERY_S, every_s=0.2)
                watch.lines.clear()
                ages = [at_s - end_of(line) for at_s, line in seen if is_result(line)]
                sample = tree.sample()
                row = Row(
                    at_s=time.monotonic() - began_s,
                    age_s=percentile(ages, 50),
                    memory_mb=sample.memory_mb,
                    descriptors=sample.descriptors,
                    threads=sample.threads,
                    processes=sample.processes,
                    disk_mb=other_bytes(watch.state) / 1e6,
                    results=len(ages),
                    drops=sum(bool(line.get("dropped")) for _, line in seen),
                    errors=sum(bool(line.get("error")) for _, line in seen),
                )
                table.writerow({name: round(value, 4) for name, value in asdict(row).items()})
                file.flush()
                rows.append(row)
                if len(rows) % 30 == 0:
                    print(f"  {row.at_s / 60:.0f} min: age {row.age_s:.2f} s, {row.memory_mb:.0f} MB", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--minutes", type=float, help="instead of hours")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--clips", default="", metavar="FOLDER")
    parser.add_argument("--csv", type=Path, default=Path("soak.csv"))
    options = parser.parse_args()
    seconds = options.minutes * 60 if options.minutes else options.hours * 3600
    rows = watch_for(seconds, options.cameras, options.clips, options.csv)
    found = judged(rows, min(600.0, seconds / 4))
    totals = {name: sum(getattr(row, name) for row in rows) for name in ("results", "drops", "errors")}
    print(f"{seconds / 60:.0f} minutes, {options.cameras} cameras: {totals}; samples are in {options.csv}")
    show(found)
    report.write("soak", {"minutes": seconds / 60, "cameras": options.cameras, **totals, "slopes": found})
    sys.exit(0 if all(each["ok"] for each in found.values()) else 1)


if __name__ == "__main__":
    main()
