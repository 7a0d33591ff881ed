"""Things that are looked for by a picture of one, in place of a word.

A thing is the mean of what the tower reads in the cells on it, and its surroundings are the mean of the cells beside it
(prototypes of foreground and background, as in OVDiff: Karazija et al. 2023, arXiv 2306.09316). A cell of another
picture belongs to the thing as far as it is like the one, and not like the other.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from engines.models.patch_tower import PatchTower
from pipeline.arrays import Array
from stages.encode import unit
from stages.maps.cells import Square, square_pictures, squares
from stages.maps.word_map import Compares, propagated

AGAINST = 0.4
"""Weight of the cosine with the surroundings. They look like the thing, since a cell sees more than its own place: with
1, the peak was in the right one of two photos in 70 of 100, with 0.4 in 88."""
HALF = 0.5
"""Share of the likeness of the thing's own cells at which another cell is as likely to be such a thing as not."""
SURE = 3.0
"""Log-odds of a cell that is as like the thing as its own cells are."""
ROOM = 1.5
"""Side of the square that a thing is looked at in, in longer sides of its box."""
CENTRAL = 0.35
"""Standard deviation of the weight of the middle, in sides of the picture, where no box says what is meant."""
EDGE = 0.25
"""Share of the cells that are taken for the edge of such a picture."""


@dataclass(frozen=True)
class Exemplar:
    """thing: unit "D". around: unit "K D", K being 0 or 1. own: the mean `likeness` of the thing's own cells."""

    name: str
    thing: Array
    around: Array
    own: float

    def odds(self, vectors: Array, others: Array) -> Array:
        """Log-odds "N" of unit vectors "N D". others: "M D", other things that are looked for."""
        share = likeness(vectors, self.thing, np.concatenate([self.around, others])) / max(self.own, 1e-6)
        result: Array = SURE * (share - HALF) / (1 - HALF)
        return result


def likeness(vectors: Array, thing: Array, against: Array) -> Array:
    """Cosine of vectors "N D" with the thing, less a part of that with the nearest of what it is not, "K D": "N"."""
    nearest = (vectors @ against.T).max(axis=1) if len(against) else 0.0
    result: Array = vectors @ thing - AGAINST * nearest
    return result


@dataclass(frozen=True)
class Exemplars:
    """Some exemplars. Those of one name are views of one thing; things of other names count as what it is not."""

    every: tuple[Exemplar, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.name for each in self.every))

    def compare(self, embeddings: Array) -> tuple[Array, Array, Array]:
        """Unit "N D" -> cosine with things "N C", cosine with surroundings "N V", log-odds of things "N C"."""
        vectors = np.asarray(embeddings, np.float32)
        similarity, odds = list[Array](), list[Array]()
        for name in self.names:
            views = [each for each in self.every if each.name == name]
            others = [each.thing for each in self.every if each.name != name]
            beside = np.array(others, np.float32).reshape(len(others), vectors.shape[1])
            odds.append(np.max([each.odds(vectors, beside) for each in views], axis=0))
            similarity.append(np.max([vectors @ each.thing for each in views], axis=0))
        around = np.concatenate([each.around for each in self.every])
        return np.stack(similarity, axis=1), vectors @ around.T, np.stack(odds, axis=1)


@dataclass(frozen=True)
class Joined:
    """Words and exemplars beside each other, in this order."""

    parts: tuple[Compares, ...]

    def compare(self, embeddings: Array) -> tuple[Array, Array, Array]:
        similarity, background, odds = zip(*(part.compare(embeddings) for part in self.parts), strict=True)
        return np.concatenate(similarity, axis=1), np.concatenate(background, axis=1), np.concatenate(odds, axis=1)


def exemplar(name: str, frame: Array, box: tuple[float, float, float, float] | None, tower: PatchTower) -> Exemplar:
    """The exemplar in a frame uint8 "H W 3": inside a box in fractions of it, or else what stands out in its middle."""
    height, width = frame.shape[:2]
    places = squares(height, width)
    if box is not None:
        edges = np.array(box) * np.array([width, height] * 2)
        places.append(square_around(edges, height, width))
    pictures = np.concatenate([square_pictures(frame, [each], tower.tower) for each in places])
    patches = tower.engine.run({"pictures": pictures})["patches"].astype(np.float32)
    cells = unit(np.concatenate([propagated(each) for each in patches]))
    centers = np.concatenate([_centers(each, tower.grid) for each in places])
    if box is None:
        on = standing_out(cells, centers / np.array([width, height]))
        beside = ~on
    else:
        inside = ((centers >= edges[:2]) & (centers <= edges[2:])).all(axis=1)
        beside, close = ~inside, np.arange(len(cells)) >= len(cells) - len(patches[-1])
        on = inside & close  # the square about the box alone shows the thing by itself
    thing = unit(cells[on].mean(axis=0, keepdims=True))[0]
    around = unit(cells[beside].mean(axis=0, keepdims=True)) if beside.any() else cells[:0]
    return Exemplar(name, thing, around, float(likeness(cells[on], thing, around).mean()))


def square_around(edges: Array, height: int, width: int) -> Square:
    """A square with some room about a box, x0 y0 x1 y1 in pixels, as far as the picture allows."""
    x0, y0, x1, y1 = edges.tolist()
    side = int(min(max(round(ROOM * max(x1 - x0, y1 - y0)), 8), height, width))
    top, left = ((low + high - side) / 2 for low, high in ((y0, y1), (x0, x1)))
    return Square(round(min(max(top, 0), height - side)), round(min(max(left, 0), width - side)), side)


def _centers(square: Square, grid: tuple[int, int]) -> Array:
    """Where the middle of each cell is: "P 2", x and y in pixels, row by row."""
    rows, columns = grid
    y = square.top + (np.arange(rows) + 0.5) * square.side / rows
    x = square.left + (np.arange(columns) + 0.5) * square.side / columns
    return np.stack([np.tile(x, rows), np.repeat(y, columns)], axis=1)


def standing_out(cells: Array, centers: Array) -> Array:
    """Which cells are the thing in the middle, bool "N": those that are unlike the edges of the picture, by Otsu's
    threshold. cells: unit "N D". centers: "N 2", in fractions of the picture."""
    away = np.abs(centers - 0.5).max(axis=1)
    edge = unit(cells[away >= np.quantile(away, 1 - EDGE)].mean(axis=0, keepdims=True))[0]
    weight = np.exp(-((centers - 0.5) ** 2).sum(axis=1) / (2 * CENTRAL**2))
    value = weight * (1 - cells @ edge)
    grey = np.round(255 * value / max(float(value.max()), 1e-6)).astype(np.uint8)
    level, _ = cv2.threshold(grey[:, None], 0, 255, cv2.THRESH_OTSU)
    on: Array = grey > level
    return on
