"""Converts the pictures of a source to frames of one size."""

from typing import Any

from av.video.reformatter import Interpolation

from pipeline.arrays import Array
from stages.decode.frames import Shown
from stages.decode.picture import SCALING, PictureConverter, fit_size
from stages.decode.reader import ReaderOptions
from stages.decode.reduced import Reduced
from stages.decode.shape import Size, fit_within, with_bars


class Canvas:
    """A canvas of the size that the first picture of a shape gives; others get bars."""

    def __init__(self, options: ReaderOptions, scaling: Interpolation = SCALING) -> None:
        self._options = options
        self._scaling = scaling
        self._converters: dict[Size, PictureConverter] = {}

    def convert(self, shown: Shown) -> Array:
        """uint8 "H W 3".

        Raises:
            av.error.FFmpegError, ValueError, MemoryError: the picture cannot be converted.
        """
        canvas, picture, like = frame_size(shown.canvas, self._options), shown.picture, None
        if isinstance(picture, Reduced):
            picture, like = picture.frame, picture.like
        return with_bars(self._converter(fit_within(shown.size, canvas), picture).convert(picture, like), canvas)

    def _converter(self, size: Size, picture: Any) -> PictureConverter:
        if size not in self._converters:
            converter = PictureConverter(*size, self._options.max_pixels, self._scaling)
            self._converters[size] = converter.starting_with(picture)
        return self._converters[size]


def frame_size(size: Size, options: ReaderOptions) -> Size:
    """Width and height of the frames that pictures of a size become."""
    return fit_size(*size, options.short_side_px, options.long_side_px)
