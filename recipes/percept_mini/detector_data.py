"""Photos with boxes as the detector's head reads them, in several sizes, parts and colours, and as collages of four.

    python -m recipes.percept_mini.detector_data --data ../shared/data

What the network of the picture tower makes of each view is written once, to `recipes/runs/detector`. Photos for
reporting (`recipes.percept_mini.folds`) are not read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from engines.networks.detector import COARSE_CHANNELS, FINE_CHANNELS, DetectorHead, detector_of
from engines.networks.detector_facts import STRIDES_PX, TOKEN
from pipeline.arrays import Array
from recipes.percept_mini.picture_data import SIDE_PX as CROP_PX
from recipes.percept_mini.picture_data import Photo, pictures, read_photos, recoloured, split_of
from recipes.percept_mini.text_data import BUNDLED

if TYPE_CHECKING:
    from PIL.Image import Image

RUNS = Path("recipes/runs/detector")
SIDE_PX = 320
COLLECTIONS = ("voc2012", "coco_small")
VIEWS = 5
COLLAGES = 0.3
"""Share of the views that are collages of four photos, in which objects are small."""
LEAST_PX = 8.0
"""A box that is smaller in a view is left out there."""
LEAST_SHARE = 0.35
"""Share of a box inside the view below which it is left out."""
AROUND = 1.2
"""Side of the square that the tower reads around a box, in longer sides of the box."""
GREY = 127


class Piece(NamedTuple):
    """A photo, its boxes "N 4" in pixels, and the number of each in the list of all boxes."""

    picture: Image
    boxes: Array
    numbers: Array


class View(NamedTuple):
    pixels: Array
    """uint8 "320 320 3"."""
    boxes: Array
    """float32 "N 4"."""
    numbers: Array
    """int64 "N"."""


def pieces(data: Path, split: str) -> tuple[list[Piece], list[str], Array]:
    """All photos of a split with known boxes, the name of each box, and what the tower should read there as squares
    uint8 "N 224 224 3"."""
    found: list[Piece] = []
    names: list[str] = []
    crops: list[Array] = []
    for collection in COLLECTIONS:
        photos = {photo.file: photo for photo in read_photos(data, collection) if wanted(photo, split)}
        for file, picture in pictures(data, collection, set(photos)):
            boxes = np.array([box[1:] for box in photos[file].boxes], np.float32).reshape(-1, 4)
            found.append(Piece(picture, boxes, np.arange(len(names), len(names) + len(boxes))))
            names += [box[0] for box in photos[file].boxes]
            crops += [np.asarray(around(picture, box)) for box in boxes]
    return found, names, np.stack(crops)


def wanted(photo: Photo, split: str) -> bool:
    """COCO's photos without annotations show things that are not boxed."""
    return bool(photo.names_known) and split_of(photo) == split


def around(picture: Image, box: Array) -> Image:
    """The square around a box that the picture tower reads; outside the photo it is grey."""
    from PIL import Image

    side = AROUND * max(box[2] - box[0], box[3] - box[1], 16)
    x, y = (box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2
    square = picture.transform(
        (CROP_PX, CROP_PX),
        Image.Transform.EXTENT,
        (x, y, x + side, y + side),
        Image.Resampling.BICUBIC,
        fillcolor=(GREY, GREY, GREY),
    )
    return square


def views(every: list[Piece], number: int, count: int) -> Iterator[View]:
    """The first shows the whole photo; the others its parts and collages. The same number always gives the same."""
    digest = hashlib.sha256(str(number).encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    piece = every[number]
    yield placed(piece, min(SIDE_PX / piece.picture.width, SIDE_PX / piece.picture.height), (0, 0), False)
    for _ in range(1, count):
        if random.random() < COLLAGES:
            others = [piece, *(every[int(random.integers(len(every)))] for _ in range(3))]
            yield _recoloured(collage(others, random), random)
            continue
        whole = min(SIDE_PX / piece.picture.width, SIDE_PX / piece.picture.height)
        scale = whole * float(np.exp(random.uniform(np.log(0.6), np.log(1.9))))
        room = SIDE_PX - scale * piece.picture.width, SIDE_PX - scale * piece.picture.height
        corner = tuple(float(random.uniform(min(0, each), max(0, each))) for each in room)
        yield _recoloured(placed(piece, scale, corner, random.random() < 0.5), random)


def placed(piece: Piece, scale: float, corner: tuple[float, ...], mirrored: bool) -> View:
    """The photo at a scale with its upper left corner at a place; grey around it."""
    from PIL import Image, ImageOps

    picture, boxes = piece.picture, piece.boxes.copy()
    if mirrored:
        picture = ImageOps.mirror(picture)
        boxes[:, [0, 2]] = picture.width - boxes[:, [2, 0]]
    left, top = -corner[0] / scale, -corner[1] / scale
    square = picture.transform(
        (SIDE_PX, SIDE_PX),
        Image.Transform.EXTENT,
        (left, top, left + SIDE_PX / scale, top + SIDE_PX / scale),
        Image.Resampling.BICUBIC,
        fillcolor=(GREY, GREY, GREY),
    )
    moved = boxes * scale + np.array([*corner, *corner], np.float32)
    return kept(np.asarray(square), moved, piece.numbers)


def kept(pixels: Array, boxes: Array, numbers: Array) -> View:
    """With the boxes that are large enough and inside."""
    inside = np.clip(boxes, 0, SIDE_PX)
    size, whole = inside[:, 2:] - inside[:, :2], boxes[:, 2:] - boxes[:, :2]
    shares = size.prod(axis=1) / np.maximum(whole.prod(axis=1), 1e-6)
    good = (size.min(axis=1, initial=SIDE_PX) >= LEAST_PX) & (shares >= LEAST_SHARE)
    return View(pixels, inside[good].astype(np.float32), numbers[good])


def collage(four: list[Piece], random: np.random.Generator) -> View:
    """Four photos around a point near the middle, each filling its quarter."""
    pixels = np.full((SIDE_PX, SIDE_PX, 3), GREY, np.uint8)
    x, y = (int(random.uniform(0.35, 0.65) * SIDE_PX) for _ in range(2))
    boxes, numbers = list[Array](), list[Array]()
    for index, piece in enumerate(four):
        left, right = ((0, x), (x, SIDE_PX))[index % 2]
        upper, lower = ((0, y), (y, SIDE_PX))[index // 2]
        wide, high = right - left, lower - upper
        scale = max(wide / piece.picture.width, high / piece.picture.height) * float(random.uniform(0.75, 1.2))
        corner = left + (wide - scale * piece.picture.width) / 2, upper + (high - scale * piece.picture.height) / 2
        view = placed(piece, scale, corner, random.random() < 0.5)
        pixels[upper:lower, left:right] = view.pixels[upper:lower, left:right]
        limits = np.array([left, upper, left, upper]), np.array([right, lower, right, lower])
        clipped = np.clip(view.boxes, *limits)
        area, whole = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (clipped, view.boxes))
        good = (area >= LEAST_SHARE * whole) & ((clipped[:, 2:] - clipped[:, :2]).min(axis=1, initial=99) >= LEAST_PX)
        boxes.append(clipped[good])
        numbers.append(view.numbers[good])
    return View(pixels, np.concatenate(boxes).astype(np.float32), np.concatenate(numbers))


def _recoloured(view: View, random: np.random.Generator) -> View:
    from PIL import Image

    return view._replace(pixels=np.asarray(recoloured(Image.fromarray(view.pixels), random)))


class Reader:
    """`Detector.read` in OpenVINO: uint8 "N 320 320 3" -> its three outputs, float16."""

    def __init__(self, threads: int) -> None:
        import openvino

        detector = detector_of(BUNDLED, DetectorHead()).requires_grad_(False).eval()

        class Read(torch.nn.Module):
            def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
                return detector.read((pixels.permute(0, 3, 1, 2).float() - 127) / 128)

        example = torch.zeros(1, SIDE_PX, SIDE_PX, 3, dtype=torch.uint8)
        model = openvino.convert_model(torch.export.export(Read().eval(), (example,)))
        self._compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads})

    def __call__(self, pixels: Array) -> list[Array]:
        read = self._compiled(pixels[None])
        return [read[number][0].astype(np.float16) for number in range(3)]


def make(data: Path, split: str, runs: Path, threads: int, count: int = VIEWS) -> None:
    """Write SPLIT-{fine,coarse,tokens}.npy, the views' boxes, and what the tower reads in each box."""
    done = runs / f"{split}.json"
    if done.exists():
        return
    runs.mkdir(parents=True, exist_ok=True)
    every, names, crops = pieces(data, split)
    reader, of_crops = Reader(threads), CropReader(threads)
    total = len(every) * (count if split == "train" else 1)
    sides = [SIDE_PX // stride for stride in STRIDES_PX]
    shapes = [(FINE_CHANNELS, sides[0], sides[0]), (COARSE_CHANNELS, sides[1], sides[1]), (TOKEN, sides[1], sides[1])]
    files = [
        np.lib.format.open_memmap(runs / f"{split}-{name}.npy", "w+", np.float16, (total, *shape))
        for name, shape in zip(("fine", "coarse", "tokens"), shapes, strict=True)
    ]
    rows, boxes, row = list[list[int]](), list[list[list[float]]](), 0
    for number in range(len(every)):
        for view in views(every, number, total // len(every)):
            for file, read in zip(files, reader(view.pixels), strict=True):
                file[row] = read
            rows.append(view.numbers.tolist())
            boxes.append(view.boxes.tolist())
            row += 1
        if number % 200 == 199:
            print(f"{split}: {number + 1} of {len(every)} photos", flush=True)
    np.save(runs / f"{split}-looks.npy", of_crops(crops))
    done.write_text(json.dumps({"names": names, "rows": rows, "boxes": boxes}))


class CropReader:
    """The picture tower in OpenVINO: uint8 "N 224 224 3" -> tokens of unit length, float16 "N 384"."""

    def __init__(self, threads: int) -> None:
        import openvino

        from engines.networks.picture import load_picture

        tower = load_picture(BUNDLED)
        model = openvino.convert_model(torch.export.export(tower, (torch.zeros(1, 3, CROP_PX, CROP_PX),)))
        self._compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads})

    def __call__(self, crops: Array) -> Array:
        found = []
        for crop in crops:
            pixels = (crop.transpose(2, 0, 1)[None].astype(np.float32) - 127) / 128
            token = self._compiled(pixels)[0][0]
            found.append((token / max(float(np.linalg.norm(token)), 1e-9)).astype(np.float16))
        return np.stack(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with boxes/")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for split in ("check", "train"):
        make(options.data, split, options.runs, options.threads)


if __name__ == "__main__":
    main()
