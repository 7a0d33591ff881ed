"""Does the motion tower know what people do? The probability of its words, from motion alone, at the default settings.

    python -m benchmarks.doings [--data ../shared/data] [--model percept-mini]

made   films of figures in photos that were not trained on: AUROC of those who do it against those who do something else
real   clips of 2 s of the real files: the same, the share of clips with it whose probability is 0.5 or more, and the
       share of clips without it whose is. `doings_in_clips.csv` says what somebody saw
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.accuracy import DATA
from benchmarks.truth import auroc
from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.errors import SourceError
from pipeline.stage import RunSettings
from recipes.percept_mini.figure_data import people_splits
from recipes.percept_mini.motion_data import RUNS, load, make
from recipes.percept_mini.motion_figures import embeddings
from recipes.percept_mini.motion_words import MOTION_WORDS, TOWER_WORDS, WORDS
from stages.words.labels import LabelSet, build_label_set
from stages.words.scoring import sigmoid
from training.encoder import Encoder
from training.intervals import bootstrap

SEEN = Path(__file__).with_name("doings_in_clips.csv")
FOLDERS = ("clips", "clips2", "tracking/TUD-Stadtmitte")
MOST_CLIPS = 70
"""Of a file, from its start."""
ROUNDS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the films of figures")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data}: does not exist; expected a folder with clips/ and tracking/")
    with tempfile.TemporaryDirectory(prefix="doings-") as folder:
        run = RunSettings(model=options.model, modalities=("motion",), cache_directory=folder, threads=2)
        words = TOWER_WORDS[len(MOTION_WORDS) :]
        labels = build_label_set(read_model(options.model), words, run, lambda message: None)
        figures: dict[str, Any] = {
            "model": read_model(options.model).id,
            "made": made(options.data, options.runs, labels, options.model),
            "real": real(options.data, labels, run),
        }
    for kind in ("made", "real"):
        for word, found in figures[kind].items():
            print(
                f"{kind}: {word:10} AUROC {found['auroc']:.3f} [{found['low']:.3f}, {found['high']:.3f}], "
                f"{found['found']:.0%} of {found['right']} found, "
                f"{found['false_alarms']:.1%} of {found['wrong']} wrongly"
            )
    report.write("doings", figures)


def made(data: Path, runs: Path, labels: LabelSet, model: str) -> dict[str, dict[str, float]]:
    maker, count = people_splits(data)["people-test"]
    make(runs, "people-test", maker, count)
    pictures, truth, _ = load(runs, "people-test")
    motion = read_model(model).motion
    assert motion is not None
    probability = probabilities(labels, embeddings(pictures, Path(motion.directory)))
    columns = [WORDS.index(word) for word in labels.labels]
    return {word: figures_of(probability[:, n], truth[:, columns[n]]) for n, word in enumerate(labels.labels)}


def real(data: Path, labels: LabelSet, run: RunSettings) -> dict[str, dict[str, float]]:
    rows = list(real_clips(data, run))
    probability = probabilities(labels, np.stack([embedding for _, _, embedding in rows]))
    truth = {word: np.array([truth_of(name, clip, word) for name, clip, _ in rows]) for word in labels.labels}
    return {word: figures_of(probability[:, n], truth[word]) for n, word in enumerate(labels.labels)}


def figures_of(probability: Array, truth: Array) -> dict[str, float]:
    """Of clips with a probability each, and a truth: 1, 0 or -1 for undecided."""
    pairs = np.stack([probability, truth], axis=1)[truth >= 0]
    low, high = bootstrap(pairs, auroc, 0, ROUNDS)
    above = {value: float((pairs[pairs[:, 1] == value, 0] >= 0.5).mean()) for value in (0, 1)}
    return {
        "right": int((truth == 1).sum()),
        "wrong": int((truth == 0).sum()),
        "auroc": auroc(pairs),
        "low": low,
        "high": high,
        "found": above[1],
        "false_alarms": above[0],
    }


def real_clips(data: Path, run: RunSettings) -> Iterator[tuple[str, int, Array]]:
    """File, number and motion embedding of the clips of 2 s of all files."""
    encoder = Encoder(run)
    try:
        for path in sorted(path for folder in FOLDERS for path in (data / folder).glob("*.*")):
            if path.suffix in (".mp4", ".mkv", ".avi"):
                try:
                    clips = encoder.clips(path)[:MOST_CLIPS]
                except SourceError as error:
                    print(f"left out: {error}")
                    continue
                for number, clip in enumerate(clips):
                    if "motion" in clip.tokens:
                        yield path.name, number, clip.embeddings["motion"]
    finally:
        encoder.close()


def truth_of(name: str, clip: int, word: str) -> int:
    """1 where somebody saw it, -1 where it is hard to say, else 0."""
    for row in seen():
        meant = row["clips"] == "all" or str(clip) in row["clips"].split()
        if meant and name.startswith(row["file"]) and row["word"] == word:
            return 1 if row["true"] == "yes" else -1
    return 0


@cache
def seen() -> tuple[dict[str, str], ...]:
    with SEEN.open(newline="") as file:
        return tuple(csv.DictReader(file))


def probabilities(labels: LabelSet, embeddings: Array) -> Array:
    """Of the words in their order, "N W"."""
    result: Array = sigmoid(labels.sides["motion"].compare(embeddings)[2])
    return result


if __name__ == "__main__":
    main()
