"""What it costs to say that a detection continues a track."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Array
from stages.boxes import Box, BoxKind, box_cover, box_iou
from stages.track.association import FORBIDDEN
from stages.track.motion_model import MovingBox
from stages.track.options import TrackerOptions
from stages.track.state import TrackMemory


@dataclass(frozen=True)
class Detection:
    box: Box
    score: float
    vector: Array | None = None
    """Unit length "D": what its crop looks like, or else the place of the picture that it is in; None if unknown."""
    is_crop: bool = True
    kind: BoxKind = BoxKind.MOTION
    name: str = ""
    """What the detector calls it; "" if it gives no names."""
    colours: Array | None = None
    """Shares of the colours of `stages.colours.NAMES`, "C"; None if they were not measured."""


@dataclass(frozen=True)
class Candidate:
    """A track and its predicted box."""

    track: TrackMemory
    now: MovingBox


def by_place(candidates: Sequence[Candidate], found: Sequence[Detection], options: TrackerOptions) -> Array:
    """Cost of every pairing, float64 "N M": half overlap, half distance, plus appearance if both are known."""
    expected = np.array([c.now.box for c in candidates])
    boxes = np.array([d.box for d in found])
    size = np.array([c.now.size for c in candidates])[:, None]
    deviation = np.array([(c.now.x.value_variance, c.now.y.value_variance) for c in candidates])
    offset = (boxes[None, :, :2] + boxes[None, :, 2:] - expected[:, None, :2] - expected[:, None, 2:]) / 2
    spread = deviation[:, None] + (options.motion.place * size[..., None]) ** 2
    distance = np.sqrt((offset**2 / spread).sum(axis=2))
    iou, cover = box_iou(expected, boxes), box_cover(expected, boxes)
    # A part of an object, or an object with its shadow, has a low IoU although one box is inside the other.
    overlap = np.maximum(iou, 0.5 * cover)
    cost = 1 - 0.5 * overlap - 0.5 * np.exp(-0.5 * (distance / 2) ** 2) + of_appearance(candidates, found, options)
    near = (distance <= options.gate) & (np.linalg.norm(offset, axis=2) <= options.reach * size)
    allowed = (near | (iou > 0.3) | (cover > options.cover)) & (cost <= options.most_cost)
    return np.where(allowed, cost, FORBIDDEN)


def by_overlap(
    candidates: Sequence[Candidate], found: Sequence[Detection], least: float, options: TrackerOptions
) -> Array:
    """Cost of every pairing, float64 "N M": what is missing of full overlap, plus appearance if both are known.

    least: intersection over union below which nothing matches.
    """
    iou = box_iou(np.array([c.now.box for c in candidates]), np.array([d.box for d in found]))
    return np.where(iou >= least, 1 - iou + of_appearance(candidates, found, options), FORBIDDEN)


def of_appearance(candidates: Sequence[Candidate], found: Sequence[Detection], options: TrackerOptions) -> Array:
    """Cost of different appearance, "N M"; 0 if either is unknown."""
    cost = np.zeros((len(candidates), len(found)))
    seen = [(j, vector) for j, detection in enumerate(found) if (vector := detection.vector) is not None]
    for i, candidate in enumerate(candidates if seen else ()):
        known = candidate.track.vector()
        for j, vector in seen:
            if known is not None and len(known) == len(vector):
                cost[i, j] = options.appearance_weight * (1 - float(known @ vector))
    return cost
