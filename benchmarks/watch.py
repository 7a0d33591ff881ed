"""How old are the answers of `percept watch`, and how many cameras does it keep up with, against a plain script?

    python -m benchmarks.watch [--cameras 8] [--minutes 10] [--clips FOLDER] [--only percept|plain] [--search]

Both sides watch the same farm, one after the other: paced 720p cameras with 25 pictures a second and sound over RTSP,
every other one still. `--search` looks for the most cameras that each side keeps up with: p99 of the age below 3 s, and
an answer for 99 % of all clips (95 % of each camera's). `--minutes 1` is a trial.

What is known is written after each part to `benchmarks/results/watch.json`; the other parts stay as they are there.
The plain script is described in `benchmarks/plain_watch.py`. Here the networks' engines are built beforehand.
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
        self._with_tracks = with_tracks

    def run(self, side: str, count: int, seconds: float) -> Outcome:
        named = prepared(count, self._clips)
        with Farm(named) as farm, tempfile.TemporaryDirectory() as folder:
            if side == "percept":
                return percept_side(farm, list(named), WORDS, seconds, WARM_UP_S, Path(folder))
            return plain_side(farm, list(named), WORDS, seconds, WARM_UP_S, self._with_tracks)

    def most(self, side: str, first: int, seconds: float) -> tuple[int, list[Outcome]]:
        """The most cameras that a side keeps up with, in steps of two, and all trials."""
        trials: list[Outcome] = []

        def keeps(count: int) -> bool:
            try:
                outcome = self.run(side, count, seconds)
            except SystemExit as error:  # some camera never gave a result
                outcome = Outcome(side, count, seconds, note=str(error)[:300])
            trials.append(outcome)
            kept = outcome.keeps(MOST_AGE_S)
            facts = f"p99 {outcome.age_p99_s:.2f} s, answers {outcome.share_kept:.1%} ({outcome.least_kept:.1%})"
            print(f"  {side}, {count} cameras: {facts}: {'kept' if kept else 'not kept'}", flush=True)
            return kept

        return largest(keeps, first), trials


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
    found: dict[str, int] = {}
    for name in names:
        found[name], trials = sides.most(name, first, seconds)
        print(f"{name}: keeps up with {found[name]} cameras")
        keep({f"{name}_most_cameras": found[name], f"{name}_trials": [each.plain() for each in trials]})
    if len(found) == 2 and found["plain"]:
        ratio = found["percept"] / found["plain"]
        print(f"{ratio:.1f} times as many as the plain script")
        keep({"cameras_ratio": ratio})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clips", default="", metavar="FOLDER", help="real clips; without it: the bundled sample")
    parser.add_argument("--only", choices=["percept", "plain"])
    parser.add_argument("--tracks", action="store_true", help="the plain script detects and tracks, too")
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--trial-seconds", type=float, default=60.0)
    options = parser.parse_args()
    subprocess.run([sys.executable, "-m", "commands.main", "engine", "build", "--quiet"], check=True, timeout=1800)
    sides = Sides(options.clips, options.tracks)
    names = [options.only] if options.only else ["percept", "plain"]
    if options.search:
        search(sides, names, options.cameras, options.trial_seconds)
        return
    outcomes = []
    for name in names:
        outcome = sides.run(name, options.cameras, options.minutes * 60)
        outcomes.append(outcome)
        figures = {f"{name}_{key}": value for key, value in outcome.plain().items()}
        keep({f"{name}_with_tracks": options.tracks or name == "percept"} | figures)
    show(outcomes)


if __name__ == "__main__":
    main()
