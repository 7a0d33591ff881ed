"""A small copy of a video that every browser plays, with the same times: H.264 baseline and AAC in MP4."""

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.errors import OutputError
from pipeline.media import create_media, open_media
from pipeline.sinks.file import output_error, part_name
from pipeline.sinks.film import Film
from pipeline.sinks.sound import RATES_HZ, SoundWriter
from pipeline.status import FilmSource

NS = 1_000_000_000
MAX_SHORT_SIDE_PX = 480
MAX_RATE_HZ = 30.0
CLOCK = Fraction(1, 90_000)
MARK = "made by percept view: preview of "
"""The comment of every preview begins with it."""
SOUND_RATE_HZ = 44_100


class Preview:
    """Writes the pictures and the sound of a film to `path`, the start of the film at 0.

    `write(until_s)` may be called often, with rising times.
    """

    def __init__(self, film: Film, path: str, mark: str = "") -> None:
        self.path = path
        self.start_s = film.start_ns / NS
        self._mark = mark
        self._film = film
        self._part = part_name(path)
        self._pictures = film.pictures()
        self._next = next(self._pictures, None)
        self._output: Any = None
        self._sound: SoundWriter | None = None
        self._last_ns = -NS

    def open(self) -> None:
        """Raises: OutputError."""
        try:
            self._output = create_media(self._part, "mp4", {"movflags": "+faststart"})
        except OSError as error:
            raise output_error(self.path, error) from error
        self._output.metadata["comment"] = self._mark
        width, height = preview_size(self._next.width, self._next.height) if self._next else (2, 2)
        self._size = width, height
        options = {"preset": "veryfast", "crf": "26", "profile": "baseline", "g": "60"}
        rate = Fraction(min(self._film.frame_rate_hz or 25.0, MAX_RATE_HZ)).limit_denominator(1001)
        self._encoder = self._output.add_stream("libx264", rate=max(rate, Fraction(1)), options=options)
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = width, height, "yuv420p"
        self._encoder.codec_context.time_base = CLOCK
        self._encoder.codec_context.max_b_frames = 0
        if self._film.sound_rate_hz:
            rate_hz = self._film.sound_rate_hz if self._film.sound_rate_hz in RATES_HZ else RATES_HZ[-1]
            self._sound = self._make_sound(rate_hz)

    def write(self, until_s: float) -> None:
        """Write everything before a time. Raises: OutputError."""
        until_ns = 1 << 62 if until_s == float("inf") else round(until_s * NS)
        try:
            while self._next is not None and self._next.time_ns < until_ns:
                shown, self._next = self._next, next(self._pictures, None)
                self._write_sound(shown.time_ns)
                self._write_picture(shown)
            self._write_sound(until_ns)
        except OSError as error:
            raise output_error(self.path, error) from error

    def close(self) -> None:
        """Finish the file under its name. Raises: OutputError."""
        try:
            self.write(float("inf"))
            for packet in self._encoder.encode(None):
                self._output.mux(packet)
            if self._sound is not None:
                self._sound.close()
            output, self._output = self._output, None
            output.close()
            publish(self._part, self.path)
        except OSError as error:
            raise output_error(self.path, error) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Close everything and remove what is not finished."""
        output, self._output = self._output, None
        with suppress(OSError, ValueError):  # the file is removed anyway
            if output is not None:
                output.close()
        self._film.close()
        with suppress(OSError):
            Path(self._part).unlink(missing_ok=True)

    def _make_sound(self, rate_hz: int) -> SoundWriter:
        start, end = self._film.start_ns, self._film.end_ns
        last = None if end is None else round(end * rate_hz / NS)
        return SoundWriter(self._output, rate_hz, min(self._film.channels, 2), round(start * rate_hz / NS), last)

    def _write_sound(self, until_ns: int) -> None:
        if self._sound is not None:
            if self._film.end_ns is not None:
                until_ns = min(until_ns, self._film.end_ns)
            self._sound.write(self._film.sound(until_ns, self._sound.rate_hz, self._sound.channels))

    def _write_picture(self, shown: Any) -> None:
        if self._last_ns >= 0 and shown.time_ns - self._last_ns < 0.7 * NS / MAX_RATE_HZ:
            return
        picture = shown.rgb(*self._size)
        if picture is None:
            return
        self._last_ns = shown.time_ns
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = round(Fraction(shown.time_ns - self._film.start_ns, NS) / CLOCK), CLOCK
        frame.duration = max(1, round(Fraction(shown.end_ns - shown.time_ns, NS) / CLOCK))
        for packet in self._encoder.encode(frame):
            self._output.mux(packet)


def preview_size(width: int, height: int) -> tuple[int, int]:
    """Even width and height of the same shape, with a short side of at most 480 pixels."""
    scale = min(1.0, MAX_SHORT_SIDE_PX / min(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def mark_of(source: str, how: FilmSource) -> str:
    """Tells the stretch of a file from others and from its later versions."""
    facts = os.stat(source)
    stretch = f"{how.options.get('start_ns') or 0} to {how.options.get('end_ns') or 'the end'}"
    return f"{MARK}{os.path.basename(source)}, {facts.st_size} bytes, {facts.st_mtime_ns}, {stretch}"


def is_preview_of(path: str, mark: str) -> bool:
    """Whether a file is the preview with this mark."""
    return _mark_in(path) == mark


def publish(part: str, path: str) -> None:
    """Give a finished preview its name. Raises: OutputError: a file that is no preview has it by now."""
    if os.path.lexists(path) and not is_preview(path):
        raise OutputError(f"{path}: is no preview of percept and was kept. Remove it, or give the page another name")
    os.replace(part, path)


def is_preview(path: str) -> bool:
    """Whether a file is a preview of any source."""
    return _mark_in(path).startswith(MARK)


def _mark_in(path: str) -> str:
    """The mark in a file; "" if it has none, or is no video."""
    try:
        with open_media(path) as container:
            return str(container.metadata.get("comment", ""))
    except (OSError, ValueError):
        return ""


def make_sound_preview(source: str, path: str, mark: str = "") -> None:
    """The first sound track of a file as AAC, with its times.

    Raises: OutputError: it cannot be decoded or written.
    """
    part = part_name(path)
    try:
        with open_media(source) as container, create_media(part, "mp4", {"movflags": "+faststart"}) as output:
            output.metadata["comment"] = mark
            start_s = (container.start_time or 0) / 1e6
            writer = SoundWriter(output, SOUND_RATE_HZ, 2, 0, None)
            resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE_HZ)
            for frame in container.decode(audio=0):
                _resample(resampler, writer, frame, start_s)
            _resample(resampler, writer, None, start_s)
            writer.close()
        publish(part, path)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: no preview could be made of {source} ({error})") from error
    finally:
        Path(part).unlink(missing_ok=True)


def _resample(resampler: Any, writer: SoundWriter, frame: Any, start_s: float) -> None:
    for piece in resampler.resample(frame):
        place = round((float(piece.pts * piece.time_base) - start_s) * SOUND_RATE_HZ)
        writer.write([(place, piece.to_ndarray())])
