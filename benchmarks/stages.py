"""Where does the time go? CPU time and output of each stage per clip of 2 s, one process, one thread.

    python -m benchmarks.stages [--seconds 16] [--heights 360,720,1080,2160] [--rounds 3] [--before FILE]

The film is the bundled sample (24 frames a second, moving), scaled with `benchmarks.media`. A round decodes and labels
it once; the table has the median of the rounds.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import media, report
from pipeline.build import make_plan
from pipeline.config import load_config
from pipeline.plain import PlainLoop, refuse_failed
from pipeline.run import place, private_directory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=16.0)
    parser.add_argument("--heights", default="360,720,1080,2160")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--before", type=Path, help="results of an earlier checkout, to keep and print beside these")
    parser.add_argument("--film", type=Path, help="measure this film instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, private_directory() as directory:
        films = {options.film.name: options.film} if options.film else made(Path(name), options)
        with PlainLoop(
            place(make_plan(load_config(None, options.settings)), directory), threads=1, clock_ns=time.process_time_ns
        ) as loop:
            figures = {title: measured(loop, film, options.rounds) for title, film in films.items()}
    before = json.loads(options.before.read_text())["films"] if options.before else {}
    for films in filter(None, (before, figures)):
        print(table(films))
    if not options.film and not options.settings:
        report.write("stages", {"films": figures, "before": before})


def made(folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    """The film at each height."""
    films = {}
    for height in map(int, options.heights.split(",")):
        once = media.scaled(folder / f"{height}.once.mp4", round(height * 16 / 9 / 2) * 2, height)
        films[f"{height}p"] = media.looped(folder / f"{height}.mp4", options.seconds, once)
    return films


def measured(loop: PlainLoop, film: Path, rounds: int) -> dict[str, Any]:
    """CPU ms and output kB per clip of each stage."""
    sizes: dict[str, int] = {}
    taken: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        before, clips = loop.took_ns, 0
        for clip in loop.run(str(film)):
            refuse_failed([clip], str(film))
            clips += 1
            for name, value in clip.values.items():
                sizes[name] = max(sizes.get(name, 0), value.nbytes if isinstance(value, np.ndarray) else 0)
        if number:  # the first warms up
            for name, took_ns in loop.took_ns.items():
                taken.setdefault(name, []).append((took_ns - before.get(name, 0)) / 1e6 / clips)
    outputs = {"decode": ("frames", "audio", "previous_frame")} | {
        name: tuple(stage.gives()) for name, stage in loop.stages.items()
    }
    return {
        name: {
            "ms": round(statistics.median(each), 2),
            "mb": round(sum(sizes.get(array, 0) for array in outputs[name]) / 1e6, 3),
        }
        for name, each in taken.items()
    }


def table(figures: dict[str, dict[str, Any]]) -> str:
    """Stages by films: ms of CPU and MB of output per clip."""
    names: Sequence[str] = list(next(iter(figures.values())))
    rows = [["ms (MB) a clip", *figures]]
    rows += [[name, *(f"{f[name]['ms']:.1f} ({f[name]['mb']:.2f})" for f in figures.values())] for name in names]
    rows.append(["all", *(f"{sum(each['ms'] for each in f.values()):.1f}" for f in figures.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


if __name__ == "__main__":
    main()
