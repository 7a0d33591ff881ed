"""The streams of a film: copied packets, or pictures and sound that are encoded again."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange

from pipeline.arrays import Array
from stages.decode.live.masks import Mask
from stages.decode.picture import Orientation

TICK = Fraction(1, 90_000)
X264 = {"preset": "veryfast", "crf": "23", "bf": "0"}
SOUND_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Rates that AAC knows and browsers play."""
SOUND_BIT_RATE = 96_000
LEAP_S = 0.3
"""Where packets are missing for longer, the sound after them is shown at its own time."""


class Copied:
    """Packets as they came."""

    def __init__(self, film: Any, stream: Any, display_matrix: Sequence[int]) -> None:
        self._stream = film.add_stream_from_template(stream, opaque=True)
        if stream.codec_context.name == "hevc":
            self._stream.codec_context.codec_tag = "hvc1"
        if display_matrix:
            self._stream.set_display_matrix(display_matrix)

    def packets(self, packet: Any) -> Iterator[Any]:
        packet.stream = self._stream
        yield packet

    def rest(self) -> Iterator[Any]:
        return iter(())


class Pictures:
    """Pictures, decoded, turned upright, masked and encoded as H.264."""

    def __init__(self, film: Any, stream: Any, orientation: Orientation, mask: Mask | None) -> None:
        source = self._decoder = stream.codec_context
        self._orientation, self._mask = orientation, mask
        self._size = source.width & ~1, source.height & ~1
        width, height = reversed(self._size) if orientation.transpose else self._size
        self._is_full = source.color_range == ColorRange.JPEG or (source.pix_fmt or "").startswith("yuvj")
        self._format = "yuvj420p" if self._is_full else "yuv420p"
        self._stream = film.add_stream("libx264", rate=stream.average_rate or 25, options=dict(X264))
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, self._format
        context = self._encoder = self._stream.codec_context
        context.time_base = TICK
        context.thread_count = 1
        context.color_range = ColorRange.JPEG if self._is_full else ColorRange.MPEG
        context.colorspace, context.color_primaries = source.colorspace, source.color_primaries
        context.color_trc = source.color_trc
        aspect = stream.sample_aspect_ratio
        if aspect:
            context.sample_aspect_ratio = 1 / aspect if orientation.transpose else aspect
        self._last = -1

    def packets(self, packet: Any) -> Iterator[Any]:
        try:
            frames = self._decoder.decode(packet)
        except av.error.InvalidDataError:
            return  # a damaged packet costs its picture
        for frame in frames:
            yield from self._encoded(frame)

    def rest(self) -> Iterator[Any]:
        for frame in self._decoder.decode(None):
            yield from self._encoded(frame)
        yield from self._stream.encode(None)

    def _encoded(self, frame: Any) -> Iterator[Any]:
        if frame.pts is None or frame.pts <= self._last:
            return
        self._last = frame.pts
        made = av.VideoFrame.from_ndarray(self._planes(frame), format=self._format)
        made.pts, made.time_base = frame.pts, TICK
        yield from self._stream.encode(made)

    def _planes(self, frame: Any) -> Array:
        """The upright, masked picture, as uint8 "3H/2 W": the planes of 4:2:0, one below the other."""
        width, height = self._size
        planes = frame.reformat(width, height, self._format, threads=1).to_ndarray()
        luma = planes[:height]
        blue, red = planes[height:].reshape(2, height // 2, width // 2)
        luma, blue, red = (self._orientation.apply(plane[..., None])[..., 0] for plane in (luma, blue, red))
        if self._mask is not None:
            luma, blue, red = (np.array(plane) for plane in (luma, blue, red))
            self._mask.apply_planes(luma, (blue, red), self._is_full)
        return np.concatenate([luma.ravel(), blue.ravel(), red.ravel()]).reshape(-1, luma.shape[1])


class Sound:
    """Sound, decoded and encoded as AAC."""

    def __init__(self, film: Any, stream: Any) -> None:
        self._decoder = stream.codec_context
        rate_hz = min((rate for rate in SOUND_HZ if rate >= self._decoder.sample_rate), default=48_000)
        layout = "mono" if self._decoder.channels == 1 else "stereo"
        self._stream = film.add_stream("aac", rate=rate_hz, layout=layout)
        self._stream.codec_context.bit_rate = SOUND_BIT_RATE
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz, frame_size=1024)
        self._rate_hz = rate_hz
        self._written = 0
        """Samples that have left the resampler."""
        self._is_started = False

    def packets(self, packet: Any) -> Iterator[Any]:
        try:
            frames = self._decoder.decode(packet)
        except av.error.InvalidDataError:
            return
        told = round(packet.pts * TICK * self._rate_hz)
        for frame in frames:
            if not self._is_started or told - self._written > LEAP_S * self._rate_hz:
                self._is_started, self._written = True, told
            frame.pts = None
            yield from self._encoded(self._resampler.resample(frame))

    def rest(self) -> Iterator[Any]:
        if self._is_started:
            yield from self._encoded(self._resampler.resample(None))
        yield from self._stream.encode(None)

    def _encoded(self, frames: Any) -> Iterator[Any]:
        for frame in frames:
            frame.pts, frame.time_base = self._written, Fraction(1, self._rate_hz)
            self._written += frame.samples
            yield from self._stream.encode(frame)
