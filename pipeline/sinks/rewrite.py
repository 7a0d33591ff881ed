"""Rewrites a video picture by picture, through a function that draws on each. Sound and timing are kept."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.arrays import Array
from pipeline.errors import PerceptError
from pipeline.machine import core_count
from pipeline.media import create_media, open_media
from pipeline.sinks.sound import Copied, Encoded
from pipeline.status import VideoOptions

Draw = Callable[[Array, float], None]
"""Draws on an upright picture, uint8 "H W 3" RGB, in place, given its time in seconds of the source."""

MIN_SHORT_SIDE_PX = 240
"""Smaller pictures are enlarged, so that the drawing is readable."""
MAX_LONG_SIDE_PX = 1920
FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}
COPIED = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}
"""Codecs whose packets are copied to MP4, from containers that store them in the same way."""
COPIED_FROM = ("mov", "mp4", "matroska", "webm")
CLOCK = Fraction(1, 90_000)
_UNSPECIFIED, _BT709, _BT601 = 2, 1, 6


class NotAVideo(PerceptError):
    """There is no picture to rewrite."""


class Rewriter:
    """Reads `source` and writes `path`. It holds only a few pictures at a time.

    `draw_until(end_s, draw)` writes all pictures before a time. Pictures are upright and have square pixels.
    """

    def __init__(self, source: str, path: str, options: VideoOptions) -> None:
        self.source = source
        self.path = path
        self._format = FORMATS[Path(path.removesuffix(".part")).suffix.lower()]
        self.options = options
        self.errors = 0
        """Packets that could not be decoded or copied."""
        self.frames = 0
        self._output: Any = None

    def open(self) -> None:
        """Open the source. Raises: NotAVideo, av.error.FFmpegError, OSError."""
        self._input = open_media(self.source)
        video = [stream for stream in self._input.streams.video if not _is_cover(stream) and stream.codec_context]
        if not video:
            raise NotAVideo("it has no pictures")
        self._video = max(video, key=lambda stream: stream.width * stream.height)
        self._video.thread_type = "AUTO"
        self._origin_s = (self._input.start_time or 0) / av.time_base
        if self.options.start_s > 1.0:
            place = int((self._origin_s + self.options.start_s) * av.time_base)
            self._input.seek(place, backward=True, any_frame=False)
        self._waiting = self._pictures()
        self._next = next(self._waiting, None)
        if self._next is None:
            raise NotAVideo("none of its pictures can be decoded")
        self._set_size(self._next[1])

    def create(self) -> None:
        """Create the file, after `open`. Raises: av.error.FFmpegError, OSError."""
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        self._output = create_media(self.path, self._format, {"movflags": "+faststart"})
        rate = self._video.average_rate or self._video.guessed_rate or Fraction(25)
        options = {"crf": str(self.options.crf), "preset": self.options.preset}
        self._encoder = self._output.add_stream("libx264", rate=min(rate, Fraction(240)), options=options)
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = self.width, self.height, "yuv420p"
        context = self._encoder.codec_context
        context.time_base = CLOCK
        context.thread_count = min(4, core_count())
        context.colorspace = _BT709 if self._matrix == _BT709 else _BT601
        context.color_range = 1
        self._last_pts = -1
        self._sound = self._make_sound()

    @property
    def scale(self) -> float:
        """Written pixels per upright pixel of the source."""
        return float(self.width / self._upright[0])

    def draw_until(self, end_s: float, draw: Draw) -> None:
        """Write the pictures before `end_s`."""
        while self._next is not None and self._next[0] < end_s:
            time_s, frame = self._next
            picture = self._to_rgb(frame)
            draw(picture, time_s)
            self._write(picture, time_s)
            self._next = next(self._waiting, None)

    def close(self) -> None:
        """Finish the file. Does nothing if it was not opened."""
        if self._output is not None:
            output, self._output = self._output, None
            try:
                for packet in self._encoder.encode(None):
                    output.mux(packet)
                if self._sound is not None:
                    for packet in self._sound.end():
                        output.mux(packet)
            finally:
                output.close()
        self.discard()

    def discard(self) -> None:
        """Close both files as they are."""
        output, self._output = getattr(self, "_output", None), None
        if output is not None:
            output.close()
        if getattr(self, "_input", None) is not None:
            self._input.close()

    def _set_size(self, first: Any) -> None:
        self._turn = quarter_turns(first)
        aspect = self._video.sample_aspect_ratio or Fraction(1)
        aspect = aspect if Fraction(1, 20) < aspect < 20 else Fraction(1)
        width, height = max(1, round(first.width * aspect)), first.height
        self._upright = (height, width) if self._turn[0] else (width, height)
        self.width, self.height = output_size(*self._upright)
        self._matrix = first.colorspace if first.colorspace in (_BT709, 5, _BT601) else _UNSPECIFIED
        if self._matrix == _UNSPECIFIED:
            self._matrix = _BT709 if first.height >= 720 else _BT601

    def _make_sound(self) -> "Copied | Encoded | None":
        tracks = [track for track in self._input.streams.audio if track.codec_context is not None]
        chosen = None
        for number, track in enumerate(tracks):
            if self.options.audio_track in (str(number), track.language):
                chosen = track
        chosen = chosen or next((track for track in tracks if track == self._input.streams.best("audio")), None)
        if chosen is None:
            return None
        copies = chosen.codec_context.codec.canonical_name in COPIED and any(
            name in self._input.format.name.split(",") for name in COPIED_FROM
        )
        return (Copied if copies else Encoded)(chosen, self._output, self._to_output_s)

    def _to_output_s(self, raw_s: float) -> float | None:
        """Time in the output for a time of a stream; None outside the stretch that is written."""
        time_s: float = raw_s - self._origin_s
        end_s = self.options.end_s
        if time_s < self.options.start_s - 1e-6 or (end_s is not None and time_s >= end_s):
            return None
        return time_s - self.options.start_s

    def _pictures(self) -> Iterator[tuple[float, Any]]:
        """(time in seconds of the source, frame), in order. Sound packets in between go to the output."""
        step_s = float(1 / (self._video.average_rate or self._video.guessed_rate or 25))
        last_s = -step_s
        held: list[Any] = []
        for packet in self._packets():
            if packet.stream.type == "audio":
                held.append(packet)
                if self._output is not None:
                    self._pass_sound(held)
                    held = []
                continue
            for frame in self._decoded(packet):
                time_s = last_s + step_s if frame.time is None else float(frame.time) - self._origin_s
                time_s = time_s if time_s > last_s else last_s + step_s / 2
                last_s = time_s
                if self.options.end_s is not None and time_s >= self.options.end_s:
                    continue
                if time_s >= self.options.start_s - step_s / 2:
                    yield time_s, frame
        if self._output is not None:
            self._pass_sound(held)

    def _packets(self) -> Iterator[Any]:
        wanted = [self._video, *self._input.streams.audio]
        packets = self._input.demux(wanted)
        failures = 0
        while failures < 100:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:
                self.errors += 1
                failures += 1
                continue
            yield packet

    def _decoded(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except av.error.FFmpegError:
            self.errors += 1
            return []

    def _pass_sound(self, packets: list[Any]) -> None:
        for packet in packets:
            if self._sound is not None and packet.stream.index == self._sound.index:
                try:
                    self._sound.take(packet)
                except av.error.FFmpegError as error:
                    if isinstance(error, OSError) and error.errno in _FATAL:
                        raise
                    self.errors += 1

    def _to_rgb(self, frame: Any) -> Array:
        swap, mirror_x, mirror_y = self._turn
        width, height = (self.height, self.width) if swap else (self.width, self.height)
        try:
            rgb = frame.reformat(width, height, "rgb24", src_colorspace=self._matrix)
        except (av.error.FFmpegError, ValueError):
            rgb = frame.reformat(width, height, "rgb24")
        picture = rgb.to_ndarray()
        picture = picture.transpose(1, 0, 2) if swap else picture
        return np.ascontiguousarray(picture[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1])

    def _write(self, picture: Array, time_s: float) -> None:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=self._matrix)
        pts = max(round((time_s - self.options.start_s) / CLOCK), self._last_pts + 1)
        self._last_pts = frame.pts = pts
        frame.time_base = CLOCK
        for packet in self._encoder.encode(frame):
            self._output.mux(packet)
        self.frames += 1


def output_size(width: int, height: int) -> tuple[int, int]:
    """Even width and height, large enough to read and at most full HD."""
    scale = max(1.0, MIN_SHORT_SIDE_PX / min(width, height))
    scale = min(scale, MAX_LONG_SIDE_PX / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def quarter_turns(frame: Any) -> tuple[bool, bool, bool]:
    """How to turn a stored picture upright, from the display matrix: (transpose, then mirror x, mirror y)."""
    side_data = frame.side_data.get("DISPLAYMATRIX")
    matrix = np.frombuffer(side_data, np.int32) if side_data is not None else np.zeros(0, np.int32)
    if matrix.size < 9:
        return False, False, False
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


_FATAL = {28, 27, 122, 5}
"""ENOSPC, EFBIG, EDQUOT, EIO: the output cannot be written."""
