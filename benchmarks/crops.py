"""Are boxes named better with what is around them shown, or blurred? On photos of VOC 2012 that nothing was trained on.

    python -m benchmarks.crops [--data ../shared/data] [--model percept-mini] [--photos 300] [--split report|check]

Each object between half a percent and 60 % of its photo is cut out by its own box, and by boxes 1.4 and 2 times as
large that are shifted at random, as boxes from motion are. A name is right if it is the nearest of the 20 names. Both
sides see the same boxes. The interval is that of the difference, over photos.
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from benchmarks import report
from engines.models.checkpoint import read_model
from engines.models.tower import open_tower
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from recipes.percept_mini.detector_words import word
from recipes.percept_mini.picture_data import pictures, read_photos, split_of
from stages.pictures import crop_pictures
from stages.words.labels import build_label_set

COLLECTION = "voc2012"
LOOSE = (1.0, 1.4, 2.0)
SIDES: tuple[Literal["shown", "blurred"], ...] = ("shown", "blurred")
LEAST, MOST, MOST_OBJECTS = 0.005, 0.6, 6


def loosened(box: Array, by: float, width: int, height: int, random: np.random.Generator) -> Array:
    """A box "4" so many times as wide and high, shifted by up to half of what was added."""
    x0, y0, x1, y1 = box
    size = np.array([x1 - x0, y1 - y0])
    middle = np.array([x0 + x1, y0 + y1]) / 2 + random.uniform(-0.5, 0.5, 2) * (by - 1) * size
    edges = np.concatenate([middle - by * size / 2, middle + by * size / 2])
    return edges.clip(0, [width, height, width, height])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared/data")
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--split", default="report", choices=["report", "check"])
    options = parser.parse_args()
    wanted = {photo.file: photo for photo in read_photos(options.data, COLLECTION) if split_of(photo) == options.split}
    names = sorted({word(box[0]) for photo in wanted.values() for box in photo.boxes})
    model = read_model(options.model)
    right: dict[tuple[float, str], list[float]] = defaultdict(list)
    """Share of right names, by photo."""
    random, objects = np.random.default_rng(0), 0
    with tempfile.TemporaryDirectory() as directory:
        run = RunSettings(model=options.model, threads=1, directory=directory)
        vectors = build_label_set(model, tuple(names), run, print).sides["image"].labels
        tower = model.towers()["image"]
        engine = open_tower(model, "image", run, features=False)
        for file, photo in pictures(options.data, COLLECTION, set(wanted)):
            frames = np.asarray(photo)[None]
            height, width = frames.shape[1:3]
            share = [(box[3] - box[1]) * (box[4] - box[2]) / (width * height) for box in wanted[file].boxes]
            chosen = [box for box, of in zip(wanted[file].boxes, share, strict=True) if LEAST <= of <= MOST]
            truth = np.array([names.index(word(box[0])) for box in chosen[:MOST_OBJECTS]])
            if not len(truth):
                continue
            objects += len(truth)
            for by in LOOSE:
                boxes = [loosened(np.array(box[1:], float), by, width, height, random) for box in chosen[:MOST_OBJECTS]]
                rows = np.array([[0.0, *box] for box in boxes], np.float32)
                for side in SIDES:
                    given = crop_pictures(frames, rows, msgspec.structs.replace(tower, surroundings=side))
                    found = engine.run({engine.inputs[0].name: given})[engine.outputs[0].name].astype(np.float32)
                    found /= np.linalg.norm(found, axis=1, keepdims=True)
                    right[by, side].append(float(((found @ vectors.T).argmax(axis=1) == truth).mean()))
            if len(right[1.0, "shown"]) == options.photos:
                break
    results = {f"{by:g} times as large": figures(right, by) for by in LOOSE}
    for name, row in results.items():
        print(name, row)
    report.write("crops", {"photos": len(right[1.0, "shown"]), "objects": objects, "model": model.id} | results)


def figures(right: dict[tuple[float, str], list[float]], by: float) -> dict[str, Any]:
    shown, blurred = (np.array(right[by, side]) for side in SIDES)
    gain, random = blurred - shown, np.random.default_rng(1)
    means = [gain[random.integers(0, len(gain), len(gain))].mean() for _ in range(2000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "right, shown": round(100 * float(shown.mean()), 1),
        "right, blurred": round(100 * float(blurred.mean()), 1),
        "gain": [round(100 * float(value), 1) for value in (gain.mean(), low, high)],
    }


if __name__ == "__main__":
    main()
