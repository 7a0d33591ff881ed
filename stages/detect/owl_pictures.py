"""Pictures for OWL-ViT and OWLv2, as their authors and transformers prepare them."""

from collections.abc import Sequence

import cv2
import numpy as np

from engines.models.model import TowerSpec
from engines.models.owl import Owl
from pipeline.arrays import Array
from stages.pictures import frame_pictures

GREY = 0.5
"""Around pictures for OWLv2: what its authors' code has; transformers 5 has black there by mistake (its version 4 had
grey, too)."""
TRUNCATE = 4.0
"""Standard deviations after which a Gaussian ends."""


def pictures_of(frames: Sequence[Array], owl: Owl) -> Array:
    """Frames uint8 "H W 3" of one size -> float32 "N 3 S S", normalised."""
    if owl.kind == "owlvit":
        return frame_pictures(np.stack(frames), owl.image)
    squares = np.stack([resized(padded(frame), owl.image.size_px) for frame in frames])
    return normalised(squares, owl.image)


def seen_size(height: int, width: int, owl: Owl) -> tuple[int, int]:
    """Width and height, in pixels of a frame, of what the network's picture shows."""
    return (width, height) if owl.kind == "owlvit" else (max(width, height),) * 2


def padded(frame: Array) -> Array:
    """uint8 "H W 3" -> float32 "S S 3" in [0, 1], grey below or on the right."""
    height, width = frame.shape[:2]
    square = np.full((max(height, width),) * 2 + (3,), GREY, np.float32)
    square[:height, :width] = frame
    square[:height, :width] /= 255
    return square


def resized(square: Array, side: int) -> Array:
    """float32 "S S 3" -> "side side 3": smoothed, then interpolated linearly, as scikit-image does."""
    factor = len(square) / side
    if factor > 1:
        sigma = (factor - 1) / 2
        width = 2 * int(TRUNCATE * sigma + 0.5) + 1
        square = cv2.GaussianBlur(square, (width, width), sigma, borderType=cv2.BORDER_REFLECT_101)
    small: Array = cv2.resize(square, (side, side), interpolation=cv2.INTER_LINEAR)
    return small


def normalised(squares: Array, tower: TowerSpec) -> Array:
    """float32 "N S S 3" in [0, 1] -> "N 3 S S"."""
    mean, std = np.array(tower.mean, np.float32), np.array(tower.std, np.float32)
    return np.ascontiguousarray(((squares - mean) / std).transpose(0, 3, 1, 2))
