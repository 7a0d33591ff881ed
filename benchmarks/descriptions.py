"""How far may the description of a label be mixed with its name before some name is found less well?

    python -m benchmarks.descriptions [--data ../shared/data] [--model percept-mini]

AUROC of 20 names on photos of VOC 2012 that are only reported (`recipes.percept_mini.folds`), whose objects are known:
with the name alone, and with a plain description of what it looks like mixed in at several weights
(`labels.description_weight`). Changes have paired 95 % intervals over the photos.
"""

import argparse
import io
import json
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from benchmarks import report
from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from recipes.percept_mini.folds import is_reported
from stages.words.labels import build_label_set
from training.calibrate.unknown import auroc
from training.encoder import Encoder
from training.intervals import bootstrap

ROUNDS = 300
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
DESCRIPTIONS = {
    "aeroplane": "a machine with long wings and a tail that flies in the sky or stands at an airport",
    "bicycle": "two thin wheels with spokes, a frame, pedals and handlebars",
    "bird": "a small animal with feathers, wings and a beak",
    "boat": "a vessel with a hull, and often a mast, that floats on water",
    "bottle": "a tall container of glass or plastic with a narrow neck and a cap",
    "bus": "a long tall vehicle with many windows that carries passengers in a city",
    "car": "a vehicle with four wheels, doors, headlights and a windscreen on a road",
    "cat": "a small furry pet with pointed ears, whiskers and a long tail",
    "chair": "a flat seat with a back and four legs",
    "cow": "a large farm animal with hooves, horns and an udder that eats grass in a field",
    "dining table": "a flat wooden top on legs with plates, glasses and food",
    "dog": "a furry pet with a snout, floppy ears and a wagging tail, often on a leash",
    "horse": "a large animal with a mane, hooves and a long tail that people ride",
    "motorbike": "a vehicle with two thick wheels, an engine, an exhaust and a seat for a rider",
    "person": "a man, woman or child with a face, arms, legs and clothes",
    "potted plant": "green leaves or flowers that grow in a pot",
    "sheep": "a woolly white farm animal in a flock on a meadow",
    "sofa": "a long soft seat with cushions and armrests in a living room",
    "train": "a locomotive with wagons on railway tracks at a station",
    "tv monitor": "a flat screen in a dark frame on a desk or stand that shows a picture",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--features", type=Path, help="keep the embeddings in this .npz file, and use them again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="descriptions-") as folder:
        run = RunSettings(model=options.model, modalities=("image",))
        names, embeddings = photos(options.data / "boxes", run, options.features)
        written = Path(folder) / "descriptions.json"
        written.write_text(json.dumps(DESCRIPTIONS))
        odds = {weight: odds_of(run, written, weight, embeddings) for weight in WEIGHTS}
    is_right = np.array([[name in each for name in DESCRIPTIONS] for each in names])
    found = {weight: aurocs(each, is_right) for weight, each in odds.items()}
    print(f"{len(embeddings)} photos; AUROC, and its change by the description, by weight")
    print(" " * 14 + "".join(f"{weight:>8g}" for weight in WEIGHTS))
    for row, name in enumerate(DESCRIPTIONS):
        alone, *others = (found[weight][row] for weight in WEIGHTS)
        print(f"{name:14}{alone:8.3f}" + "".join(f"{each - alone:+8.3f}" for each in others))
    changes = {weight: found[weight] - found[0.0] for weight in WEIGHTS[1:]}
    intervals = {weight: interval(odds[0.0], odds[weight], is_right) for weight in changes}
    print(f"{'mean':14}{found[0.0].mean():8.3f}" + "".join(f"{each.mean():+8.3f}" for each in changes.values()))
    for end, text in enumerate(("from", "to")):
        print(f"{text:22}" + "".join(f"{each[end]:+8.3f}" for each in intervals.values()))
    print(f"{'worst':22}" + "".join(f"{each.min():+8.3f}" for each in changes.values()))
    figures: dict[str, Any] = {"photos": len(embeddings), "model": read_model(options.model).id}
    figures["auroc"] = float(found[0.0].mean())
    for weight, each in changes.items():
        low, high = intervals[weight]
        figures[f"change_{weight:g}"] = {
            "mean": float(each.mean()),
            "low": low,
            "high": high,
            "worst": float(each.min()),
        }
    report.write("descriptions", figures)


def photos(folder: Path, run: RunSettings, kept: Path | None) -> tuple[list[frozenset[str]], Array]:
    """The names of the objects in each photo, and the photos' embeddings, float32 "N D"."""
    described = [each for each in json.loads((folder / "voc2012.json").read_text()) if is_reported(each["file"])]
    spaced = {name.replace(" ", ""): name for name in DESCRIPTIONS}
    names = [frozenset(spaced.get(box[0], box[0]) for box in each["boxes"]) for each in described]
    if kept is not None and kept.is_file():
        with np.load(kept) as file:
            embeddings: Array = file["embeddings"]
            return names[: len(embeddings)], embeddings[: len(names)]
    encoder = Encoder(run)
    found = []
    try:
        with tarfile.open(folder / "voc2012.tar") as archive:
            for each in described:
                content = archive.extractfile(each["file"])
                assert content is not None, each["file"]
                picture = np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB"))
                found.append(encoder.photo(picture).embeddings["image"])
                if kept is not None and len(found) % 100 == 0:
                    np.savez(kept, embeddings=np.stack(found))
    finally:
        encoder.close()
    if kept is not None:
        np.savez(kept, embeddings=np.stack(found))
    return names, np.stack(found)


def odds_of(run: RunSettings, descriptions: Path, weight: float, embeddings: Array) -> Array:
    """Log-odds of every name, "N 20", in the order of `DESCRIPTIONS`."""
    changed: Mapping[str, Any] = {"descriptions": str(descriptions), "description_weight": weight}
    settings = msgspec.structs.replace(run, **changed)
    label_set = build_label_set(read_model(run.model), tuple(DESCRIPTIONS), settings, lambda text: None)
    odds: Array = label_set.sides["image"].compare(embeddings)[2]
    return odds


def aurocs(odds: Array, is_right: Array) -> Array:
    return np.array([auroc(odds[:, row], is_right[:, row]) for row in range(odds.shape[1])])


def interval(alone: Array, described: Array, is_right: Array) -> tuple[float, float]:
    """Of the change of the mean AUROC, paired."""

    def change(drawn: Array) -> float:
        before, after, right = drawn[:, 0], drawn[:, 1], drawn[:, 2] > 0.5
        return float(np.nanmean(aurocs(after, right) - aurocs(before, right)))

    return bootstrap(np.stack([alone, described, is_right], axis=1), change, 0, ROUNDS)


if __name__ == "__main__":
    main()
