"""How fast is an archive labelled, and is anything lost or doubled when the process is killed?

    python -m benchmarks.archive [--files 48] [--rounds 3] [--kills 0]

The same files under 10 s, with an archive or a folder of results that is new in each round:

    label           percept label FOLDER
    run, together   percept run FOLDER, one command for all
    run, each       percept run FILE, one command per file, for every sixth file
    plain           benchmarks/plain_archive.py: the same towers and words, no detection, no tracks
    plain, tracks   the same with detection and tracks, as all others have them
    plain, torch    and with PyTorch to run the towers, as such scripts do
    every frame, key frames   percept label on three files of 2 min at 720p, without and with --keyframes

`x_real_time` is seconds of media by seconds of the whole command, loading included; `per_core` by its CPU seconds,
with those of all its processes. Sides take turns, and ratios are taken within a round. With `--kills N`, the labelling
of the files is killed (SIGKILL) N times at random moments and resumed each time; the rows are then compared with those
of an undisturbed archive.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from archive.shard import names_of_vectors, read_table, vectors_in
from benchmarks import archive_media, report
from benchmarks.against_run import children_cpu_s, orphans_adopted

PERCEPT = [sys.executable, "-m", "commands.main"]
WORDS = "dog barking, rain, people talking, playing guitar, sports"
HD_S = 120.0
EACH = 6
"""One command per file takes long: only one file in so many has its own."""
Figures = Callable[[], Mapping[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="percept-archive-") as name:
        folder = Path(name)
        if options.rounds:
            figures = rates(folder, options.files, options.rounds)
            report.write("archive", {"files": options.files, **figures})
        if options.kills:
            report.write("archive_kills", killed(folder, options.files, options.kills, random.Random(options.seed)))


def rates(folder: Path, files: int, rounds: int) -> dict[str, Any]:
    media_s = archive_media.short_files(folder / "short", files)
    outs = (folder / "out" / str(number) for number in count())
    short = str(folder / "short")
    sixth = sorted(Path(short).iterdir())[::EACH]
    sixth_s = sum(map(archive_media.length_s, sixth))
    sides = {
        "label": lambda: cost(media_s, label(short, next(outs))),
        "run, together": lambda: cost(media_s, run(short, next(outs))),
        "run, each": lambda: cost(sixth_s, *(run(str(path), next(outs)) for path in sixth)),
        "plain": lambda: cost(media_s, plain(short, next(outs))),
        "plain, tracks": lambda: cost(media_s, [*plain(short, next(outs)), "--tracks"]),
        "plain, torch": lambda: cost(media_s, [*plain(short, next(outs)), "--tracks", "--engine", "torch"]),
    }
    (folder / "out").mkdir()
    measured = measure(sides, rounds)
    if has_keyframes():
        hd_s = archive_media.long_files(folder / "hd", 3, HD_S)
        hd = str(folder / "hd")
        sides = {
            "every frame": lambda: cost(hd_s, label(hd, next(outs))),
            "key frames": lambda: cost(hd_s, [*label(hd, next(outs)), "--keyframes"]),
        }
        measured |= measure(sides, rounds)
    return {"media_s": round(media_s, 1)} | summary(measured)


def label(source: str, out: Path) -> list[str]:
    return [*PERCEPT, "label", source, "-o", str(out), "--labels", WORDS]


def run(source: str, out: Path) -> list[str]:
    return [*PERCEPT, "run", source, "-o", f"{out}.jsonl", "--labels", WORDS]


def plain(source: str, out: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.plain_archive", source, str(out), "--labels", WORDS]


def has_keyframes() -> bool:
    return "--keyframes" in report.execute([*PERCEPT, "label", "--help"]).stdout


def cost(media_s: float, *commands: list[str]) -> dict[str, float]:
    """Seconds of media by wall seconds and by CPU seconds of these commands, one after another."""
    before_s, began_s = children_cpu_s(), time.monotonic()
    with orphans_adopted():
        for command in commands:
            report.execute(command)
    wall_s, cpu_s = time.monotonic() - began_s, children_cpu_s() - before_s
    return {"x_real_time": media_s / wall_s, "per_core": media_s / cpu_s}


def measure(sides: Mapping[str, Figures], rounds: int) -> dict[str, list[Mapping[str, float]]]:
    """The figures of every side, once per round, in rotating order, after a first round that does not count."""
    found: dict[str, list[Mapping[str, float]]] = {name: [] for name in sides}
    names = list(sides)
    for name in names:
        if name != "run, each":
            sides[name]()
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            found[name].append(sides[name]())
            values = ", ".join(f"{key} {value:.2f}" for key, value in found[name][-1].items())
            print(f"  round {number + 1}: {name}: {values}", file=sys.stderr)
    return found


RATIOS = (
    ("label", "run, together"),
    ("label", "run, each"),
    ("label", "plain"),
    ("label", "plain, tracks"),
    ("label", "plain, torch"),
    ("key frames", "every frame"),
)


def summary(measured: Mapping[str, list[Mapping[str, float]]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for side, found in measured.items():
        figures[side] = {key: report.min_median_max([each[key] for each in found]) for key in found[0]}
        medians = ", ".join(f"{key} {statistics.median(each[key] for each in found):.2f}" for key in found[0])
        print(f"{side}: {medians}")
    ratios: dict[str, Any] = {}
    for ours, theirs in RATIOS:
        if ours in measured and theirs in measured:
            pairs = list(zip(measured[ours], measured[theirs], strict=True))
            both = {key: report.min_median_max([a[key] / b[key] for a, b in pairs]) for key in pairs[0][0]}
            ratios[f"{ours} / {theirs}"] = both
            print(f"{ours} / {theirs}: " + ", ".join(f"{key} {each['median']:.2f}" for key, each in both.items()))
    return figures | {"ratios": ratios}


def killed(folder: Path, files: int, kills: int, chance: random.Random) -> dict[str, Any]:
    """Label the files undisturbed, and with a SIGKILL now and then, and compare the rows."""
    source = str(folder / "killed")
    archive_media.short_files(Path(source), files)
    began_s = time.monotonic()
    report.execute(label(source, folder / "whole"))
    whole_s = time.monotonic() - began_s
    done = 0
    for _ in range(kills):
        done += kill_once(label(source, folder / "resumed"), chance.uniform(0.5, max(6.0, 2.5 * whole_s / kills)))
    report.execute(label(source, folder / "resumed"))
    figures = compare(rows(folder / "whole"), rows(folder / "resumed"))
    print(f"{files} files, killed {done} times in {kills} starts: {figures}")
    return {"files": files, "starts": kills, "kills": done, **figures}


def kill_once(command: list[str], after_s: float) -> bool:
    """Whether the command still ran after so long, and was killed."""
    with (
        orphans_adopted(),
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
    ):
        try:
            process.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def rows(archive: Path) -> list[tuple[tuple[str, int], dict[str, Any]]]:
    """Source and clip of every row, and its vectors."""
    found = []
    for path in sorted(archive.rglob("*.parquet")):
        table = read_table(str(path))
        vectors = {name: vectors_in(table[f"{name}_vector"]).astype(np.float32) for name in names_of_vectors(table)}
        keys = zip(table["source"].to_pylist(), table["clip"].to_pylist(), strict=True)
        found += [(key, {name: each[place] for name, each in vectors.items()}) for place, key in enumerate(keys)]
    return found


def compare(whole: list[Any], resumed: list[Any]) -> dict[str, Any]:
    """Rows of both, what is missing and doubled in the second, and the least cosine of vectors of the same row."""
    expected, found = Counter(key for key, _ in whole), Counter(key for key, _ in resumed)
    ours, theirs = dict(whole), dict(resumed)
    cosines = [
        float(ours[key][name] @ theirs[key][name])
        for key in ours.keys() & theirs.keys()
        for name in ours[key].keys() & theirs[key].keys()
        if ours[key][name].any()
    ]
    return {
        "rows": len(whole),
        "rows_resumed": len(resumed),
        "lost": sum((expected - found).values()),
        "doubled": sum((found - expected).values()),
        "least_cosine": round(min(cosines, default=float("nan")), 5),
    }


if __name__ == "__main__":
    main()
