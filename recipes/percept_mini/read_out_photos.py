"""Test pictures for choosing the picture tower's read-out: fitted in four ways, four in one, and pasted small."""

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.models.model import TowerSpec
from engines.networks.picture import SIDE_PX, EfficientNetLite0
from recipes.percept_mini.build_concepts import imagenet_synsets
from stages.pictures import fitted

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Literal["crop", "pad", "stretch", "tiles"]
Classes = npt.NDArray[np.int64]
COMPOSED = 500
"""Number of pictures of each composed kind."""


def read_photos(tar: Path) -> tuple[list["Image"], Classes]:
    """The photos and their classes "N", as indices into the network's outputs."""
    from PIL import Image

    order = {f"n{synset.offset:08d}": index for index, synset in enumerate(imagenet_synsets())}
    photos, classes = [], []
    with tarfile.open(tar) as file:
        for member in file:
            content = file.extractfile(member)
            if content is not None:
                photos.append(Image.open(io.BytesIO(content.read())).convert("RGB"))
                classes.append(order[member.name.split("_")[0]])
    return photos, np.array(classes)


def fitted_photo(photo: "Image", fit: Fit) -> Tensor:
    """A photo fitted as the product fits a frame: uint8 "M 3 224 224"; several squares for tiles."""
    tower = TowerSpec(network="", space="", size_px=SIDE_PX, fit=fit, mean=(127 / 255,) * 3)
    return torch.from_numpy(fitted(np.asarray(photo)[None], tower)).permute(0, 3, 1, 2)


@torch.inference_mode()
def features(network: EfficientNetLite0, pictures: Tensor) -> Tensor:
    """uint8 "N 3 224 224" -> float16 "N 1280 7 7"."""
    return torch.cat([network.features((some.float() - 127) / 128).half() for some in pictures.split(8)])


def four_in_one(photos: list["Image"], random: np.random.Generator, count: int = COMPOSED) -> tuple[Tensor, Classes]:
    """Squares of four photos at half size: uint8 "N 3 224 224", and the indices of the photos "N 4"."""
    chosen = np.stack([random.choice(len(photos), 4, replace=False) for _ in range(count)])
    half = torch.cat([_square(photo, SIDE_PX // 2) for photo in photos])[chosen]
    rows = half.unflatten(1, (2, 2)).permute(0, 3, 1, 4, 2, 5)  # "N colour row y column x"
    return rows.reshape(count, 3, SIDE_PX, SIDE_PX), chosen


def made_small(photos: list["Image"], random: np.random.Generator) -> tuple[Tensor, Classes]:
    """Photos at a third to half size, each on a blurred other one: uint8 "500 3 224 224", and their indices "500"."""
    from PIL import ImageFilter

    pictures, chosen = [], []
    for _ in range(COMPOSED):
        one, behind = random.choice(len(photos), 2, replace=False)
        picture = _square(photos[behind].filter(ImageFilter.GaussianBlur(12)), SIDE_PX)
        side = int(random.integers(SIDE_PX // 3, SIDE_PX // 2 + 16))
        top, left = random.integers(0, SIDE_PX - side, 2)
        picture[..., top : top + side, left : left + side] = _square(photos[one], side)
        pictures.append(picture)
        chosen.append(one)
    return torch.cat(pictures), np.array(chosen)


def _square(photo: "Image", side: int) -> Tensor:
    """The centre crop of a photo: uint8 "1 3 side side"."""
    middle = fitted_photo(photo, "crop")
    if side == SIDE_PX:
        return middle
    return torch.nn.functional.interpolate(middle, (side, side), mode="bicubic", antialias=True)
