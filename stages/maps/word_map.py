"""Where words are in a picture: the log-odds of each word in each pixel, from what a tower reads in each cell.

The words of a run are compared with a cell as with a whole picture (`stages.words`): against the model's background
vocabulary, never against each other. So another word moves no map, and 0 is a probability of one half everywhere.
"""

from dataclasses import dataclass

import numpy as np

from engines.models.patch_tower import PatchTower
from pipeline.arrays import Array
from stages.encode import unit
from stages.maps.cells import Squares, guided, spread, square_pictures
from stages.words.label_side import LabelSide

SHARPNESS = 4.0
"""Exponent of the likeness of two cells: with more, fewer cells speak for each other."""
EDGES = 0.07
"""Radius in which a map's edges move to those of the picture, in sides of a square."""


@dataclass(frozen=True)
class WordMap:
    """Log-odds of words in one picture."""

    cells: Array
    """float64 "N C r c": of each word in each cell of each square."""
    pixels: Array
    """float32 "C H W"."""

    @property
    def peaks(self) -> Array:
        """The highest log-odds of each word in a cell, "C"."""
        highest: Array = self.cells.max(axis=(0, 2, 3))
        return highest


def word_map(frame: Array, tower: PatchTower, side: LabelSide, smooth: bool = True) -> WordMap:
    """The map of the words of `side` for a frame uint8 "H W 3".

    smooth: cells that are alike speak for each other, see `propagated`.
    """
    patches = tower.engine.run({"pictures": square_pictures(frame, tower.tower)})["patches"].astype(np.float32)
    patches = np.stack([propagated(each) for each in patches]) if smooth else patches
    cells = cell_odds(patches, side, tower.grid)
    pixels = spread(cells, *frame.shape[:2])
    radius_px = max(1, round(EDGES * Squares.of(*frame.shape[:2]).side))
    return WordMap(cells, guided(pixels, frame, radius_px) if smooth else pixels)


def cell_odds(patches: Array, side: LabelSide, grid: tuple[int, int]) -> Array:
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
