"""How many things does a detector find, and does it name them? On photos of VOC 2012 that nothing was trained on.

    python -m benchmarks.detection [--data ../shared/data] [--other yolox_nano.onnx] [--json FILE|-]

Recall: objects that one of the 30 best boxes of their photo overlaps by a half. AP50 by name, for names with at least
20 objects; VOC's difficult objects count. Both sides see the same photos, on one thread, engine chosen by "auto". The
other detector gives names of its own; ours gives vectors, which are compared with the 20 names.

Detectors that were trained on COCO have seen many more photos of the same things.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.stage import Resources, RunSettings
from recipes.percept_mini.detector_figures import Answer, Truth, average_precision, recall
from recipes.percept_mini.detector_words import word
from recipes.percept_mini.picture_data import pictures, read_photos, split_of
from stages.detect.detector import Detector, Found
from stages.detect.detectors import make_detector
from stages.words.labels import build_label_set

COLLECTION = "voc2012"
TEMPERATURE = 0.1
"""Of the shares of names, chosen on photos for choices: of 0.02 to 0.15 it is best for people and names together."""


def photos(data: Path, most: int) -> list[tuple[Array, Truth]]:
    wanted = {photo.file: photo for photo in read_photos(data, COLLECTION) if split_of(photo) == "report"}
    read = []
    for file, picture in pictures(data, COLLECTION, set(wanted)):
        boxes = wanted[file].boxes
        truth = Truth(np.array([box[1:] for box in boxes], np.float32).reshape(-1, 4), [word(box[0]) for box in boxes])
        read.append((np.asarray(picture), truth))
        if len(read) == most:
            break
    return read


def answer_of(found: Found, names: Sequence[str], vectors: Array) -> Answer:
    if found.vectors is not None:
        logits = found.vectors @ vectors.T / TEMPERATURE
        shares = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-1e9))
        return Answer(found.boxes, found.scores, shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9))
    shares = np.array([[told == name for name in names] for told in found.names], float)
    return Answer(found.boxes, found.scores, shares.reshape(-1, len(names)))


def figures(detector: Detector, read: Sequence[tuple[Array, Truth]], run: RunSettings) -> dict[str, Any]:
    names = sorted({name for _, truth in read for name in truth.names})
    side = build_label_set(read_model(run.model), tuple(names), run, print).sides["image"]
    seconds, answers = list[float](), list[Answer]()
    for picture, _ in read:
        began = time.process_time()
        found = detector.detect([picture])[0]
        seconds.append(time.process_time() - began)
        answers.append(answer_of(found, names, side.labels))
    truths = [truth for _, truth in read]
    by_name = average_precision(truths, answers, names)
    return {
        "photos": len(read),
        "objects": sum(len(truth.boxes) for truth in truths),
        "recall of 30 boxes": round(recall(truths, answers), 1),
        "AP50 of person": round(by_name["person"], 1),
        "mean AP50": round(float(np.mean(list(by_name.values()))), 1),
        "names": len(by_name),
        "AP50": {name: round(value, 1) for name, value in by_name.items()},
        "CPU ms per photo": round(1000 * float(np.median(seconds)), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared/data")
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--other", default="", help="another detector: an ONNX file")
    parser.add_argument("--most", type=int, default=0, help="photos, for a quick look")
    parser.add_argument(
        "--json", nargs="?", const="-", default="", help="write the figures to this file, or print them"
    )
    options = parser.parse_args()
    read = photos(options.data, options.most)
    results = dict[str, Any]()
    with tempfile.TemporaryDirectory() as cache:
        run = RunSettings(model=options.model, threads=1, cache_directory=cache)
        for side, path in (("ours", "own"), ("other", options.other)):
            if path:
                detector = make_detector(path, "", 0.01, run)
                if detector is None:
                    parser.error(f"{options.model} has no detector of its own")
                detector.prepare(print)
                detector.improve(print)
                detector.open(Resources())
                results[side] = figures(detector, read, run)
                print(side, json.dumps(results[side], indent=1))
    if options.json and options.json != "-":
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    elif not options.json:
        report.write("detection", results)


if __name__ == "__main__":
    main()
