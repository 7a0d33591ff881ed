"""The sound of a film: any format, rate and layout, as float samples of one rate with one or two channels."""

from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from pipeline.arrays import Array
from stages.decode.frames import DecodedStream, Shown
from stages.decode.reader import NS
from stages.decode.sound import DRIFT_NS, RESAMPLING, mean_of_channels


class FilmSound:
    """Resamples the frames of a stream, and tells where each piece belongs. Another format begins a new piece."""

    def __init__(self, stream: DecodedStream, start_ns: int) -> None:
        first = stream.peek()
        assert first is not None, "a stream without sound"
        self.rate_hz: int = first.picture.sample_rate
        self.channels: int = first.picture.layout.nb_channels
        self.errors = 0
        """Frames that could not be converted."""
        self._stream = stream
        self._start_ns = start_ns
        self._resampler: Any = None
        self._format: tuple[Any, ...] = ()
        self._mixes_plainly = False
        self._segment_ns = 0
        self._segment_samples = 0
        self._expected_ns = 0
        self._place = 0

    @property
    def next_ns(self) -> int | None:
        """When the next frame is heard; None at the end."""
        head = self._stream.peek()
        return None if head is None else head.time_ns

    def pieces(self, until_ns: int, rate_hz: int, channels: int) -> Iterator[tuple[int, Array]]:
        """See `pipeline.sinks.film.Film.sound`."""
        head = self._stream.peek()
        while head is not None and head.time_ns < until_ns:
            head = self._stream.pop()
            if head.end_ns > self._start_ns and head.picture.samples and head.picture.sample_rate:
                yield from self._resampled(head, rate_hz, channels)
            head = self._stream.peek()
        if head is None:
            yield from self._flush(channels)

    def _resampled(self, head: Shown, rate_hz: int, channels: int) -> Iterator[tuple[int, Array]]:
        frame = head.picture
        its_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        strays = abs(head.time_ns - self._expected_ns) > DRIFT_NS
        if self._resampler is None or its_format != self._format or strays:
            yield from self._flush(channels)
            self._format, self._mixes_plainly = its_format, False
            self._resampler = make_resampler(rate_hz, min(channels, frame.layout.nb_channels))
            self._place = round(head.time_ns * rate_hz / NS)
            self._segment_ns, self._segment_samples = head.time_ns, 0
        self._segment_samples += frame.samples
        self._expected_ns = self._segment_ns + round(self._segment_samples * NS / frame.sample_rate)
        frame.pts = None
        try:
            converted = self._converted(frame, rate_hz)
        except (av.error.FFmpegError, ValueError):
            self.errors += 1
            self._resampler = None
            return
        yield from self._placed(converted, channels)

    def _converted(self, frame: Any, rate_hz: int) -> list[Any]:
        if not self._mixes_plainly:
            try:
                return list(self._resampler.resample(frame))
            except (av.error.FFmpegError, ValueError):
                # swresample cannot mix a layout without channel names: use the mean of the channels.
                self._mixes_plainly = True
                self._resampler = make_resampler(rate_hz, 1)
        return list(self._resampler.resample(mean_of_channels(frame)))

    def _flush(self, channels: int) -> Iterator[tuple[int, Array]]:
        resampler, self._resampler = self._resampler, None
        if resampler is not None:
            yield from self._placed(resampler.resample(None), channels)

    def _placed(self, converted: list[Any], channels: int) -> Iterator[tuple[int, Array]]:
        for frame in converted:
            if frame is None or not frame.samples:
                continue
            samples = np.nan_to_num(frame.to_ndarray())
            if len(samples) < channels:
                samples = np.repeat(samples, channels, axis=0)  # FFmpeg would make both channels 3 dB quieter
            place, self._place = self._place, self._place + frame.samples
            yield place, samples


def make_resampler(rate_hz: int, channels: int) -> Any:
    layout = "mono" if channels == 1 else "stereo"
    return av.AudioResampler(format="fltp", layout=layout, rate=rate_hz, options=RESAMPLING)
