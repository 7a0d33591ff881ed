"""Converts a decoded picture to RGB: upright, square pixels, the requested size, 8 bits, SDR, nothing transparent."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from pipeline.arrays import Array
from stages.decode.alpha import has_alpha, on_black
from stages.decode.side_data import side_data_of
from stages.decode.tone import BT2020, NAMES, ToneMap, is_hdr, peak_nits

AV_COLORSPACE_UNSPECIFIED = 2
AV_COLORSPACE_BT2020_CL = 10
HD_LINES = 720
SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Antialiased bicubic with exact rounding: within about 1/255 of PIL's on the same picture."""
FAST_SCALING = Interpolation.BICUBIC
"""For pictures that are only looked at: 20 times faster where the size stays, with errors of a few levels."""

LIVE_SCALING = Interpolation.AREA
"""For cameras: antialiased, in 0.4 of the time, with errors of 1 to 2 levels, less than a sensor's noise."""


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
    side_data = side_data_of(frame, "DISPLAYMATRIX")
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


def notes_on_picture(frame: Any) -> list[str]:
    """What the conversion changes beyond size and format."""
    return [f"HDR ({NAMES[frame.color_trc]}) is tone-mapped"] if is_hdr(frame) else []


def assumed_matrix(frame: Any) -> int | None:
    """The YUV matrix of a picture that names none, by its primaries or else its size; None: the picture's own."""
    if frame.colorspace != AV_COLORSPACE_UNSPECIFIED or frame.format.is_rgb:
        return None
    if frame.color_primaries == BT2020:
        return Colorspace.BT2020
    return Colorspace.ITU709 if frame.height >= HD_LINES else Colorspace.ITU601


def is_narrow_grey(frame: Any) -> bool:
    """Whether a picture is grey with limited range, which swscale takes for full range."""
    return bool(frame.color_range == ColorRange.MPEG and frame.format.name.startswith("gray"))


def largest_code(bits: int) -> int:
    """What the largest code of `bits` bits becomes in 16: swscale moves bits to the left, nothing more."""
    return ((1 << bits) - 1) << (16 - bits)


def signal_codes(frame: Any) -> tuple[int, int]:
    """Black and white in the 16-bit RGB that swscale makes of a picture."""
    if is_narrow_grey(frame):
        return 16 << 8, 235 << 8
    name, bits = frame.format.name, frame.format.components[0].bits
    is_full = frame.color_range == ColorRange.JPEG or frame.format.is_rgb or name.startswith(("yuvj", "gray"))
    return 0, largest_code(bits) if is_full else 255 << 8


class PictureConverter:
    """Converts pictures of any size and format to one size, so that all frames of a source have the same shape.

    HDR is tone-mapped (`stages/decode/tone.py`), and what is transparent becomes black (`stages/decode/alpha.py`).
    """

    def __init__(self, width: int, height: int, max_pixels: int, scaling: Interpolation = SCALING) -> None:
        self.width = width
        self.height = height
        self.max_pixels = max_pixels
        self._scaling = scaling
        self._reformatter = VideoReformatter()
        self._fields: dict[tuple[int, int, str], Graph] = {}
        self._turns: dict[tuple[int, int, int], Orientation] = {}
        self._peaks_nits: dict[int, float] = {}
        self._tones: dict[tuple[int, int, int, int], ToneMap] = {}

    def starting_with(self, frame: Any) -> "PictureConverter":
        """The converter itself, with the peak of HDR light from the first picture of a source.

        Without it, the first picture to be converted gives the peak.
        """
        if is_hdr(frame) and frame.color_trc not in self._peaks_nits:
            self._peaks_nits[frame.color_trc] = peak_nits(frame)
        return self

    def convert(self, frame: Any, like: Any | None = None) -> Array:
        """An `av.VideoFrame` -> uint8 "H W 3".

        like: a frame at full size that tells how this one is turned and coloured, if this one was made smaller.

        Raises:
            ValueError: the picture has more pixels than the limit.
        """
        if frame.width * frame.height > self.max_pixels:
            raise ValueError(f"{frame.width}x{frame.height} pixels, more than the limit of {self.max_pixels}")
        self.starting_with(frame)
        turn, matrix = self._turn(like or frame), assumed_matrix(like or frame)
        if frame.interlaced_frame and frame.height >= 4:
            frame = self._top_field(frame)
        if has_alpha(frame.format.name):
            frame = self._on_black(frame, matrix)
            matrix = assumed_matrix(frame)
        width, height = (self.height, self.width) if turn.transpose else (self.width, self.height)
        if is_hdr(frame) or is_narrow_grey(frame):
            picture = self._deep(frame, width, height, matrix)
        else:
            picture = self._scaled(frame, width, height, self._packing(frame, width, height), matrix).to_ndarray()
        return turn.apply(picture)

    def _packing(self, frame: Any, width: int, height: int) -> str:
        """The RGB format to scale to. swscale makes planes in half the time that packed pixels take, with the same
        values at `SCALING`; at the others it keeps more colour. Only where the size stays it has a shorter way."""
        stays = (width, height) == (frame.width, frame.height) and self._scaling != SCALING
        return "rgb24" if stays else "gbrp"

    def _turn(self, frame: Any) -> Orientation:
        """Read once per size and rotation: PyAV's `side_data` ties a frame into a reference cycle, and pictures would
        accumulate until the cyclic garbage collector runs (300 MB at 720p)."""
        key = (frame.width, frame.height, frame.rotation)
        if key not in self._turns:
            self._turns[key] = orientation(frame)
        return self._turns[key]

    def _on_black(self, frame: Any, matrix: int | None) -> Any:
        """The picture without its alpha, in RGB at its own size; itself if alpha changes nothing."""
        layered, flat_format, white, opaque = "rgba", "rgb24", 255, 255
        if is_hdr(frame):
            layered, flat_format, (_, white) = "rgba64le", "rgb48le", signal_codes(frame)
            opaque = largest_code(frame.format.components[-1].bits)
        rgba = self._scaled(frame, frame.width, frame.height, layered, matrix).to_ndarray()
        mixed = on_black(rgba, white, opaque)
        if mixed is None:
            return frame
        flat = av.VideoFrame.from_ndarray(mixed, format=flat_format)
        flat.color_trc, flat.color_primaries = frame.color_trc, frame.color_primaries
        return flat

    def _deep(self, frame: Any, width: int, height: int, matrix: int | None) -> Array:
        """A picture that needs more than 8 bits on its way to 8 bits."""
        scaled = self._scaled(frame, width, height, "gbrp16le", matrix)
        green, blue, red = (plane_array(plane, width) for plane in scaled.planes)
        black, white = codes = signal_codes(frame)
        if not is_hdr(frame):
            levels = np.clip((np.arange(1 << 16) - black) * (255 / (white - black)), 0, 255).round().astype(np.uint8)
            return np.stack([levels.take(plane) for plane in (red, green, blue)], axis=2)
        key = (frame.color_trc, frame.color_primaries, *codes)
        if key not in self._tones:
            self._tones[key] = ToneMap(frame.color_trc, frame.color_primaries, self._peaks_nits[frame.color_trc], codes)
        return self._tones[key].apply(red, green, blue)

    def _scaled(self, frame: Any, width: int, height: int, pixel_format: str, matrix: int | None) -> Any:
        try:
            return self._reformat(frame, width, height, pixel_format, matrix)
        except (av.error.FFmpegError, ValueError):
            # swscale refuses a few exotic matrices; a slightly wrong hue is better than no picture.
            is_wide = is_hdr(frame) or frame.colorspace == AV_COLORSPACE_BT2020_CL
            other = Colorspace.BT2020 if is_wide else Colorspace.ITU709
            return self._reformat(frame, width, height, pixel_format, other)

    def _reformat(self, frame: Any, width: int, height: int, pixel_format: str, matrix: int | None) -> Any:
        return self._reformatter.reformat(
            frame,
            width,
            height,
            pixel_format,
            src_colorspace=matrix,
            interpolation=self._scaling,
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


def plane_array(plane: Any, width: int) -> Array:
    """A plane of 16-bit samples as uint16 "H W", without the padding."""
    return np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, :width]
