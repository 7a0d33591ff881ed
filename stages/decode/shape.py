"""The shape of pictures: their upright size with square pixels, and whether it changes under way."""

from fractions import Fraction
from typing import Any

import av
import numpy as np

from pipeline.arrays import Array
from stages.decode.picture import upright_size

ALIKE = 0.03
"""Widths over heights that differ by less are the same shape: encoders round sizes."""
SAMPLES = 32
"""Places at which a long stretch is looked at for another shape."""

Size = tuple[int, int]
"""Width and height in pixels."""


def are_alike(one: Size, other: Size) -> bool:
    """Whether two sizes have the same shape, or nearly."""
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) < ALIKE


def fit_within(size: Size, into: Size) -> Size:
    """The largest size of the same shape within another; that one itself if the shapes are alike."""
    if are_alike(size, into):
        return into
    scale = min(into[0] / size[0], into[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def with_bars(picture: Array, size: Size) -> Array:
    """A picture "h w 3" in the middle of a black one "H W 3"."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    framed = np.zeros((size[1], size[0], 3), picture.dtype)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    framed[top : top + height, left : left + width] = picture
    return framed


class Shapes:
    """The shapes of the pictures of one stream, in order."""

    def __init__(self, stream: Any) -> None:
        self.size: Size = (0, 0)
        """Of the current stretch, as the first picture of that shape has it."""
        self.turns = 0
        """How often the shape changed."""
        self._stream = stream
        self._first_aspect: Fraction | None = None
        self._known: dict[tuple[int, int, int, Fraction | None], Size] = {}

    def aspect(self, context: Any) -> Fraction | None:
        """The pixel aspect of what was decoded last: the container's, and what the codec changed since the start."""
        coded: Fraction | None = context.sample_aspect_ratio
        if self._first_aspect is None:
            self._first_aspect = coded
        told: Fraction | None = self._stream.sample_aspect_ratio
        if not coded or coded == self._first_aspect:
            return told or coded
        return told / self._first_aspect * coded if told and self._first_aspect else coded

    def of(self, frame: Any, aspect: Fraction | None) -> Size:
        key = (frame.width, frame.height, frame.rotation, aspect)
        if key not in self._known:
            self._known[key] = upright_size(frame, aspect)
        return self._known[key]

    def follow(self, size: Size, following: Size | None) -> None:
        """Go on with a picture. A single one of another shape, before one of the current shape, is no turn."""
        if self.size == (0, 0):
            self.size = size
        elif following is not None and not are_alike(size, self.size) and not are_alike(following, self.size):
            self.size, self.turns = size, self.turns + 1

    def is_other(self, size: Size) -> bool:
        """Whether a size has another shape than the pictures before."""
        return self.size not in ((0, 0), size) and not are_alike(size, self.size)


def keeps_shape(container: Any, stream: Any, first: Size, ticks: int) -> bool:
    """Whether key pictures from the start to a time of the stream have the shape `first`: evenly spaced samples.

    A turn and back that lasts less than the distance between two samples can be missed.
    """
    stream.codec_context.skip_frame = "NONKEY"
    shapes, start = Shapes(stream), stream.start_time or 0
    for place in range(SAMPLES, 0, -1):
        try:
            container.seek(start + (ticks - start) * place // SAMPLES, stream=stream)
            frame = next(container.decode(stream))
        except (av.error.FFmpegError, StopIteration):
            return False
        if not are_alike(shapes.of(frame, shapes.aspect(stream.codec_context)), first):
            return False
    return True
