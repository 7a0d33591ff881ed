"""From the log-odds of words in each pixel to parts of the picture: by word, by object, or both.

There is one set of parts, and three ways to tell it (DaTaSeg, Gu et al. 2023, arXiv 2306.01736): `semantic` merges the
parts of a word, `instance` leaves out what cannot be counted, `panoptic` has all. So the three agree pixel by pixel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.arrays import Array
from pipeline.errors import ConfigError
from stages.maps.stuff import is_stuff

BEGINS, ENDS = 0.5, 0.3
"""A word is in a picture if its probability reaches the first somewhere, and its parts end where it falls below the
second: as events begin and end. Where words divide a picture, the second is enough."""
OF_PEAK = 0.4
"""They also end where the word's log-odds fall below this share of their peak: a cell sees more than its own place, so
the surroundings of a thing look like it, too."""
HANDICAP = 0.5
"""Where words divide a picture, share of its own peak that each word's log-odds are lowered by, for the same reason:
what is very sure in the middle of a thing would win its surroundings from all others."""
RAGGED = 0.012
"""Edges of parts are smoothed over this share of the short side, on each side of a pixel."""
LEAST_AREA = 0.003
"""Share of the picture below which a part is noise."""
KINDS = ("semantic", "instance", "panoptic")


@dataclass(frozen=True)
class Part:
    """One part of a picture.

    number: its value in the panoptic mask. label: the number of its word. box: x0 y0 x1 y1 in pixels, half-open. area:
    share of the picture. score: the mean probability of its word over it.
    """

    number: int
    label: int
    box: tuple[int, int, int, int]
    area: float
    score: float
    is_thing: bool


@dataclass(frozen=True)
class Segments:
    """The parts of one picture.

    panoptic: int32 "H W", the number of the part of each pixel, from 1; 0 is unknown. parts: in the order of numbers.
    """

    panoptic: Array
    parts: tuple[Part, ...]

    def mask(self, kind: str) -> Array:
        """int32 "H W": "panoptic" and "instance" have numbers of parts, "semantic" of words, from 1; 0 is unknown.

        Raises: ConfigError: there is no such kind.
        """
        if kind not in KINDS:
            raise ConfigError(f"--as {kind}: unknown; expected one of {', '.join(KINDS)}")
        values = {
            "panoptic": [part.number for part in self.parts],
            "instance": [part.number if part.is_thing else 0 for part in self.parts],
            "semantic": [part.label + 1 for part in self.parts],
        }
        table = np.array([0, *values[kind]], np.int32)
        mask: Array = table[self.panoptic]
        return mask


def segments(
    odds: Array, peaks: Array, words: Sequence[str], boxes: Mapping[int, Array] | None = None, fill: bool = False
) -> Segments:
    """The parts of a picture from the log-odds "C H W" of words and the peaks of each, "C".

    boxes: by the number of a word "N 4", x0 y0 x1 y1 in pixels, around whole objects: a piece of the word is divided
        among those inside it.
    fill: the words that are in the picture divide it among them; otherwise a pixel that none fits is unknown.
    """
    is_there = peaks >= log_odds(ENDS if fill else BEGINS)
    if not is_there.any():
        return Segments(np.zeros(odds.shape[1:], np.int32), ())
    level = odds - (HANDICAP if fill else 0) * np.maximum(peaks, 0).astype(odds.dtype)[:, None, None]
    best = np.where(is_there[:, None, None], level, -np.inf).argmax(axis=0)
    least = np.maximum(log_odds(ENDS), OF_PEAK * peaks)
    known = np.take_along_axis(odds, best[None], axis=0)[0] >= least[best]
    word = smoothed(np.where(known | fill, best + 1, 0), len(words))
    panoptic, parts = np.zeros(best.shape, np.int32), list[Part]()
    for label in np.flatnonzero(is_there).tolist():
        own, is_thing = word == label + 1, not is_stuff(words[label])
        for mask in divided(own, (boxes or {}).get(label)) if is_thing else [own]:
            area = float(mask.mean())
            if area < LEAST_AREA:
                continue
            number = len(parts) + 1
            panoptic[mask] = number
            score = float((1 / (1 + np.exp(-odds[label][mask].astype(np.float64)))).mean())
            parts.append(Part(number, label, box_of(mask), area, score, is_thing))
    return Segments(panoptic, tuple(parts))


def smoothed(numbers: Array, words: int) -> Array:
    """Numbers of words "H W", each the median of those around it: no specks and frayed edges. One of them, always."""
    if words > 254:  # OpenCV's median of large windows has 8 bits
        return numbers
    side = max(1, round(RAGGED * min(numbers.shape)))
    median: Array = cv2.medianBlur(numbers.astype(np.uint8), 2 * side + 1)
    return median.astype(np.int64)


def divided(mask: Array, boxes: Array | None) -> list[Array]:
    """The connected pieces of a mask bool "H W", each divided among the boxes that lie in it, if several do."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    found: list[Array] = []
    for number in range(1, count):
        piece = pieces == number
        inside = [] if boxes is None else [box for box in boxes if _covers(piece, box)]
        found += _shared(piece, np.array(inside)) if len(inside) > 1 else [piece]
    return found


COVERED = 0.5
"""Share of a box that a piece must fill for the box to be an object in it."""
LEAST_OF_PIECE = 0.1
"""Share of a piece that such a box must have."""


def _covers(piece: Array, box: Array) -> bool:
    x0, y0, x1, y1 = (max(0, round(float(side))) for side in box)
    window = piece[y0:y1, x0:x1]
    return bool(window.size and window.mean() >= COVERED and window.sum() >= LEAST_OF_PIECE * piece.sum())


def _shared(piece: Array, boxes: Array) -> list[Array]:
    """Each pixel goes to the box in whose middle it is most, measured in half sides of the box."""
    rows, columns = np.nonzero(piece)
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum((boxes[:, 2:] - boxes[:, :2]) / 2, 1)
    away = np.abs(np.stack([columns, rows], axis=1)[:, None] + 0.5 - middle) / half
    nearest = away.max(axis=2).argmin(axis=1)
    found = []
    for number in range(len(boxes)):
        part = np.zeros_like(piece)
        part[rows[nearest == number], columns[nearest == number]] = True
        found.append(part)
    return found


def box_of(mask: Array) -> tuple[int, int, int, int]:
    """The box around a mask that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def log_odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))
