"""Attributes that are measured: size and place among the candidates for a thing, motion from tracks."""

import numpy as np

from evidence.finding.candidates import Candidates
from pipeline.arrays import Array
from pipeline.result import Movement
from stages.boxes import areas, box_cover
from stages.colours import NAMES, called, colour_shares
from stages.phrase.parts import Attribute
from stages.track.movement import STILL

RIVAL = 0.25
"""A box competes for being the biggest or the leftmost if the thing's name fits it at least so well, in shares of the
best."""
SAME = 0.6
"""Share of the smaller of two boxes that lies in the other one, from which they are around one thing."""
STEP_SIZE, STEP_PLACE = 0.15, 0.06
"""Difference that counts clearly: in the logarithm of a length, in sides of the picture."""
FAST = 0.8
"""Boxes per second from which a thing is fast."""
OF_ALL = 0.7
"""Weight of the order among rivals beside the place in the picture."""
UNKNOWN = 0.25
"""Of a box that no track belongs to, where others are followed."""


def measured(attribute: Attribute, frame: Array, found: Candidates, fits: Array) -> tuple[Array | None, str]:
    """How far an attribute is true of each candidate, "N" in [0, 1]; or None, and why it cannot be measured.

    fits: "N", how well the thing's name fits each.
    """
    if attribute.kind == "colour":
        shares = colour_shares(frame, found.boxes)
        return called(shares[:, NAMES.index(attribute.value)]), ""
    if attribute.kind in ("size", "place"):
        best = tightest(found.boxes, fits)
        boxes, rivals = found.boxes[best], (fits >= RIVAL * fits.max(initial=0.0)) & (best == np.arange(len(best)))
        if attribute.kind == "place":
            return _place(attribute.value, boxes, frame.shape[1], frame.shape[0], rivals), ""
        return (_size(attribute.value, boxes, rivals), "") if rivals.sum() > 1 else (None, "there is only one")
    if attribute.kind == "motion":
        if not any(found.moves):
            return None, "nothing is followed here long enough"
        return np.array([_motion(attribute.value, move) for move in found.moves]), ""
    return None, "only the whole film tells it"


def tightest(boxes: Array, fits: Array) -> Array:
    """For each box the one that fits best of those around the same thing, "N": a loose box makes nothing bigger."""
    same = box_cover(boxes, boxes) >= SAME
    best: Array = np.where(same, fits[None], -1.0).argmax(axis=1)
    return best


def among(values: Array, rivals: Array, step: float) -> Array:
    """How clearly each value "N" is above those of its rivals, in [0, 1]. What has the same value is no rival."""
    result = np.empty(len(values))
    for row in range(len(values)):
        others = values[rivals & (values != values[row])]
        room = values[row] - others.max() if len(others) else 0.0
        result[row] = 1 / (1 + np.exp(-np.clip(room / step, -30, 30)))
    return result


def _size(value: str, boxes: Array, rivals: Array) -> Array:
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    lengths = {"big": np.sqrt(areas(boxes)), "tall": height, "wide": width}
    opposite = {"small": "big", "short": "tall", "narrow": "wide"}
    length = np.log(np.maximum(lengths[opposite.get(value, value)], 1e-6))
    return among(-length if value in opposite else length, rivals, STEP_SIZE)


def _place(value: str, boxes: Array, width: int, height: int, rivals: Array) -> Array:
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2 / width, (boxes[:, 1] + boxes[:, 3]) / 2 / height
    ends = boxes[:, 3] / height
    if value == "middle":
        return 1 / (1 + np.exp((np.hypot(x - 0.5, (y - 0.5) / 2) - 0.17) / STEP_PLACE))
    ways = {"left": 1 - x, "right": x, "top": 1 - y, "bottom": y, "nearest": ends, "farthest": 1 - ends}
    along = ways[value]
    alone = 1 / (1 + np.exp(-(along - 0.5) / STEP_PLACE))
    if rivals.sum() < 2:
        return alone
    mixed: Array = OF_ALL * among(along, rivals, STEP_PLACE) + (1 - OF_ALL) * alone
    return mixed


def _motion(value: str, move: Movement | None) -> float:
    if move is None:
        return UNKNOWN
    speed, words = move.speed, move.word.split()
    if value == "still":
        return float(1 / (1 + np.exp((speed - STILL) / (STILL / 3))))
    if value == "moving":
        return float(1 / (1 + np.exp(-(speed - STILL) / (STILL / 3))))
    if value == "fast":
        return float(1 / (1 + np.exp(-(speed - FAST) / (FAST / 3))))
    return 0.95 if value in words else 0.05
