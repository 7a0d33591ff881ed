"""How old are the answers of `percept watch`, and how many cameras does it keep up with, against a plain script?

    python -m benchmarks.watch [--cameras 8] [--minutes 10] [--clips FOLDER] [--only percept|plain]
                               [--search] [--labels-only]

Both sides watch the same farm, one after the other: paced 720p cameras with 25 pictures a second and sound over RTSP,
every other one still. `--search` looks for the most cameras that each side keeps below 3 s: p99 of the age, and no
still camera loses a clip. How many clips of the moving ones are dropped for that is told; and the most cameras of which
99 % of all clips have an answer (95 % of each camera's) besides. `--minutes 1` is a trial.

What is known is written after each part to `benchmarks/results/watch.json`; the other parts stay as they are there.
Both do the same work per clip: labels by picture, motion and sound, and tracks; with `--labels-only` neither detects
nor tracks. Beyond that, `percept watch` measures, makes events, and writes results, history and snapshots; what the
plain script does is said in `benchmarks/plain_watch.py`. The networks' engines are built beforehand.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.farm import Farm, prepared
from benchmarks.watch_sides import Outcome, percept_side, plain_side

WORDS = "dog, person, car, street, applause, music, people talking, siren, rain, playing drums"
MOST_AGE_S = 3.0
WARM_UP_S = 20.0
ROWS: tuple[tuple[str, Callable[[Outcome], str]], ...] = (
    ("cameras", lambda each: f"{each.cameras}"),
    ("age, p50", lambda each: f"{each.age_p50_s:.2f} s"),
    ("age, p99", lambda each: f"{each.age_p99_s:.2f} s"),
    ("age of still cameras, p99", lambda each: f"{each.age_p99_of_still_s:.2f} s"),
    ("slope of age per minute", lambda each: interval(each.age_slope_s_per_minute, "s")),
    ("clips with an answer", lambda each: f"{each.share_kept:.1%}"),
    ("… of the camera with the fewest", lambda each: f"{each.least_kept:.1%}"),
    ("drops", lambda each: ", ".join(f"{name} {count}" for name, count in each.drops.items()) or "0"),
    ("drops of still cameras", lambda each: f"{each.drops_of_still}"),
    ("errors", lambda each: f"{each.errors}"),
    ("answers that were reused", lambda each: f"{each.reused} of {each.results}"),
    ("cores in use", lambda each: f"{each.cores:.2f}"),
    ("cores in use by the farm", lambda each: f"{each.farm_cores:.2f}"),
    ("memory (PSS), most", lambda each: f"{each.memory_mb:.0f} MB"),
    ("slope of memory per minute", lambda each: interval(each.memory_slope_mb_per_minute, "MB")),
)


def interval(slope: dict[str, float], unit: str) -> str:
    return f"{slope['value']:+.3f} [{slope['low']:+.3f}, {slope['high']:+.3f}] {unit}" if slope else "unknown"


def show(outcomes: list[Outcome]) -> None:
    """One table with a column per outcome."""
    columns = [[each.side, *(text(each) for _, text in ROWS)] for each in outcomes]
    names = ["", *(name for name, _ in ROWS)]
    widths = [max(map(len, column)) for column in [names, *columns]]
    for cells in zip(names, *columns, strict=True):
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    for each in outcomes:
        if each.note:
            print(f"{each.side}: {each.note}")


def keep(figures: dict[str, Any]) -> None:
    """Write figures beside those that are there already."""
    path = report.RESULTS / "watch.json"
    before = json.loads(path.read_text()) if path.is_file() else {}
    report.write(
        "watch", {key: value for key, value in before.items() if key not in ("benchmark", "machine")} | figures
    )


class Sides:
    """Runs either side on a farm of any size."""

    def __init__(self, clips: str, with_tracks: bool) -> None:
        self._clips = clips
        self.with_tracks = with_tracks

    def run(self, side: str, count: int, seconds: float) -> Outcome:
        named = prepared(count, self._clips)
        with Farm(named) as farm, tempfile.TemporaryDirectory() as folder:
            if side == "percept":
                return percept_side(
                    farm, list(named), WORDS, seconds, WARM_UP_S, Path(folder), with_tracks=self.with_tracks
                )
            return plain_side(farm, list(named), WORDS, seconds, WARM_UP_S, self.with_tracks)

    def trial(self, side: str, count: int, seconds: float) -> Outcome:
        try:
            outcome = self.run(side, count, seconds)
        except SystemExit as error:  # some camera never gave a result
            outcome = Outcome(side, count, seconds, note=str(error)[:300])
        facts = f"p99 {outcome.age_p99_s:.2f} s, answers {outcome.share_kept:.1%} ({outcome.least_kept:.1%})"
        kept = [name for name, criterion in CRITERIA.items() if criterion(outcome)]
        print(f"  {side}, {count} cameras: {facts}: {' and '.join(kept) or 'too old'}", flush=True)
        return outcome


def is_young(outcome: Outcome) -> bool:
    """Answers are young, and no still camera has lost a clip."""
    return bool(outcome.results) and outcome.age_p99_s < MOST_AGE_S and not outcome.drops_of_still


CRITERIA: dict[str, Callable[[Outcome], bool]] = {
    "young": is_young,
    "answered": lambda outcome: outcome.keeps(MOST_AGE_S),
}


def largest(keeps: Callable[[int], bool], first: int, most: int = 128) -> int:
    """The largest even number for which `keeps` holds, if it holds for all smaller ones; 0 if for none."""
    low, high = 0, max(2, first - first % 2)
    while high <= most and keeps(high):
        low, high = high, high * 2
    high = min(high, most + 2)
    while high - low > 2:
        middle = (low + high) // 4 * 2
        if keeps(middle):
            low = middle
        else:
            high = middle
    return low


def search(sides: Sides, names: list[str], first: int, seconds: float) -> None:
    found: dict[tuple[str, str], int] = {}
    suffix = "" if sides.with_tracks else "_labels_only"
    for name in names:
        trials: dict[int, Outcome] = {}

        def keeps(count: int, criterion: str, side: str = name, known: dict[int, Outcome] = trials) -> bool:
            if count not in known:
                known[count] = sides.trial(side, count, seconds)
            return CRITERIA[criterion](known[count])

        for criterion in CRITERIA:
            most = found[name, criterion] = largest(lambda count, each=criterion: keeps(count, each), first)
            print(f"{name}: {most} cameras are {criterion}")
            keep({f"{name}_most_{criterion}{suffix}": most})
        keep({f"{name}_trials{suffix}": [each.plain() for each in trials.values()]})
    for criterion in CRITERIA:
        if found.get(("plain", criterion)) and ("percept", criterion) in found:
            ratio = found["percept", criterion] / found["plain", criterion]
            print(f"{ratio:.1f} times as many {criterion} cameras as the plain script")
            keep({f"{criterion}_ratio{suffix}": ratio})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clips", default="", metavar="FOLDER", help="real clips; without it: the bundled sample")
    parser.add_argument("--only", choices=["percept", "plain"])
    parser.add_argument("--labels-only", action="store_true", help="neither side detects and tracks")
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--trial-seconds", type=float, default=60.0)
    options = parser.parse_args()
    subprocess.run([sys.executable, "-m", "commands.main", "engine", "build", "--quiet"], check=True, timeout=1800)
    sides = Sides(options.clips, with_tracks=not options.labels_only)
    names = [options.only] if options.only else ["percept", "plain"]
    if options.search:
        search(sides, names, options.cameras, options.trial_seconds)
        return
    outcomes = []
    for name in names:
        outcome = sides.run(name, options.cameras, options.minutes * 60)
        outcomes.append(outcome)
        figures = {f"{name}_{key}": value for key, value in outcome.plain().items()}
        keep({f"{name}_with_tracks": not options.labels_only} | figures)
    show(outcomes)


if __name__ == "__main__":
    main()
