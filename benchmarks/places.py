"""Are the regions of `percept run --regions` where things are?

    python -m benchmarks.places [--data ../shared/data] [--model percept-mini]

regions    photos of VOC that nothing was trained on, each with things of one kind: does the box of the word's region
           agree with the box around them all, and is its peak inside? The whole picture as a box, for comparison.
"""

import argparse
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from benchmarks import report
from benchmarks.accuracy import DATA
from benchmarks.explaining import Tower, mean, shown
from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from recipes.percept_mini.folds import is_reported
from stages.boxes import box_iou
from stages.maps.stage import regions
from stages.maps.word_map import word_map
from training.intervals import share

PHOTOS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--cache", default="", help="folder for exported networks and text vectors")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data}: does not exist; expected a folder with boxes/ and images/")
    with tempfile.TemporaryDirectory(prefix="places-") as folder:
        tower = Tower(RunSettings(model=options.model, cache_directory=options.cache or folder, threads=2))
        figures: dict[str, Any] = {"model": read_model(options.model).id, "engine": tower.engine}
        figures |= on_regions(options.data / "boxes", tower)
        tower.close()
    for part in ("regions",):
        print("\n".join(f"{part} {name:36} {shown(value)}" for name, value in figures[part].items()))
    report.write("places", msgspec.to_builtins(figures))


def on_regions(folder: Path, tower: Tower) -> dict[str, Any]:
    chosen = of_one_kind(json.loads((folder / "voc2012.json").read_text()), np.random.default_rng(0))
    words = sorted({row["boxes"][0][0] for row in chosen})
    side = tower.side(words)
    whole, found = list[float](), dict[str, list[bool]]()
    inside, ious = dict[str, list[bool]](), dict[str, list[float]]()
    with tarfile.open(folder / "voc2012.tar") as tar:
        for row in chosen:
            content = np.frombuffer(tar.extractfile(row["file"]).read(), np.uint8)  # type: ignore[union-attr]
            frame = np.ascontiguousarray(cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1])
            word, edges = row["boxes"][0][0], np.array([each[1:] for each in row["boxes"]])
            box = np.concatenate([edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)])
            height, width = frame.shape[:2]
            whole.append(overlap((0, 0, width, height), box))
            for name in ("quick", "fine"):
                made = word_map(frame, tower.tower, side.only([words.index(word)]), fine=name == "fine")
                told = regions(made, [word], 0.0, (width, height))
                y, x = made.places[0]
                inside.setdefault(name, []).append(bool(box[0] <= x <= box[2] and box[1] <= y <= box[3]))
                found.setdefault(name, []).append(bool(told))
                ious.setdefault(name, []).append(overlap(told[0].box, box) if told else 0.0)
    figures: dict[str, Any] = {"photos": len(chosen), "whole_picture_iou": mean(whole)}
    for name in ("quick", "fine"):
        figures |= {f"{name}_has_region": share(found[name]), f"{name}_peak_inside": share(inside[name])}
        figures[f"{name}_iou"] = mean(ious[name])
    return {"regions": figures}


def of_one_kind(rows: list[dict[str, Any]], chance: np.random.Generator) -> list[dict[str, Any]]:
    able = [row for row in rows if is_reported(row["file"]) and len({box[0] for box in row["boxes"]}) == 1]
    return [able[int(number)] for number in chance.permutation(len(able))[:PHOTOS]]


def overlap(one: Any, other: Array) -> float:
    return float(box_iou(np.array([one], np.float32), other[None].astype(np.float32))[0, 0])


if __name__ == "__main__":
    main()
