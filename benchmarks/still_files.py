"""What does it save not to label clips of a film again that show what an earlier one shows, and what does it miss?

    python -m benchmarks.still_files FOLDER [--planted 200] [--pairs 3] [--kinds 0,1,2]

FOLDER has real clips in clips*/. Films are made of them: an empty scene, real people who walk into it for 0.4 to 1.5 s
in one of ten clips, and a real sensor's noise (`benchmarks.still_films`), with and without a camera's noise reduction,
in five encodings. The costs are those of `percept run` with `decode.reuse` and without, in turn: CPU time of all its
processes, less that of a run of the first two seconds. Changes are planted in films of 360 lines: walks in every third
clip, as they were filmed, and paler. A walk is missed if the answers of an earlier clip are given for its clip;
only those count that come after a clip for which they were.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.report import write
from benchmarks.still_films import CLIP_S, ENCODINGS, Encoding, Sensed, shot_of, write_film
from benchmarks.stillness_media import still_clips
from stages.decode.reader import ReaderOptions, make_reader

RATE = 15
CLIPS, FIRST, EVERY, TIMES = 60, 9, 10, 3
PLANTED_CLIPS, PLANTED_FIRST, PLANTED_EVERY = 50, 10, 3
LABELS = "a person,a person walking,an empty room,a dog,a car,a street,a sports field,a person dancing"
CONTRASTS = {"as filmed": 1.0, "paler": 0.7, "palest": 0.4}
POLL_S = 0.1


@dataclass
class Cost:
    """What one film costs."""

    with_s: list[float] = field(default_factory=list)
    """CPU seconds an hour of film, with reuse."""
    without_s: list[float] = field(default_factory=list)
    reused: int = 0
    clips: int = 0
    difference: float = 0.0
    """Largest of any probability of a label."""
    same_first: int = 0
    """Clips whose most probable label is the same."""

    @property
    def gain(self) -> float:
        return median(self.without_s) / median(self.with_s)

    def figures(self) -> dict[str, Any]:
        return asdict(self) | {"gain": round(self.gain, 2)}


@dataclass
class Planted:
    planted: int = 0
    missed: int = 0
    quiet: int = 0
    reused: int = 0
    """Of the quiet clips."""


def cpu_s_of(command: Sequence[str]) -> float:
    """CPU seconds of a command and all processes that it starts."""
    spent: dict[int, float] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                root = psutil.Process(process.pid)
                for each in (root, *root.children(recursive=True)):
                    times = each.cpu_times()
                    spent[each.pid] = times.user + times.system
            except psutil.NoSuchProcess:
                pass
            time.sleep(POLL_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return sum(spent.values())


def command_of(film: Path, results: Path, reuse: bool, *more: str) -> list[str]:
    words = ["--labels", LABELS, "--set", f"decode.reuse={str(reuse).lower()}", "--top-k", "8", "-o", str(results)]
    return [sys.executable, "-m", "commands.main", "run", str(film), *words, "--overwrite", *more]


def cost_of(film: Path, pairs: int) -> Cost:
    cost = Cost()
    results = {reuse: film.with_suffix(f".{reuse}.jsonl") for reuse in (True, False)}
    begin_s = median(
        cpu_s_of(command_of(film, film.with_suffix(".jsonl"), False, "--set", "clips.end_s=2")) for _ in range(3)
    )
    hours = (CLIPS * TIMES - 1) * CLIP_S / 3600
    for number in range(pairs):
        for reuse in (True, False) if number % 2 else (False, True):
            spent_s = (cpu_s_of(command_of(film, results[reuse], reuse)) - begin_s) / hours
            (cost.with_s if reuse else cost.without_s).append(round(spent_s, 1))
    pairs_of = list(zip(*(labelled(results[reuse]) for reuse in (True, False)), strict=True))
    cost.clips = len(pairs_of)
    for one, other in pairs_of:
        cost.reused += bool(one.get("reused"))
        of_one, of_other = ({each["label"]: each["probability"] for each in clip["labels"]} for clip in (one, other))
        cost.same_first += max(of_one, key=of_one.__getitem__) == max(of_other, key=of_other.__getitem__)
        cost.difference = max([cost.difference, *(abs(of_one[name] - of_other[name]) for name in of_one)])
    cost.difference = round(cost.difference, 4)
    return cost


def labelled(path: Path) -> list[dict[str, Any]]:
    return [clip for line in path.read_text().splitlines() if "labels" in (clip := json.loads(line))]


def planted_in(film: Path, walks: Container[int]) -> Planted:
    """Judge the clips of a film in which somebody walks in these clips."""
    count, was_reused = Planted(), False
    options = ReaderOptions(reuse=True, modalities=("image", "motion"))
    with make_reader(str(film), 0, options) as reader:
        reader.open()
        for clip in reader.clips():
            index, is_reused = clip.info.index, clip.info.reuse is not None
            if index in walks and was_reused:
                count.planted += 1
                count.missed += is_reused
            elif index not in walks and index >= PLANTED_FIRST:
                count.quiet += 1
                count.reused += is_reused
            was_reused = is_reused
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--planted", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--kinds", default="", help="numbers of the kinds of film whose costs are measured")
    options = parser.parse_args()
    paths = still_clips(options.folder, 12)
    if not paths:
        parser.error(f"{options.folder}: expected clips in clips*/ whose camera stands still")
    with tempfile.TemporaryDirectory() as folder:
        planted = all_planted(paths, Path(folder), options.planted)
        costs = all_costs(paths, Path(folder), options.pairs, options.kinds)
    if planted:
        figures = {"planted": planted_figures(planted), "costs": {name: cost.figures() for name, cost in costs.items()}}
        write("still_files", figures | {"films": {name: asdict(each) for name, each in planted.items()}})


def planted_figures(planted: Mapping[str, Planted]) -> dict[str, dict[str, int]]:
    """What came of all films of one contrast."""
    totals = {}
    for name in CONTRASTS:
        these = [asdict(each) for film, each in planted.items() if film.startswith(f"{name}, ")]
        totals[name] = {key: sum(each[key] for each in these) for key in asdict(Planted())}
    return totals


def kinds() -> list[tuple[Encoding, bool]]:
    """Every encoding, with a camera's noise reduction and without."""
    return [(encoding, denoises) for denoises in (True, False) for encoding in ENCODINGS]


def key_of(encoding: Encoding, denoises: bool) -> str:
    return f"{encoding.key}_{'reduced' if denoises else 'raw'}"


def in_words(encoding: Encoding, denoises: bool) -> str:
    return f"{encoding.name}, {'noise reduced' if denoises else 'raw noise'}"


def all_planted(paths: Sequence[Path], folder: Path, wanted: int) -> dict[str, Planted]:
    """As many walks as are wanted as they were filmed, and a third as many of each lower contrast."""
    found: dict[str, Planted] = {}
    seed = 0
    for shade, many in zip(CONTRASTS, (wanted, wanted // 3, wanted // 3), strict=True):
        planted = 0
        while planted < many and seed < wanted:
            encoding, denoises = kinds()[seed % len(kinds())]
            path = paths[seed * 7 % len(paths)]
            contrast = CONTRASTS[shade]
            scene = Sensed(shot_of(path, RATE, seed), denoises=denoises, height=360, contrast=contrast)
            film = folder / "planted.mp4"
            write_film(film, encoding, scene.frames(PLANTED_CLIPS, PLANTED_FIRST, PLANTED_EVERY), RATE)
            found[f"{shade}, {key_of(encoding, denoises)}, {path.stem}, {seed}"] = count = planted_in(film, scene.walks)
            seed, planted = seed + 1, planted + count.planted
            print(f"{shade:10} {path.stem:40} {in_words(encoding, denoises):42} {count}", flush=True)
    for shade, totals in planted_figures(found).items():
        print(f"{shade}: {totals}")
    return found


def all_costs(paths: Sequence[Path], folder: Path, pairs: int, numbers: str) -> dict[str, Cost]:
    found = {}
    print(f"{'':50} {'CPU s/h':>8} {'without':>8} {'gain':>5} {'reused':>7} {'differ':>7} {'same first':>10}")
    wanted = [int(each) for each in numbers.split(",")] if numbers else list(range(len(kinds()))) if pairs else []
    for number in wanted:
        encoding, denoises = kinds()[number]
        film = folder / f"film{number}.mp4"
        scene = Sensed(shot_of(paths[(3 + number) % len(paths)], RATE, number), denoises=denoises)
        write_film(film, encoding, scene.frames(CLIPS, FIRST, EVERY), RATE, TIMES)
        name = in_words(encoding, denoises)
        found[key_of(encoding, denoises)] = cost = cost_of(film, pairs)
        film.unlink()
        print(
            f"{name:50} {median(cost.with_s):8.0f} {median(cost.without_s):8.0f} {cost.gain:5.2f} "
            f"{cost.reused / cost.clips:7.0%} {cost.difference:7.3f} {cost.same_first / cost.clips:10.0%}",
            flush=True,
        )
    return found


if __name__ == "__main__":
    main()
