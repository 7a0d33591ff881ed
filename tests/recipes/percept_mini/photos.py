"""Small collections of photos, in the layout of the data that recipes read."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CAPTIONS = ["A dog runs .", "A brown dog", "Dogs play", "A man and a dog", "A dog in the grass"]

FAR = ("cow", "person")


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8))


def photos_in(folder: Path, collection: str, count: int) -> list[str]:
    """Write a collection of noise: boxes of a sheep and a cow or a person, or captions. Returns its file names."""
    files = [f"{number}.png" for number in range(count)]
    if collection == "imagenet":
        files = [f"n{number:08}_thing{number}.png" for number in range(count)]
        place, rows = folder / "images" / "imagenet-1-per-class.tar", None
    elif collection == "flickr8k":
        place = folder / "captions" / "flickr8k.tar"
        rows = [{"file": file, "split": "train", "captions": CAPTIONS} for file in files]
    else:
        place = folder / "boxes" / f"{collection}.tar"
        near = ["sheep", 10, 10, 60, 60]
        rows = [{"file": file, "boxes": [near, [FAR[n % 2], 90, 0, 100, 8]]} for n, file in enumerate(files)]
    place.parent.mkdir(parents=True, exist_ok=True)
    if rows is not None:
        place.with_suffix(".json").write_text(json.dumps(rows))
    with tarfile.open(place, "w") as archive:
        for number, file in enumerate(files):
            add(archive, file, picture(100, 80, number))
    return files


def add(archive: tarfile.TarFile, file: str, image: Any) -> None:
    packed = io.BytesIO()
    image.save(packed, "PNG")
    member = tarfile.TarInfo(file)
    member.size = packed.tell()
    packed.seek(0)
    archive.addfile(member, packed)
