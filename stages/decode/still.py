"""Still images: a file with one picture is shown for the length of a clip, from 0.

FFmpeg reads an image as a video of 1/25 s. Here its picture stays for one clip, so that it is labelled like a clip of a
video; there is no motion and no sound in it. A file with several pictures (GIF, APNG) is a video. `--start` and `--end`
do not concern an image.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import InputContainer

from pipeline.arrays import Array
from pipeline.errors import SourceError
from pipeline.media import is_url
from stages.decode.frames import Shown
from stages.decode.grid import Pictures
from stages.decode.heif import join, read_grid
from stages.decode.picture import PictureConverter, fit_size, upright_size
from stages.decode.reader import ReaderOptions
from stages.decode.shape import Size
from stages.decode.source import Stream, check_pixels, open_container, reason, shown_name
from stages.decode.timeline import Failures

ANIMATED = {"gif", "apng"}
"""Containers of pictures that may be a film."""
HEIF_BRANDS = {"avif", "heic", "heix", "heim", "heis", "mif1"}
"""First brand of a HEIF file whose main content is a still image."""
PHOTOS = {".jpg", ".jpeg", ".jpe", ".jfif"}
"""What follows the first picture of such a file belongs to it: a depth or gain map, the other eye."""
ANIMATED_WEBP = b"ANIM"


@dataclass(frozen=True)
class Still:
    """The picture of an image file."""

    frame: Any
    """The decoded `av` frame."""
    is_damaged: bool = False
    """A part could not be decoded."""

    @property
    def size(self) -> Size:
        """Upright width and height. A resolution for printers does not change the shape, as in any viewer."""
        return upright_size(self.frame, None)


class StillPictures(Pictures):
    """One picture for one clip."""

    def __init__(self, still: Still, options: ReaderOptions) -> None:
        super().__init__(Failures())
        self.errors = int(still.is_damaged)
        self._options = options
        self._head: Shown | None = Shown(
            0, options.clip_ns, still.frame, corrupt=still.is_damaged, size=still.size, canvas=still.size
        )

    def peek(self) -> Shown | None:
        return self._head

    def pop(self) -> Shown:
        head, self._head = self._head, None
        assert head is not None, "pop after the end"
        return head

    def convert(self, shown: Shown) -> Array | None:
        options = self._options
        size = fit_size(*shown.size, options.short_side_px, options.long_side_px)
        try:
            return PictureConverter(*size, options.max_pixels).convert(shown.picture)
        except (av.error.FFmpegError, ValueError, MemoryError):
            self.errors += 1
            return None

    def whole_until_ns(self, time_ns: int) -> int:
        return -1

    def skip_to(self, time_ns: int) -> None:
        pass


def may_be_still(container: InputContainer) -> bool:
    """Whether a container is an image file, or may be one."""
    name = container.format.name
    if "mp4" in name:
        is_heif = container.metadata.get("major_brand") in HEIF_BRANDS
        return is_heif and all(stream.duration is None for stream in container.streams)
    return name == "image2" or name in ANIMATED or (name.endswith("_pipe") and name != "yuv4mpegpipe")


def read_still(container: InputContainer, stream: Stream, source: str, options: ReaderOptions) -> Still | None:
    """The picture of a container that `may_be_still`, which is read; None if it is a film.

    Raises:
        SourceError: the picture cannot be decoded.
    """
    if is_part(container, stream):
        return read_tiles(container, source, options)
    is_strict = stream.codec_context.name == "mjpeg"  # a cut JPEG is decoded without an error otherwise
    try:
        frames = pictures_of(container, stream, options, is_strict)
        frame, following = next(frames, None), None
        with suppress(av.error.FFmpegError):
            following = None if suffix_of(source) in PHOTOS else next(frames, None)
    except av.error.FFmpegError as error:
        damaged = read_damaged(source, stream, options) if is_strict else None
        if damaged is None:
            raise SourceError(f"{shown_name(source)}: {undecodable(source, container, error)}") from error
        return damaged
    if frame is None:
        raise SourceError(f"{shown_name(source)}: holds no picture. Is the file complete?")
    is_lost = stream.codec_context.name == "tiff" and is_empty(frame)
    return Still(frame, is_lost) if following is None else None


def is_part(container: InputContainer, stream: Stream) -> bool:
    """Whether a stream is not the main picture of a HEIF file, but a tile of it."""
    return "mp4" in container.format.name and not stream.disposition & av.stream.Disposition.default


def read_tiles(container: InputContainer, source: str, options: ReaderOptions) -> Still:
    """The picture of a HEIF file that is made of tiles.

    Raises: SourceError: it cannot be put together, or exceeds the limit.
    """
    name = shown_name(source)
    if is_url(source):
        raise SourceError(f"{name}: an image of tiles, which can be read from a file only. Download it first.")
    try:
        grid = read_grid(Path(source))
        check_pixels(grid.width, grid.height, options, name)
        return Still(join(container, grid, options.max_pixels))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        text = f"an image of tiles, which cannot be put together ({reason(error)}). Convert it to JPEG or PNG first."
        raise SourceError(f"{name}: {text}") from error


def pictures_of(container: InputContainer, stream: Stream, options: ReaderOptions, is_strict: bool) -> Iterator[Any]:
    context = stream.codec_context
    context.thread_type = "NONE"
    context.options = {"max_pixels": str(options.max_pixels)} | ({"err_detect": "explode"} if is_strict else {})
    return container.decode(stream)


def is_empty(frame: Any) -> bool:
    """Whether every byte is 0, as FFmpeg leaves a TIFF whose compression it cannot read, without an error."""
    return not any(np.frombuffer(plane, np.uint8).any() for plane in frame.planes)


def read_damaged(source: str, stream: Stream, options: ReaderOptions) -> Still | None:
    """As much of a picture as can be decoded."""
    with open_container(source, options) as again, suppress(av.error.FFmpegError, StopIteration):
        return Still(next(pictures_of(again, again.streams[stream.index], options, False)), is_damaged=True)
    return None


def undecodable(source: str, container: InputContainer, error: Exception) -> str:
    if container.format.name == "webp_pipe" and not is_url(source):
        with Path(source).open("rb") as file:
            if ANIMATED_WEBP in file.read(64):
                return "is an animated WebP, which FFmpeg cannot decode. Convert it to GIF or MP4 first."
    return f"the picture cannot be decoded ({reason(error)}). Is the file complete? If so, convert it to JPEG or PNG."


def suffix_of(source: str) -> str:
    """The suffix of a file or URL, in lower case."""
    return PurePosixPath(urlsplit(source).path if is_url(source) else source).suffix.lower()
