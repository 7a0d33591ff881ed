"""Rewrites a film picture by picture, through a function that draws on each. Sound and timing are kept."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from pipeline.arrays import Array
from pipeline.errors import SourceError
from pipeline.machine import core_count
from pipeline.media import create_media
from pipeline.sinks.film import Film, FilmPicture
from pipeline.sinks.sound import RATES_HZ, SoundWriter
from pipeline.status import VideoOptions

NS = 1_000_000_000
MIN_SHORT_SIDE_PX = 240
"""Smaller pictures are enlarged, so that the drawing is readable."""
MAX_LONG_SIDE_PX = 1920
HD_LINES = 720
FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}
CLOCK = Fraction(1, 90_000)
HELD_S = 0.1
"""A picture is written again where what is drawn on it changes, unless the next one comes within this time."""
SHORTEST_NS = NS // 25
"""The last picture stays at least that long."""
LONGEST_PICTURE_S = 300.0
"""A picture is written again after this time: FFmpeg ignores the order of pictures in MP4 if one stays for an hour."""
ALIKE = 0.03
"""Widths over heights that differ by less are the same shape: encoders round sizes."""
_BT709, _BT601 = 1, 6


@dataclass(frozen=True)
class Area:
    """The part of a written picture that shows the source, in pixels. The rest is black."""

    left: int
    top: int
    width: int
    height: int
    source_width: int
    """Upright and with square pixels."""
    source_height: int


Draw = Callable[[Array, float, Area], None]
"""Draws on an upright picture, uint8 "H W 3" RGB, in place, given its time in seconds of the source. If the file has
room below its pictures, the array has it too: its last rows, which are black."""


class Rewriter:
    """Writes a film to `path`, and closes it at the end. It holds only a few pictures at a time.

    `draw_until(end_s, draw)` writes all pictures before a time, and the sound before them. All pictures have the size
    that suits the first one. One of another shape has black bars.

    Raises:
        SourceError: the film has no picture.
    """

    def __init__(self, film: Film, path: str, options: VideoOptions) -> None:
        self.film = film
        self.path = path
        self.options = options
        self.frames = 0
        self._pictures = film.pictures()
        self._next = next(self._pictures, None)
        self._shown: FilmPicture | None = None
        """The picture on show, last written at `_shown_s`."""
        self._shown_s = 0.0
        if self._next is None:
            film.close()
            raise SourceError("it has no pictures in this stretch")
        self.width, self.height = output_size(self._next.width, self._next.height)
        self._matrix = _BT709 if self.height >= HD_LINES else _BT601
        self._reformatter = VideoReformatter()
        self._below_px = 0
        self._output: Any = None
        self._sound: SoundWriter | None = None

    def create(self, below_px: int = 0) -> None:
        """Create the file, with `below_px` more lines below its pictures. Raises: av.error.FFmpegError, OSError."""
        self._below_px = below_px
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        suffix = Path(self.path.removesuffix(".part")).suffix.lower()
        self._output = create_media(self.path, FORMATS[suffix], {"movflags": "+faststart"})
        rate = Fraction(self.film.frame_rate_hz or 25).limit_denominator(1001)
        options = {"crf": str(self.options.crf), "preset": self.options.preset}
        self._encoder = self._output.add_stream(
            "libx264", rate=min(max(rate, Fraction(1)), Fraction(240)), options=options
        )
        self._encoder.width, self._encoder.height = self.width, self.height + below_px
        self._encoder.pix_fmt = "yuv420p"
        context = self._encoder.codec_context
        context.time_base = CLOCK
        context.thread_count = min(4, core_count())
        context.colorspace = self._matrix
        context.color_range = 1
        self._last_pts = -1
        self._sound = self._make_sound()

    def draw_until(self, end_s: float, draw: Draw, changes_s: Sequence[float] = ()) -> None:
        """Write the pictures before `end_s`. `changes_s`: where `draw` draws something else, in order."""
        while self._next is not None and seconds(self._next.time_ns) < end_s:
            shown = self._next
            self._hold(seconds(shown.time_ns), draw, changes_s)
            self._show(shown, shown.time_ns, draw)
            self._shown, self._next = shown, next(self._pictures, None)
        if end_s < math.inf:
            self._hold(end_s, draw, changes_s)

    def _hold(self, until_s: float, draw: Draw, changes_s: Sequence[float]) -> None:
        """Write the picture on show again, as often as needed until a time at which the next one may come."""
        shown = self._shown
        if shown is None:
            return
        next_s = math.inf if self._next is None else seconds(self._next.time_ns)
        changes = [each for each in changes_s if self._shown_s < each < until_s and each < next_s - HELD_S]
        for change_s in [*changes, until_s]:
            while change_s - self._shown_s > LONGEST_PICTURE_S:
                self._show(shown, round((self._shown_s + LONGEST_PICTURE_S) * NS), draw)
            if change_s < until_s:
                self._show(shown, round(change_s * NS), draw)

    def _show(self, shown: FilmPicture, time_ns: int, draw: Draw) -> None:
        self._write_sound(time_ns)
        area = area_of(shown.width, shown.height, self.width, self.height)
        picture = self._framed(shown, area)
        self._shown_s = seconds(time_ns)
        if picture is not None:
            draw(picture, self._shown_s, area)
            self._write(picture, time_ns, shown.end_ns)

    def close(self) -> None:
        """Write the rest of the sound and finish the file."""
        if self._output is not None:
            output, self._output = self._output, None
            try:
                for packet in self._encoder.encode(None):
                    output.mux(packet)
                if self._sound is not None:
                    self._write_sound(1 << 63)
                    self._sound.close()
            finally:
                output.close()
        self.discard()

    def discard(self) -> None:
        """Close source and file as they are."""
        output, self._output = self._output, None
        if output is not None:
            output.close()
        self.film.close()

    @property
    def left_out(self) -> list[str]:
        """What of the source is not in the file, in words."""
        texts = list(self.film.left_out)
        if self.film.errors:
            texts.append(f"{self.film.errors} damaged packets")
        for start_s, length_s in self._sound.holes if self._sound else ():
            texts.append(f"the silence of {length_s / 3600:.1f} h at {start_s:.0f} s: sound may be early after it")
        return texts

    def _make_sound(self) -> SoundWriter | None:
        film = self.film
        if not film.sound_rate_hz:
            return None
        rate_hz = film.sound_rate_hz if film.sound_rate_hz in RATES_HZ else RATES_HZ[-1]
        start, end = (
            None if time_ns is None else round(time_ns * rate_hz / NS) for time_ns in (film.start_ns, film.end_ns)
        )
        return SoundWriter(self._output, rate_hz, min(film.channels, 2), start or 0, end)

    def _write_sound(self, until_ns: int) -> None:
        sound = self._sound
        if sound is not None:
            if self.film.end_ns is not None:
                until_ns = min(until_ns, self.film.end_ns)
            sound.write(self.film.sound(until_ns, sound.rate_hz, sound.channels))

    def _framed(self, shown: FilmPicture, area: Area) -> Array | None:
        """The picture in its area; black below it, and where it has another shape than the file."""
        picture = shown.rgb(area.width, area.height)
        if picture is None or (area.width, area.height) == (self.width, self.height + self._below_px):
            return picture
        framed = np.zeros((self.height + self._below_px, self.width, 3), np.uint8)
        framed[area.top : area.top + area.height, area.left : area.left + area.width] = picture
        return framed

    def _write(self, picture: Array, time_ns: int, end_ns: int) -> None:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = self._reformatter.reformat(frame, format="yuv420p", dst_colorspace=self._matrix)
        pts = max(round(Fraction(time_ns - self.film.start_ns, NS) / CLOCK), self._last_pts + 1)
        self._last_pts = frame.pts = pts
        frame.time_base = CLOCK
        frame.duration = round(Fraction(max(end_ns - time_ns, SHORTEST_NS), NS) / CLOCK)
        for packet in self._encoder.encode(frame):
            self._output.mux(packet)
        self.frames += 1


def seconds(time_ns: int) -> float:
    """Rounded as in records."""
    return round(time_ns / NS, 6)


def output_size(width: int, height: int) -> tuple[int, int]:
    """Even width and height, large enough to read and at most full HD."""
    scale = max(1.0, MIN_SHORT_SIDE_PX / min(width, height))
    scale = min(scale, MAX_LONG_SIDE_PX / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def area_of(width: int, height: int, into_width: int, into_height: int) -> Area:
    """Where a picture of the source is in a written picture: in the middle, as large as possible."""
    if abs(width * into_height / (height * into_width) - 1) < ALIKE:
        return Area(0, 0, into_width, into_height, width, height)
    scale = min(into_width / width, into_height / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    return Area((into_width - inner[0]) // 2, (into_height - inner[1]) // 2, *inner, width, height)
