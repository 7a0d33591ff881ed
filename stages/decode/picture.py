"""Converts a decoded picture to RGB: upright, square pixels, the requested size, in one scaling step."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from pipeline.arrays import Array

AV_COLORSPACE_UNSPECIFIED = 2
HD_LINES = 720
SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Antialiased bicubic with exact rounding: within about 1/255 of PIL's on the same picture."""


@dataclass(frozen=True)
class Orientation:
    """How the stored picture is turned upright: transposed first, then mirrored."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def apply(self, picture: Array) -> Array:
        """ "H W 3" -> upright "H W 3"."""
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        if self.mirror_x:
            picture = picture[:, ::-1]
        if self.mirror_y:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


UPRIGHT = Orientation()


def orientation(frame: Any) -> Orientation:
    """The orientation in the display matrix (x' = a x + c y, y' = b x + d y), to the nearest quarter turn."""
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return UPRIGHT
    matrix = np.frombuffer(side_data, np.int32)
    if matrix.size < 9:
        return UPRIGHT
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def upright_size(frame: Any, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height as shown: square pixels, turned upright."""
    aspect = pixel_aspect if pixel_aspect and Fraction(1, 20) < pixel_aspect < 20 else Fraction(1)
    width, height = max(1, round(frame.width * aspect)), frame.height
    return (height, width) if orientation(frame).transpose else (width, height)


def fit_size(width: int, height: int, short_side_px: int, long_side_px: int) -> tuple[int, int]:
    """Width and height of the frames: within both limits, never larger than the source."""
    scale = min(1.0, short_side_px / min(width, height), long_side_px / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


class PictureConverter:
    """Converts pictures of any size and format to one size, so that all frames of a source have the same shape."""

    def __init__(self, width: int, height: int, max_pixels: int) -> None:
        self.width = width
        self.height = height
        self.max_pixels = max_pixels
        self._reformatter = VideoReformatter()
        self._fields: dict[tuple[int, int, str], Graph] = {}
        self._turns: dict[tuple[int, int, int], Orientation] = {}

    def convert(self, frame: Any) -> Array:
        """An `av.VideoFrame` -> uint8 "H W 3".

        Raises:
            ValueError: the picture has more pixels than the limit.
        """
        if frame.width * frame.height > self.max_pixels:
            raise ValueError(f"{frame.width}x{frame.height} pixels, more than the limit of {self.max_pixels}")
        turn = self._turn(frame)
        if frame.interlaced_frame and frame.height >= 4:
            frame = self._top_field(frame)
        width, height = (self.height, self.width) if turn.transpose else (self.width, self.height)
        return turn.apply(self._scaled(frame, width, height))

    def _turn(self, frame: Any) -> Orientation:
        """Read once per size and rotation: PyAV's `side_data` ties a frame into a reference cycle, and pictures would
        accumulate until the cyclic garbage collector runs (300 MB at 720p)."""
        key = (frame.width, frame.height, frame.rotation)
        if key not in self._turns:
            self._turns[key] = orientation(frame)
        return self._turns[key]

    def _scaled(self, frame: Any, width: int, height: int) -> Array:
        colorspace: int | None = None
        if frame.colorspace == AV_COLORSPACE_UNSPECIFIED and not frame.format.is_rgb:
            colorspace = Colorspace.ITU709 if frame.height >= HD_LINES else Colorspace.ITU601
        try:
            picture = self._reformat(frame, width, height, colorspace)
        except (av.error.FFmpegError, ValueError):
            # swscale refuses a few exotic matrices; a slightly wrong hue is better than no picture.
            picture = self._reformat(frame, width, height, Colorspace.ITU709)
        array: Array = picture.to_ndarray()
        return array

    def _reformat(self, frame: Any, width: int, height: int, colorspace: int | None) -> Any:
        return self._reformatter.reformat(
            frame,
            width,
            height,
            "rgb24",
            src_colorspace=colorspace,
            interpolation=SCALING,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )

    def _top_field(self, frame: Any) -> Any:
        """Every second line: an interlaced picture shows two moments, and combing is worse than half the height."""
        key = (frame.width, frame.height, frame.format.name)
        graph = self._fields.get(key)
        if graph is None:
            graph = self._fields[key] = Graph()
            graph.threads = 1
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
            )
            field, sink = graph.add("field", "top"), graph.add("buffersink")
            source.link_to(field)
            field.link_to(sink)
            graph.configure()
        graph.push(frame)
        return graph.pull()
