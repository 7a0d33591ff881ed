"""How well are clips recognised that no label fits? AUROC with its 95 % interval, on data never trained on.

    python -m benchmarks.open_set [--data ../shared/data] [--model percept-mini]

sounds     ESC-10 fold 3, sound alone: each class is unknown in turn, the other nine names are the labels
clips      the labelled real clips, all modalities: half of the words are left out at random, many times

A file counts once, with all its parts that have something to see or hear. The usual scores of the labels come from
unlabelled files of the same source: the other half of fold 3 (and, for comparison, folds 1 and 2, which the bundled
sound tower was trained on), or the real clips. The score was selected on ESC-10 folds 1 and 2, the animals and the
instruments, with the usual scores of one half from the other half: --choose prints the results of all candidates.
"""

import argparse
import csv
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks import report
from benchmarks.accuracy import DATA, KINDS
from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from stages.words.labels import LabelSet, build_label_set
from training.calibrate.temperature import Scene
from training.calibrate.units import Units, make_units
from training.calibrate.unknown import Judge, auroc, mean_auroc
from training.encoder import Encoder
from training.intervals import bootstrap

DRAWS = 200
"""Number of random choices of words to leave out."""
ROUNDS = 1000
SETS = ("esc10", "animals", "instruments")
OF_A_SET = 16
"""Files per label for --choose."""


class Figure(msgspec.Struct, frozen=True):
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f}   [{self.low:.3f}, {self.high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with clips/ and audio/")
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--cache", default="", help="folder for exported networks and text vectors")
    parser.add_argument("--choose", action="store_true", help="compare scores, on data that no figure is reported for")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="open-set-") as folder:
        run = RunSettings(model=options.model, cache_directory=options.cache or folder)
        encoder = Encoder(run)
        try:
            if options.choose:
                choose(options.data / "audio", encoder, run)
                return
            figures: dict[str, Any] = {"model": read_model(options.model).id}
            figures |= on_sounds(options.data / "audio" / "esc10", encoder, run)
            figures |= on_clips(options.data / "clips", encoder, run)
        finally:
            encoder.close()
    print("\n".join(f"{name:44} {value}" for name, value in figures.items()))
    report.write("open_set", msgspec.to_builtins(figures))


def sounds(files: Sequence[Path], encoder: Encoder, run: RunSettings) -> tuple[Units, LabelSet]:
    """Units and labels of files in folders that are named after their sound."""
    names = sorted({path.parent.name.replace("_", " ") for path in files})
    label_set = build_label_set(read_model(run.model), tuple(names), run, lambda message: None)
    features = [encoder.file(path).only("audio") for path in files]
    right = [names.index(path.parent.name.replace("_", " ")) for path in files]
    return make_units(features, right, ("audio",), whole=True), label_set


def on_sounds(folder: Path, encoder: Encoder, run: RunSettings) -> dict[str, Any]:
    unit, label_set = sounds(sorted(folder.glob("*/3-*.ogg")), encoder, run)
    trained, _ = sounds(sorted(folder.glob("*/[12]-*.ogg")), encoder, run)
    every = np.arange(len(label_set.labels))
    scores = {label: np.zeros(len(unit)) for label in every.tolist()}
    trained_scores = {label: np.zeros(len(unit)) for label in every.tolist()}
    for here, there in halves(len(unit)):
        judge = Judge(unit.take(here), unit.take(there).clips, label_set.sides)
        other = Judge(unit.take(here), trained.clips, label_set.sides)
        for label in every.tolist():
            scores[label][here] = judge.scores(np.delete(every, label))
            trained_scores[label][here] = other.scores(np.delete(every, label))
    rows = np.arange(len(unit))
    figures: dict[str, Any] = {"sounds": len(unit)}
    figures["sounds_auroc"] = interval(lambda drawn: mean_auroc(scores, unit.right, drawn), rows)
    trained_auroc = interval(lambda drawn: mean_auroc(trained_scores, unit.right, drawn), rows)
    figures["sounds_auroc_folds_1_and_2_usual"] = trained_auroc
    for label in every.tolist():
        value = mean_auroc({label: scores[label]}, unit.right, rows)
        figures[f"sounds_auroc_{label_set.labels[label]}"] = round(value, 3)
    return figures


def halves(count: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Even and odd rows, in both orders. The files of a label are consecutive, so both halves have every label."""
    even, odd = np.arange(0, count, 2), np.arange(1, count, 2)
    return (even, odd), (odd, even)


def on_clips(folder: Path, encoder: Encoder, run: RunSettings) -> dict[str, Any]:
    """AUROC of the labelled clips. Half of the words that occur are left out, and their clips are then unknown."""
    words = (folder / "all_labels.txt").read_text().splitlines()
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] in KINDS]
    label_set = build_label_set(read_model(run.model), tuple(words), run, lambda message: None)
    features = [encoder.file(folder / row["file"]) for row in rows]
    right = [label_set.labels.index(row["label"]) for row in rows]
    unit = make_units(features, right, label_set.sides, whole=True)
    judge = Judge(unit, unit.clips, label_set.sides)
    chance = np.random.default_rng(0)
    used = np.unique(unit.right)
    draws: list[tuple[Array, Array]] = []
    for _ in range(DRAWS):
        out = chance.permutation(used)[: len(used) // 2]
        draws.append((judge.scores(np.setdiff1d(used, out)), np.isin(unit.right, out)))

    def mean(drawn: Array) -> float:
        return float(np.nanmean([auroc(scores[drawn], unknown[drawn]) for scores, unknown in draws]))

    return {"clips": len(unit), "clips_words": len(used), "clips_auroc": interval(mean, np.arange(len(unit)))}


def interval(statistic: Callable[[Array], float], rows: Array) -> Figure:
    return Figure(statistic(rows), *bootstrap(rows, statistic, seed=0, rounds=ROUNDS))


def choose(folder: Path, encoder: Encoder, run: RunSettings) -> None:
    """Print the AUROC of several scores by set, each label left out in turn, with usual scores from the other half."""
    found: dict[str, list[float]] = {}
    for name in SETS:
        files = [
            path
            for label in sorted((folder / name).iterdir())
            for path in sorted(label.glob("*.ogg"))[:OF_A_SET]
            if name != "esc10" or path.name[0] in "12"
        ]
        unit, label_set = sounds(files, encoder, run)
        for score, value in compared(unit, label_set).items():
            found.setdefault(score, []).append(value)
    print(f"{'score':32}" + "".join(f"{name:>13}" for name in (*SETS, "mean")))
    for score, values in sorted(found.items(), key=lambda pair: -float(np.mean(pair[1]))):
        print(f"{score:32}" + "".join(f"{value:13.3f}" for value in (*values, float(np.mean(values)))))


def compared(unit: Units, label_set: LabelSet) -> Mapping[str, float]:
    """Mean AUROC of each score."""
    side = {name: label_set.sides[name] for name in unit.clips.embeddings}
    scene = Scene.of(unit, side)
    odds = unit.clips.evidence(side)["audio"]
    values: dict[str, list[float]] = {}
    for here, there in halves(len(unit)):
        for label in range(len(label_set.labels)):
            kept = np.delete(np.arange(len(label_set.labels)), label)
            for score, of in tried(odds[here][:, kept], odds[there][:, kept], scene, here, kept).items():
                values.setdefault(score, []).append(auroc(of, unit.right[here] == label))
    return {score: float(np.mean(each)) for score, each in values.items()}


def tried(odds: Array, usual: Array, scene: Scene, here: Array, kept: Array) -> Mapping[str, Array]:
    """The scores to compare, by name. Higher means less like the labels."""
    name, side = next(iter(scene.sides.items()))
    near, background = scene.similarity[name][here][:, kept], scene.background[name][here]
    share = np.exp(odds - log_sum(odds)[:, None])
    all_ = np.concatenate([odds, np.zeros((len(odds), 1))], axis=1)
    with_background = np.exp(all_ - log_sum(all_)[:, None])
    ordered = np.sort(odds, axis=1)
    relative = (odds - usual.mean(axis=0)) / usual.std(axis=0)
    return {
        "best log-odds": -odds.max(axis=1),
        "energy": -log_sum(odds),
        "entropy over labels": entropy(share),
        "entropy with the background": entropy(with_background),
        "margin to the second": ordered[:, -2] - ordered[:, -1],
        "nearest background word": (background.max(axis=1) - near.max(axis=1)) / side.temperature,
        "best, relative to usual clips": -relative.max(axis=1),
        "energy, relative to usual clips": -log_sum(relative),
        "best, only centred on usual clips": -(odds - usual.mean(axis=0)).max(axis=1),
    }


def log_sum(values: Array) -> Array:
    top = values.max(axis=1)
    result: Array = np.log(np.exp(values - top[:, None]).sum(axis=1)) + top
    return result


def entropy(shares: Array) -> Array:
    result: Array = -(shares * np.log(np.maximum(shares, 1e-30))).sum(axis=1)
    return result


if __name__ == "__main__":
    main()
