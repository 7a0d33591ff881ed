"""Where words are in a picture: the log-odds of each word in each pixel, from what a tower reads in each cell.

The words of a run are compared with a cell as with a whole picture (`stages.words`): against the model's background
vocabulary, never against each other. So another word moves no map, and 0 is a probability of one half everywhere.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engines.models.patch_tower import PatchTower
from pipeline.arrays import Array
from stages.encode import unit
from stages.maps.cells import FINE, guided, spread, square_pictures, squares

SHARPNESS = 4.0
"""Exponent of the likeness of two cells: with more, fewer cells speak for each other."""
EDGES = 0.07
"""Radius in which a map's edges move to those of the picture, in short sides of it."""


class Compares(Protocol):
    """What is looked for: words, which are a `LabelSide`, or exemplars."""

    def compare(self, embeddings: Array) -> tuple[Array, Array, Array]:
        """See `LabelSide.compare`."""


@dataclass(frozen=True)
class WordMap:
    """Log-odds of words in one picture.

    pixels: float32 "C H W". peaks: the highest of each word, "C", and where it is, as row and column "C 2"; these are
        from before edges were moved.
    """

    pixels: Array
    peaks: Array
    places: Array


def word_map(frame: Array, tower: PatchTower, side: Compares, smooth: bool = True, fine: bool = True) -> WordMap:
    """The map of the words of `side` for a frame uint8 "H W 3".

    smooth: cells that are alike speak for each other, see `propagated`; and edges move to those of the frame. fine:
        the mean of two maps, from large and from small squares.
    """
    height, width = frame.shape[:2]
    scales = [squares(height, width, share) for share in ((1.0, FINE) if fine else (1.0,))]
    pictures = [square_pictures(frame, places, tower.tower) for places in scales]
    patches = tower.engine.run({"pictures": np.concatenate(pictures)})["patches"].astype(np.float32)
    patches = np.stack([propagated(each) for each in patches]) if smooth else patches
    cells = np.split(cell_odds(patches, side, tower.grid), np.cumsum([len(places) for places in scales])[:-1])
    fields = [spread(each, places, height, width) for each, places in zip(cells, scales, strict=True)]
    pixels: Array = np.stack(fields).mean(axis=0)
    flat = pixels.reshape(len(pixels), -1)
    highest = flat.argmax(axis=1)
    places = np.stack(np.unravel_index(highest, (height, width)), axis=1)
    peaks = np.take_along_axis(flat, highest[:, None], axis=1)[:, 0].astype(np.float64)
    radius_px = max(1, round(EDGES * min(height, width)))
    return WordMap(guided(pixels, frame, radius_px) if smooth else pixels, peaks, places)


def cell_odds(patches: Array, side: Compares, grid: tuple[int, int]) -> Array:
    """Log-odds of each word in each patch: "N P D" -> "N C r c"."""
    count, places, _ = patches.shape
    odds = side.compare(unit(patches.reshape(count * places, -1)))[2]
    shaped: Array = odds.reshape(count, *grid, -1).transpose(0, 3, 1, 2)
    return shaped


def propagated(patches: Array, sharpness: float = SHARPNESS) -> Array:
    """Each patch "P D" as the mean of all, weighted by how alike they are: the pixel propagation of PixPro (Xie et al.
    2021, arXiv 2011.10043, equation 4) without its learnt transformation, max(cosine, 0) ** sharpness."""
    vectors = unit(patches)
    alike = np.clip(vectors @ vectors.T, 0, None) ** sharpness
    mixed: Array = (alike / np.maximum(alike.sum(axis=1, keepdims=True), 1e-12)) @ patches
    return mixed
