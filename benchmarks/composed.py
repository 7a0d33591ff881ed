"""Scenes composed of things that were cut out of photos, coloured anew and put in places of our choice.

Things are those of VOC 2012 with a box of their own, of photos that nothing here was trained or tuned on
(`recipes.percept_mini.folds`). A thing's outline is found by GrabCut inside its box.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.arrays import Array
from recipes.percept_mini.folds import is_checked, is_reported
from stages.boxes import box_cover

HEIGHT, WIDTH = 360, 540
KINDS = ("bird", "bus", "car", "cat", "cow", "dog", "horse", "person", "sheep", "train", "boat", "aeroplane")
HUES = {"red": 0, "orange": 13, "yellow": 27, "green": 60, "blue": 112, "purple": 140, "pink": 165}
"""Colours by OpenCV's hue in [0, 180)."""
LEAST_PX = 80
"""Of a box's shorter side in its photo."""
MARGIN_PX = 2
ALONE = 0.15
"""Share of a box that another one may cover."""


@dataclass(frozen=True)
class Thing:
    """A cut-out: uint8 "h w 3", and its outline in [0, 1], float32 "h w"."""

    kind: str
    pixels: Array
    outline: Array


@dataclass(frozen=True)
class Put:
    """A thing in a scene. box: x0 y0 x1 y1 in pixels. colour: "" for its own."""

    kind: str
    colour: str
    box: tuple[int, int, int, int]


def things(data: Path, reported: bool, most: int = 25, kinds: Sequence[str] = KINDS) -> dict[str, list[Thing]]:
    """Cut-outs by their kind, at most so many of each; of photos to report on, or of those for choices."""
    fold = is_reported if reported else is_checked
    tree = [each for each in json.loads((data / "boxes" / "voc2012.json").read_text()) if fold(each["file"])]
    found: dict[str, list[Thing]] = {kind: [] for kind in kinds}
    with tarfile.open(data / "boxes" / "voc2012.tar") as tar:
        files = {Path(member.name).name: member for member in tar.getmembers() if member.isfile()}
        for photo in tree:
            wanted = [
                number for number, (kind, *_) in enumerate(photo["boxes"]) if len(found.get(kind, [0] * most)) < most
            ]
            if not wanted or photo["file"] not in files:
                continue
            content = np.frombuffer(tar.extractfile(files[photo["file"]]).read(), np.uint8)  # type: ignore[union-attr]
            pixels = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]
            boxes = np.array([box for _, *box in photo["boxes"]])
            for number in wanted:
                if is_alone(boxes, number, pixels) and (
                    cut := cut_out(photo["boxes"][number][0], pixels, boxes[number])
                ):
                    found[cut.kind].append(cut)
    return {kind: cuts for kind, cuts in found.items() if len(cuts) >= 3}


def is_alone(boxes: Array, number: int, pixels: Array) -> bool:
    """Whether a box is large, whole, and of nothing else."""
    x0, y0, x1, y1 = boxes[number]
    height, width = pixels.shape[:2]
    whole = x0 > MARGIN_PX and y0 > MARGIN_PX and x1 < width - MARGIN_PX and y1 < height - MARGIN_PX
    others = np.delete(boxes, number, axis=0)
    covered = len(others) and box_cover(boxes[number : number + 1], others).max() > ALONE
    return bool(whole and min(x1 - x0, y1 - y0) >= LEAST_PX and not covered)


def cut_out(kind: str, pixels: Array, box: Array) -> Thing | None:
    """The thing in a box; None if no outline is found."""
    x0, y0, x1, y1 = (round(float(side)) for side in box)
    mask = np.zeros(pixels.shape[:2], np.uint8)
    cv2.setRNGSeed(0)
    swapped, models = np.ascontiguousarray(pixels[..., ::-1]), np.zeros((2, 1, 65))
    cv2.grabCut(swapped, mask, (x0, y0, x1 - x0, y1 - y0), models[0], models[1], 4, cv2.GC_INIT_WITH_RECT)
    outline = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)[y0:y1, x0:x1]
    outline = cv2.morphologyEx(outline, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(outline)
    if count < 2:
        return None
    outline = (pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.float32)
    if not 0.25 < outline.mean() < 0.95:
        return None
    rows, columns = (np.flatnonzero(outline.any(axis=axis)) for axis in (1, 0))
    if min(len(rows), len(columns)) < 0.75 * min(outline.shape):
        return None
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return Thing(kind, np.ascontiguousarray(pixels[y0:y1, x0:x1][window]), cv2.blur(outline, (3, 3))[window])


def coloured(pixels: Array, colour: str) -> Array:
    """A thing in another colour: its light and shade stay."""
    if not colour:
        return pixels
    hsv = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2HSV).astype(np.float32)
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY).astype(np.float32)
    hsv[..., 0] = HUES[colour]
    hsv[..., 1] = 110 if colour == "pink" else 190
    hsv[..., 2] = (
        70
        + 185
        * np.clip((grey - np.percentile(grey, 2)) / max(1.0, float(np.ptp(np.percentile(grey, (2, 98))))), 0, 1) ** 0.8
    )
    toned: Array = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    return toned


class Canvas:
    """A picture that things are put on; it begins as a blurred photo."""

    def __init__(self, background: Array) -> None:
        large = cv2.resize(np.ascontiguousarray(background), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(large, (0, 0), 24).astype(np.float32)
        self.pixels = (0.5 * soft + 0.5 * soft.mean(axis=2, keepdims=True)).astype(np.uint8)
        self.put: list[Put] = []

    def add(self, thing: Thing, colour: str, middle: tuple[int, int], size_px: int) -> Put:
        """Put a thing with its longer side at this size, inside the picture, as near to a middle x, y as possible."""
        height, width = thing.pixels.shape[:2]
        scale = size_px / max(height, width)
        size = max(8, round(width * scale)), max(8, round(height * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        pixels = cv2.resize(coloured(thing.pixels, colour), size, interpolation=way).astype(np.float32)
        outline = cv2.resize(thing.outline, size, interpolation=cv2.INTER_LINEAR)[..., None]
        x0 = int(np.clip(middle[0] - size[0] // 2, 0, WIDTH - size[0]))
        y0 = int(np.clip(middle[1] - size[1] // 2, 0, HEIGHT - size[1]))
        place = self.pixels[y0 : y0 + size[1], x0 : x0 + size[0]]
        place[:] = (outline * pixels + (1 - outline) * place).astype(np.uint8)
        self.put.append(Put(thing.kind, colour, (x0, y0, x0 + size[0], y0 + size[1])))
        return self.put[-1]


def is_held_out(colour: str, kind: str) -> bool:
    """Whether a pair of colour and thing is only reported on: half of them, by their hash."""
    return hashlib.sha256(f"{colour} {kind}".encode()).digest()[0] % 2 == 0


def photos_of_pairs(data: Path, reported: bool, others: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """Photos with one person and one thing of `others`, whose boxes meet: the name of the thing, uint8 "H W 3"."""
    fold = is_reported if reported else is_checked
    tree = [each for each in json.loads((data / "boxes" / "voc2012.json").read_text()) if fold(each["file"])]
    with tarfile.open(data / "boxes" / "voc2012.tar") as tar:
        files = {Path(member.name).name: member for member in tar.getmembers() if member.isfile()}
        for photo in tree:
            people = [box for kind, *box in photo["boxes"] if kind == "person"]
            ridden = [(kind, box) for kind, *box in photo["boxes"] if kind in others]
            if len(people) != 1 or len(ridden) != 1 or photo["file"] not in files:
                continue
            if not is_rider(np.array(people[0]), np.array(ridden[0][1])):
                continue
            content = np.frombuffer(tar.extractfile(files[photo["file"]]).read(), np.uint8)  # type: ignore[union-attr]
            yield ridden[0][0], cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


def is_rider(person: Array, ridden: Array) -> bool:
    """Whether a person sits on it, as far as boxes tell: above its middle, and into it."""
    x, y = (person[:2] + person[2:]) / 2
    return bool(ridden[0] < x < ridden[2] and y < (ridden[1] + ridden[3]) / 2 and person[3] > ridden[1])
