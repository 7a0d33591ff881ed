"""Photos with captions and with boxes, seen in several ways, as the picture tower reads them.

    python -m recipes.percept_mini.picture_data --data ../shared/data

What it reads is made once and kept in `recipes/runs/picture`, in files of 100 photos; files that exist are kept.
Photos for reporting (`recipes.percept_mini.folds`) are not read.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from engines.networks.picture import SIDE_PX, ConceptPicture, load_network, load_picture
from pipeline.arrays import Array
from recipes.percept_mini.folds import is_checked, is_reported
from recipes.percept_mini.photo_words import PHOTO_WORDS
from recipes.percept_mini.text_data import BUNDLED
from training.captions.projection import read_parts

if TYPE_CHECKING:
    from PIL.Image import Image

RUNS = Path("recipes/runs/picture")
PER_FILE = 100
SEEN, HALF_SEEN = 0.6, 0.15
"""Shares of a box from which on its name is right, and below which it is wrong, in a part of its photo."""
VIEWS = {"voc2012": 5, "imagenet": 5, "coco_small": 5, "flickr8k": 6}
"""Ways in which each photo of a collection is seen; the first is the one of the product."""
CROPS_OF_BOXES = 2
"""Further views of a photo: of its largest boxes, from near."""
LEARNT_FROM = 12
"""Number of the first block that `train_picture` trains further: the 7 x 7 ones that keep their size, and the head."""
TOGETHER = 32
"""Squares per call of the network, at most."""


class Photo(msgspec.Struct, frozen=True):
    """A photo, its captions, and the boxes of things in it: (name, x0, y0, x1, y1) in pixels of the file."""

    collection: str
    file: str
    captions: tuple[str, ...] = ()
    boxes: tuple[tuple[str, float, float, float, float], ...] = ()
    names_known: tuple[str, ...] = ()
    """Names of which it is known whether they are in the photo."""
    name: str = ""
    """Of the whole photo, if it shows one thing."""
    is_dev: bool = False
    """Whether its collection sets it apart for choices."""


class View(msgspec.Struct, frozen=True):
    """What is known of one way to see a photo. Names that are in neither are unknown."""

    photo: int
    is_whole: bool
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


class Seen(NamedTuple):
    """What the tower reads in a collection's views so far; see `ReadOut`."""

    photos: list[Photo]
    views: list[View]
    named: Array
    """float16 "N 384"."""
    directions: Array
    """float16 "N 1280"."""
    maps: Array
    """float16 "N 192 7 7": what the blocks before `LEARNT_FROM` make of the views; "0" unless asked for."""


def read_photos(data: Path, collection: str) -> list[Photo]:
    """All photos of a collection, those for reporting and choices too."""
    if collection == "imagenet":
        with tarfile.open(data / "images" / "imagenet-1-per-class.tar") as archive:
            files = [member.name for member in archive if member.isfile()]
        names = {file: Path(file).stem.split("_", 1)[-1].replace("_", " ").lower() for file in files}
        return [Photo(collection, file, name=name) for file, name in names.items() if name not in PHOTO_WORDS]
    if collection == "flickr8k":
        rows = json.loads((data / "captions" / "flickr8k.json").read_text())
        return [
            Photo(collection, row["file"], captions=tuple(row["captions"]), is_dev=row["split"] != "train")
            for row in rows
        ]
    rows = json.loads((data / "boxes" / f"{collection}.json").read_text())
    names = tuple(sorted({box[0] for row in rows for box in row["boxes"]}))
    return [
        Photo(
            collection,
            row["file"],
            captions=tuple(row.get("captions", ())),
            boxes=tuple(tuple(box) for box in row["boxes"]),
            names_known=names if row.get("annotated", True) else (),
        )
        for row in rows
    ]


def split_of(photo: Photo) -> str:
    """ "report", "check" or "train". Photos that Flickr8k sets apart are for reporting, whatever their names."""
    if photo.is_dev or is_reported(photo.file):
        return "report"
    return "check" if is_checked(photo.file) else "train"


def archive_of(data: Path, collection: str) -> Path:
    folder = {"imagenet": "images", "flickr8k": "captions"}.get(collection, "boxes")
    name = "imagenet-1-per-class" if collection == "imagenet" else collection
    return data / folder / f"{name}.tar"


def pictures(data: Path, collection: str, wanted: set[str]) -> Iterator[tuple[str, Image]]:
    """File name and picture of each wanted photo, in the order of the archive."""
    from PIL import Image

    with tarfile.open(archive_of(data, collection)) as archive:
        for member in archive:
            if member.name in wanted and (content := archive.extractfile(member)):
                yield member.name, Image.open(io.BytesIO(content.read())).convert("RGB")


def views(photo: Photo, number: int, picture: Image) -> Iterator[tuple[View, Image]]:
    """The ways in which a photo is seen, and a square of each. The same photo always gives the same."""
    digest = hashlib.sha256(photo.file.encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[8:16], "big"))
    width, height = picture.size
    side = min(width, height)
    middle = (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2
    yield _view(photo, number, middle, True), _cut(picture, middle)
    largest = sorted(photo.boxes, key=lambda box: (box[3] - box[1]) * (box[4] - box[2]), reverse=True)
    if split_of(photo) == "check":
        return
    for way in range(1, VIEWS[photo.collection]):
        if way == 1 and photo.collection != "flickr8k":  # squashed, so that nothing is lost at its edges
            area = 0.0, 0.0, float(width), float(height)
        else:
            area = _random_area(photo, width, height, random)
        yield _view(photo, number, area, way == 1), changed(_cut(picture, area), random)
    for _, x0, y0, x1, y1 in largest[:CROPS_OF_BOXES]:
        size = max(x1 - x0, y1 - y0) * random.uniform(1.0, 1.8)
        if size < 48:
            continue
        x, y = (x0 + x1) / 2 + random.normal(0, 0.05) * size, (y0 + y1) / 2 + random.normal(0, 0.05) * size
        area = x - size / 2, y - size / 2, x + size / 2, y + size / 2
        yield _view(photo, number, area, False), changed(_cut(picture, area), random)


def _random_area(photo: Photo, width: int, height: int, random: np.random.Generator) -> tuple[float, ...]:
    """A part of the photo. Those of Flickr8k came squashed, so most of theirs are 4:3 or 3:4 before they are cut."""
    ratio = float(np.exp(random.uniform(-0.15, 0.15)))
    if photo.collection == "flickr8k":
        ratio *= float(random.choice((3 / 4, 4 / 3, 1.0)))
    share = random.uniform(0.45, 1.0) ** 0.5
    wide, high = (
        (min(1.0, ratio), min(1.0, 1 / ratio))
        if photo.collection == "flickr8k"
        else (min(width, height * ratio) / width, min(height, width / ratio) / height)
    )
    wide, high = wide * share * width, high * share * height
    x, y = random.uniform(0, width - wide), random.uniform(0, height - high)
    return x, y, x + wide, y + high


def _view(photo: Photo, number: int, area: tuple[float, ...], is_whole: bool) -> View:
    seen = dict[str, float]()
    for name, x0, y0, x1, y1 in photo.boxes:
        wide = max(0.0, min(x1, area[2]) - max(x0, area[0]))
        high = max(0.0, min(y1, area[3]) - max(y0, area[1]))
        seen[name] = max(seen.get(name, 0.0), wide * high / max(1.0, (x1 - x0) * (y1 - y0)))
    right = {name for name, share in seen.items() if share >= SEEN} | ({photo.name} - {""})
    wrong = {name for name in photo.names_known if seen.get(name, 0.0) < HALF_SEEN}
    return View(number, is_whole, tuple(sorted(right)), tuple(sorted(wrong)))


def _cut(picture: Image, area: tuple[float, ...]) -> Image:
    """A part of a picture, as a square; what lies outside the picture repeats its edge."""
    from PIL import Image

    inside = (
        max(0.0, area[0]),
        max(0.0, area[1]),
        min(float(picture.width), area[2]),
        min(float(picture.height), area[3]),
    )
    return picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, box=inside)


def changed(picture: Image, random: np.random.Generator) -> Image:
    """Mirrored, and `recoloured`: each by chance."""
    from PIL import ImageOps

    return recoloured(ImageOps.mirror(picture) if random.random() < 0.5 else picture, random)


def recoloured(picture: Image, random: np.random.Generator) -> Image:
    """In other colours, blurred, compressed like video, dark or small: each by chance."""
    from PIL import Image, ImageEnhance, ImageFilter

    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        if random.random() < 0.6:
            picture = change(picture).enhance(float(np.exp(random.normal(0, 0.22))))
    if random.random() < 0.15:
        small = int(random.integers(72, 160)) * picture.width // SIDE_PX
        picture = picture.resize((small, small), Image.Resampling.BOX).resize(picture.size, Image.Resampling.BICUBIC)
    if random.random() < 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(float(random.uniform(0.5, 2.0))))
    if random.random() < 0.4:
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=int(random.integers(12, 60)))
        picture = Image.open(packed).convert("RGB")
    return picture


class ReadOut(torch.nn.Module):
    """uint8 "N 224 224 3" -> the two parts of the tower's tokens before its projection, see `parts_of`, and maps.

    The network is that of the package, as nothing here has trained it.
    """

    def __init__(self, tower: ConceptPicture) -> None:
        super().__init__()
        self.tower = tower
        self.tower.network = load_network()

    def forward(self, squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        network = self.tower.network
        maps = network.first((squares.permute(0, 3, 1, 2).float() - 127) / 128, LEARNT_FROM)
        return *read_parts(network.last(maps, LEARNT_FROM), network._fc, self.tower.concepts), maps


class Reader:
    """`ReadOut` in OpenVINO, which is several times as fast as torch."""

    def __init__(self, threads: int) -> None:
        import openvino

        example = torch.zeros(TOGETHER, SIDE_PX, SIDE_PX, 3, dtype=torch.uint8)
        count = {0: torch.export.Dim("count", max=TOGETHER)}
        program = torch.export.export(ReadOut(load_picture(BUNDLED)).eval(), (example,), dynamic_shapes=(count,))
        model = openvino.convert_model(program)
        self._compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads})

    def __call__(self, squares: Array) -> tuple[Array, Array, Array]:
        """uint8 "N 224 224 3" -> float16 "N 384", "N 1280" and "N 192 7 7"."""
        found = list[tuple[Array, ...]]()
        for begin in range(0, len(squares), TOGETHER):
            read = self._compiled(squares[begin : begin + TOGETHER])
            found.append(tuple(read[number].astype(np.float16) for number in range(3)))
        named, directions, maps = map(np.concatenate, zip(*found, strict=True))
        return named, directions, maps


def make(data: Path, collection: str, runs: Path, reader: Reader) -> None:
    """Write the missing files COLLECTION-000.npz, ...; each is complete or absent."""
    photos = read_photos(data, collection)
    number_of = {photo.file: number for number, photo in enumerate(photos)}
    wanted = [photo.file for photo in photos if split_of(photo) != "report"]
    runs.mkdir(parents=True, exist_ok=True)
    (runs / f"{collection}.json").write_bytes(msgspec.json.encode(photos))
    for first in range(0, len(wanted), PER_FILE):
        path = runs / f"{collection}-{first // PER_FILE:03}.npz"
        if path.exists():
            continue
        found, squares = list[View](), list[Array]()
        for file, picture in pictures(data, collection, set(wanted[first : first + PER_FILE])):
            for view, square in views(photos[number_of[file]], number_of[file], picture):
                found.append(view)
                squares.append(np.asarray(square))
        half = path.with_suffix(".part")
        with half.open("wb") as out:
            named, directions, maps = reader(np.stack(squares))
            np.savez(out, named=named, directions=directions, maps=maps, views=msgspec.json.encode(found))
        half.replace(path)
        print(f"{path}: {len(found)} views of {min(PER_FILE, len(wanted) - first)} photos", flush=True)


def load(runs: Path, collection: str, with_maps: bool = False) -> Seen:
    """Raises: FileNotFoundError: there is nothing yet; the message gives the command that makes it."""
    files = [np.load(path) for path in sorted(runs.glob(f"{collection}-*.npz"))]
    if not files:
        raise FileNotFoundError(f"{runs}: no {collection}. Make it with: python -m recipes.percept_mini.picture_data")
    found = [view for file in files for view in msgspec.json.decode(file["views"].tobytes(), type=list[View])]
    photos = msgspec.json.decode((runs / f"{collection}.json").read_bytes(), type=list[Photo])
    named, directions = (np.concatenate([file[key] for file in files]) for key in ("named", "directions"))
    maps = np.concatenate([file["maps"] for file in files]) if with_maps else np.zeros(0, np.float16)
    return Seen(photos, found, named, directions, maps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/, captions/ and boxes/")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    reader = Reader(options.threads)
    for collection in VIEWS:
        make(options.data, collection, options.runs, reader)


if __name__ == "__main__":
    main()
