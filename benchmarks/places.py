"""Are the regions of `percept run --regions`, and what `percept where --like` finds, where things are?

    python -m benchmarks.places [--data ../shared/data] [--model percept-mini]

regions    photos of VOC that nothing was trained on, each with things of one kind: does the box of the word's region
           agree with the box around them all, and is its peak inside? The whole picture as a box, for comparison.
like       pairs of such photos of two kinds, side by side, and a third photo of one kind as the example: is the peak in
           the half of that kind, and is there a part in it? Is there none in the other photo alone? By its box, by what
           stands out in its middle, and by its name, for comparison.
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
from benchmarks.explaining import SIDE_PX, Tower, fitted, mean, shown
from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from recipes.percept_mini.folds import is_reported
from stages.boxes import box_iou
from stages.maps.exemplars import Exemplars, exemplar
from stages.maps.segments import segments
from stages.maps.stage import regions
from stages.maps.word_map import Compares, word_map
from training.intervals import share

PHOTOS, PAIRS = 100, 40
Row = dict[str, Any]


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
        figures |= on_regions(options.data / "boxes", tower) | on_like(options.data / "boxes", tower)
        tower.close()
    for part in ("regions", "like"):
        print("\n".join(f"{part} {name:36} {shown(value)}" for name, value in figures[part].items()))
    report.write("places", msgspec.to_builtins(figures))


def on_regions(folder: Path, tower: Tower) -> dict[str, Any]:
    able = of_one_kind(json.loads((folder / "voc2012.json").read_text()))
    chosen = [able[int(number)] for number in np.random.default_rng(0).permutation(len(able))[:PHOTOS]]
    words = sorted({row["boxes"][0][0] for row in chosen})
    side = tower.side(words)
    whole, found = list[float](), dict[str, list[bool]]()
    inside, ious = dict[str, list[bool]](), dict[str, list[float]]()
    with tarfile.open(folder / "voc2012.tar") as tar:
        for row in chosen:
            frame = pixels_of(tar, row)
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


def on_like(folder: Path, tower: Tower) -> dict[str, Any]:
    rows, chance = of_one_kind(json.loads((folder / "voc2012.json").read_text())), np.random.default_rng(1)
    by_kind: dict[str, list[Row]] = {}
    for row in rows:
        by_kind.setdefault(row["boxes"][0][0], []).append(row)
    kinds = sorted(kind for kind, found in by_kind.items() if len(found) > 1)
    side = tower.side(kinds)
    peaks, parts, absent = (dict[str, list[bool]](box=[], middle=[], name=[]) for _ in range(3))
    with tarfile.open(folder / "voc2012.tar") as tar:
        for number in range(PAIRS):
            asked, other = (kinds[int(each)] for each in chance.permutation(len(kinds))[:2])
            shown_row, example_row = (by_kind[asked][int(each)] for each in chance.permutation(len(by_kind[asked]))[:2])
            beside = pixels_of(tar, by_kind[other][int(chance.integers(len(by_kind[other])))])
            half = SIDE_PX // 2
            both = [fitted(each, SIDE_PX, half) for each in (pixels_of(tar, shown_row), beside)]
            pair = np.concatenate(both if number % 2 else both[::-1], axis=1)
            place = np.zeros((SIDE_PX, SIDE_PX), bool)
            place[:, :half] = number % 2
            place[:, half:] = not number % 2
            sought: dict[str, Compares] = {"name": side.only([kinds.index(asked)])}
            example = pixels_of(tar, example_row)
            for name, box in (("box", largest_box(example_row, example)), ("middle", None)):
                sought[name] = Exemplars((exemplar(asked, example, box, tower.tower),))
            for name, each in sought.items():
                found, alone = (word_map(picture, tower.tower, each, fine=False) for picture in (pair, beside))
                peaks[name].append(bool(place[tuple(found.places[0])]))
                parts[name].append(bool((segments(found.pixels, found.peaks, (asked,)).panoptic > 0)[place].any()))
                absent[name].append(not segments(alone.pixels, alone.peaks, (asked,)).parts)
    figures: dict[str, Any] = {"pairs": PAIRS}
    for name in peaks:
        figures |= {f"{name}_peak_in_its_half": share(peaks[name]), f"{name}_has_part_there": share(parts[name])}
        figures[f"{name}_absent_has_no_part"] = share(absent[name])
    return {"like": figures}


def largest_box(row: Row, frame: Array) -> tuple[float, float, float, float]:
    """In fractions of the frame."""
    size = np.array([frame.shape[1], frame.shape[0]] * 2)
    _, *edges = max(row["boxes"], key=lambda box: (box[3] - box[1]) * (box[4] - box[2]))
    x0, y0, x1, y1 = np.clip(np.array(edges) / size, 0, 1).tolist()
    return x0, y0, x1, y1


def pixels_of(tar: tarfile.TarFile, row: Row) -> Array:
    content = np.frombuffer(tar.extractfile(row["file"]).read(), np.uint8)  # type: ignore[union-attr]
    return np.ascontiguousarray(cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1])


def of_one_kind(rows: list[Row]) -> list[Row]:
    return [row for row in rows if is_reported(row["file"]) and len({box[0] for box in row["boxes"]}) == 1]


def overlap(one: Any, other: Array) -> float:
    return float(box_iou(np.array([one], np.float32), other[None].astype(np.float32))[0, 0])


if __name__ == "__main__":
    main()
