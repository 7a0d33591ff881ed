"""Boxes: x0 y0 x1 y1 in pixels, half-open. Detection yields them and tracking follows them."""

from enum import IntEnum

import numpy as np

from pipeline.arrays import Array

Box = tuple[float, float, float, float]
"""x0 y0 x1 y1 in pixels, half-open."""


class BoxKind(IntEnum):
    """What found a box. Boxes of a network are tight and around whole objects; those from motion often are neither."""

    MOTION = 0
    NETWORK = 1


def box_iou(a: Array, b: Array) -> Array:
    """Overlap of every box in `a` with every box in `b`: "N 4", "M 4" -> "N M", in [0, 1].

    Boxes are x0 y0 x1 y1 in pixels. A box without area overlaps nothing.
    """
    shared = shared_area(a, b)
    union = areas(a)[:, None] + areas(b)[None] - shared
    iou: Array = shared / np.maximum(union, 1e-9)
    return iou


def box_cover(a: Array, b: Array) -> Array:
    """Share of the smaller box that is inside the other: "N 4", "M 4" -> "N M", in [0, 1]."""
    smaller = np.minimum(areas(a)[:, None], areas(b)[None])
    cover: Array = shared_area(a, b) / np.maximum(smaller, 1e-9)
    return cover


def areas(boxes: Array) -> Array:
    """Pixels in every box: "N 4" -> "N"."""
    product: Array = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    return product


def shared_area(a: Array, b: Array) -> Array:
    """Pixels that every box in `a` shares with every box in `b`: "N M"."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared: Array = np.prod(np.clip(high - low, 0, None), axis=2)
    return shared
