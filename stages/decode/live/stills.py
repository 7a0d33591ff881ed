"""JPEG pictures of a camera for those who look at it, in its private folder.

    clip-<index>.jpg    one picture per clip; the newest `KEPT`
    live.jpg            the newest picture, at most `LIVE_HZ` times a second, while `watched` was touched a moment ago

Files appear whole: each is written under a temporary name and renamed.
"""

import logging
import os
import time
from collections import deque
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from pipeline.arrays import Array

KEPT = 60
LIVE_HZ = 10.0
WATCHED_S = 5.0
QSCALE = 6
"""Of FFmpeg's mjpeg encoder, 2 (best) to 31."""
WATCHED = "watched"

logger = logging.getLogger(__name__)


class Stills:
    """Writes pictures, which are masked already. A folder that cannot be written to is reported once."""

    def __init__(self, directory: str | Path) -> None:
        self._folder = Path(directory) if str(directory) else None
        self._jpeg = Jpeg()
        self._kept: deque[Path] = deque()
        self._next_live_s = 0.0
        self._is_reported = False
        if self._folder is not None:
            self._find_older(self._folder)

    def clip(self, index: int, picture: Array) -> None:
        """Write the picture uint8 "H W 3" of a clip, and remove the oldest one beyond `KEPT`."""
        if self._folder is None:
            return
        path = self._folder / f"clip-{index}.jpg"
        if not self._write(path, picture):
            return
        if path in self._kept:
            self._kept.remove(path)
        self._kept.append(path)
        while len(self._kept) > KEPT:
            with suppress(OSError):
                self._kept.popleft().unlink(missing_ok=True)

    def live(self, picture: Array, captured_ns: int | None = None) -> bool:
        """Write the newest picture uint8 "H W 3", if somebody watches and the last one is old enough.

        captured_ns: when, on the monotonic clock; the file's time says it. None: now.
        """
        now_s = time.monotonic()
        if self._folder is None or now_s < self._next_live_s or not self.is_watched():
            return False
        self._next_live_s = max(self._next_live_s + 1 / LIVE_HZ, now_s + 0.5 / LIVE_HZ)
        return self._write(self._folder / "live.jpg", picture, captured_ns)

    def is_watched(self) -> bool:
        """Whether somebody has touched the file `watched` less than `WATCHED_S` ago."""
        if self._folder is None:
            return False
        try:
            return time.time() - (self._folder / WATCHED).stat().st_mtime < WATCHED_S
        except OSError:
            return False

    def _find_older(self, folder: Path) -> None:
        """Those that a decode process before this one has left."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            older = [path for path in folder.glob("clip-*.jpg") if path.stem[5:].isdigit()]
        except OSError as error:
            self._report(error)
        else:
            self._kept.extend(sorted(older, key=lambda path: int(path.stem[5:])))

    def _write(self, path: Path, picture: Array, captured_ns: int | None = None) -> bool:
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_bytes(self._jpeg.encode(picture))
            if captured_ns is not None:
                wall_ns = time.time_ns() - (time.monotonic_ns() - captured_ns)
                os.utime(part, ns=(wall_ns, wall_ns))
            os.replace(part, path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            self._report(error)
            return False
        self._is_reported = False
        return True

    def _report(self, error: OSError) -> None:
        if not self._is_reported:
            self._is_reported = True
            logger.warning("pictures of %s cannot be written: %s", self._name, error.strerror or error)

    @property
    def _name(self) -> str:
        return self._folder.name if self._folder is not None else ""


class Jpeg:
    """FFmpeg's JPEG encoder. It is opened anew when the size changes."""

    def __init__(self, qscale: int = QSCALE) -> None:
        self._qscale = qscale
        self._context: Any = None

    def encode(self, picture: Array) -> bytes:
        """uint8 "H W 3" -> a JPEG file (full range, 4:2:0)."""
        height, width = picture.shape[:2]
        if self._context is None or (self._context.width, self._context.height) != (width, height):
            self._context = self._opened(width, height)
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = rgb.reformat(format="yuvj420p", dst_colorspace=Colorspace.ITU601, threads=1)
        frame.pts = None
        return b"".join(bytes(packet) for packet in self._context.encode(frame))

    def _opened(self, width: int, height: int) -> Any:
        context = av.CodecContext.create("mjpeg", "w")
        context.width, context.height = width, height
        context.pix_fmt = "yuvj420p"
        context.color_range = ColorRange.JPEG
        context.time_base = Fraction(1, 25)
        context.thread_count = 1
        context.qmin = context.qmax = self._qscale
        context.options = {"huffman": "default"}
        return context
