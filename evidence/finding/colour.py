"""The colour of a thing in a box, from its pixels."""

import cv2
import numpy as np

from pipeline.arrays import Array

SIDE_PX = 48
"""Boxes are looked at in this size."""
AROUND = 0.25
"""Width of the surroundings of a box that are compared with it, in sides of it."""
BINS = 8
"""Of each channel, for the comparison."""
EVEN = 0.12
"""Share of a thing in a colour at which it is as well called by it as not."""
LIGHTNESS = 0.45
"""Weight of lightness beside the other two axes of Lab: light and dark red are both red."""
NAMES = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
_EXAMPLES = {
    "red": ("e01010", "b01020", "ff4040", "801018", "c83838"),
    "orange": ("ff8000", "e07010", "ffa040", "d06010"),
    "yellow": ("ffe000", "e0c020", "fff080", "c0a818", "f0d850"),
    "green": ("10a010", "208030", "60d060", "205020", "90c040", "508050", "40e040", "0a6a3a"),
    "blue": ("1040e0", "2060a0", "60a0f0", "102060", "20b0d0", "4070c0", "88b8e8"),
    "purple": ("8020c0", "602080", "a060d0", "402060", "9050a0"),
    "pink": ("ff80b0", "ffb0c8", "f050a0", "e890a8", "d070a0"),
    "brown": ("804818", "603818", "a06838", "402810", "b08858", "8a6a48", "c0a078"),
    "black": ("080808", "181818", "282828", "202428", "281c18"),
    "white": ("ffffff", "f0f0f0", "e4e4e0", "f4f0e0"),
    "grey": ("808080", "a0a0a0", "606060", "b8b8b8", "484848", "788088", "989088"),
}


def colour_shares(frame: Array, boxes: Array) -> Array:
    """The share of each colour of `NAMES` in the thing in each box: uint8 "H W 3", "N 4" -> "N C".

    A pixel counts by how near it is to the middle, and by how much commoner its colour is in the box than around it
    (the histogram with weighted background of Comaniciu, Ramesh and Meer 2003, section 6.1).
    """
    return np.stack([_shares(frame, box) for box in boxes]) if len(boxes) else np.zeros((0, len(NAMES)))


def called(share: Array) -> Array:
    """How well a thing is called by a colour of which it has this share, in [0, 1)."""
    fits: Array = share / (share + EVEN)
    return fits


def _shares(frame: Array, box: Array) -> Array:
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = (float(side) for side in box)
    more_x, more_y = AROUND * (x1 - x0), AROUND * (y1 - y0)
    left, top = max(0, int(x0 - more_x)), max(0, int(y0 - more_y))
    right, bottom = min(width, int(np.ceil(x1 + more_x))), min(height, int(np.ceil(y1 + more_y)))
    if right - left < 2 or bottom - top < 2:
        return np.zeros(len(NAMES))
    small = cv2.resize(frame[top:bottom, left:right], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    x = left + (np.arange(SIDE_PX) + 0.5) * (right - left) / SIDE_PX
    y = top + (np.arange(SIDE_PX) + 0.5) * (bottom - top) / SIDE_PX
    across, down = (2 * x - x0 - x1) / max(x1 - x0, 1e-6), (2 * y - y0 - y1) / max(y1 - y0, 1e-6)
    is_inside = (abs(across)[None] <= 1) & (abs(down)[:, None] <= 1)
    weight = np.exp(-(across[None] ** 2 + down[:, None] ** 2)) * is_inside
    weight = weight * _foreground(small, weight, ~is_inside)
    names = _names(small)
    shares = np.bincount(names.ravel(), weight.ravel(), len(NAMES))
    total: Array = shares / max(float(weight.sum()), 1e-9)
    return total


def _foreground(pixels: Array, weight: Array, is_around: Array) -> Array:
    """For each pixel "h w", how much commoner its colour is inside than around, in [0, 1]."""
    bins = (pixels // (256 // BINS)).astype(int)
    number = (bins[..., 0] * BINS + bins[..., 1]) * BINS + bins[..., 2]
    inside = np.bincount(number.ravel(), weight.ravel(), BINS**3)
    around = np.bincount(number.ravel(), is_around.ravel().astype(float), BINS**3)
    inside, around = inside / max(inside.sum(), 1e-9), around / max(around.sum(), 1e-9)
    share: Array = (inside / np.maximum(inside + around, 1e-12))[number]
    return share


def _names(pixels: Array) -> Array:
    """For each pixel the colour of `NAMES` whose examples are nearest in Lab: "h w 3" -> int "h w"."""
    lab, owner = _table()
    values = _lab(pixels).reshape(-1, 3)
    nearest = ((values[:, None] - lab[None]) ** 2).sum(axis=2).argmin(axis=1)
    names: Array = owner[nearest].reshape(pixels.shape[:2])
    return names


def _table() -> tuple[Array, Array]:
    colours = [(bytes.fromhex(text), number) for number, name in enumerate(NAMES) for text in _EXAMPLES[name]]
    pixels = np.array([list(each) for each, _ in colours], np.uint8)[None]
    return _lab(pixels)[0], np.array([number for _, number in colours])


def _lab(pixels: Array) -> Array:
    lab: Array = cv2.cvtColor(np.ascontiguousarray(pixels, np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab[..., 0] *= LIGHTNESS
    return lab
