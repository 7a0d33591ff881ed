"""The colour of a thing in a box, from its pixels."""

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
MAIN, OF_MOST = 0.25, 0.6
"""Share of a main colour at least: of the thing, and of its commonest colour."""
NAMES = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
"""The basic terms of English (Berlin and Kay 1969)."""
_NUMBER = {name: number for number, name in enumerate(NAMES)}
_TELLS = np.array([2.0] * 8 + [1.0, 1.0, 0.5])
"""Weights of the names: tyres, windows and shadows of a red bus are grey and black, and nobody calls it by these."""
PAPER = 95
"""Percentile of the picture's pixels, by their highest channel, that is taken for white; at most twice as dark."""
HUES = (
    (40, "red"),
    (65, "orange"),
    (106, "yellow"),
    (175, "green"),
    (305, "blue"),
    (325, "purple"),
    (345, "pink"),
    (360, "red"),
)
"""Until which angle in Lab, in degrees."""
DIM, BRIGHT, UNLIT = 36, 60, 14
"""Lightness below which what has no hue is black, from which it is white, and below which nothing has a hue."""
HUELESS, HUELESS_WARM = 10, 14
"""Chroma below which nothing has a hue; wood, sand and lamps make a little of red to yellow."""


def colour_shares(frame: Array, boxes: Array) -> Array:
    """The share of each colour of `NAMES` in the thing in each box: uint8 "H W 3", "N 4" -> "N C", of sum 1 or 0.

    As in colour naming (van de Weijer, Schmid, Verbeek and Larlus 2009), each pixel has a name; here by lightness,
    chroma and hue. A pixel counts by how near it is to the middle, and by how much commoner its colour is in the box
    than around it (the histogram with weighted background of Comaniciu, Ramesh and Meer 2003, section 6.1).
    """
    if not len(boxes):
        return np.zeros((0, len(NAMES)))
    white = max(float(np.percentile(frame[::4, ::4].max(axis=2), PAPER)), 127.5)
    return np.stack([_shares(frame, box, white) for box in boxes])


def called(share: Array) -> Array:
    """How well a thing is called by a colour of which it has this share, in [0, 1)."""
    fits: Array = share / (share + EVEN)
    return fits


def main_colours(share: Array) -> frozenset[str]:
    """The names that a thing with these shares "C" is called by."""
    least = max(MAIN, OF_MOST * float(share.max()))
    return frozenset(name for name, each in zip(NAMES, share.tolist(), strict=True) if each >= least)


def _shares(frame: Array, box: Array, white: float) -> Array:
    import cv2  # not on top: what follows tracks needs names alone

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
    lit = small / np.float32(white)
    names = _names(lit / np.maximum(lit.max(axis=2, keepdims=True), 1.0))
    shares = np.bincount(names.ravel(), weight.ravel(), len(NAMES)) * _TELLS
    total: Array = shares / max(float(shares.sum()), 1e-9)
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
    """For each pixel the number of its name in `NAMES`: float32 "h w 3" in [0, 1] -> int "h w"."""
    import cv2

    light, a, b = np.moveaxis(cv2.cvtColor(np.ascontiguousarray(pixels, np.float32), cv2.COLOR_RGB2LAB), 2, 0)
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    is_red, is_orange, is_yellow = (hue < 40) | (hue >= 345), (hue >= 40) & (hue < 65), (hue >= 65) & (hue < 106)
    is_warm = (hue >= 30) & (hue < 110)
    is_hueless = (chroma < np.where(is_warm, HUELESS_WARM, HUELESS)) | (light < UNLIT)
    is_brown = is_orange & ((light < 52) | (chroma < 45)) | is_yellow & ((light < 50) | (chroma < 35))
    is_brown |= is_red & (hue >= 20) & (hue < 40) & (chroma < 32) & (light < 55)
    named = [
        (is_hueless & (light < DIM), "black"),
        (is_hueless & (light > BRIGHT), "white"),
        (is_hueless, "grey"),
        (is_brown, "brown"),
        (is_red & (light > 60) & (chroma < 55), "pink"),
        ((hue >= 325) & (hue < 345) & (light < 40), "purple"),
        *((hue < until, name) for until, name in HUES),
    ]
    names: Array = np.select([holds for holds, _ in named], [_NUMBER[name] for _, name in named], _NUMBER["red"])
    return names
