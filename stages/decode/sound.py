"""The sound of a source: mono, resampled by FFmpeg, on one sample grid that starts with the source."""

from collections import deque
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Array
from stages.decode.frames import DecodedStream, Shown
from stages.decode.reader import NS

DRIFT_NS = 50_000_000
"""Times that deviate less from the sample count are jitter; beyond that, the sound is placed by its time again."""
RESAMPLING = {"rematrix_maxval": "1.0"}
"""The mono mix never exceeds the range, whatever the decoder's sample format."""


class SoundTrack:
    """Samples at `rate_hz`; sample n is at n / rate after the source's start. Samples are kept until `forget`."""

    def __init__(self, stream: DecodedStream, rate_hz: int) -> None:
        self.stream = stream
        self.rate_hz = rate_hz
        self.covered_ns = 0
        self._resampler: Any = None
        self._format: tuple[Any, ...] = ()
        self._expected_ns = 0
        self._segment_ns = 0
        self._segment_samples = 0
        self._place = 0
        self._end = 0
        self._needed = 0
        self._mix_plainly = False
        self._blocks: deque[tuple[int, NDArray[np.float32]]] = deque()

    def advance(self, until_ns: int, resets: int) -> None:
        """Decode everything that starts before `until_ns`, up to the next reset of the clock."""
        head = self.stream.peek()
        while head is not None and head.resets == resets and head.time_ns < until_ns:
            self._push(self.stream.pop())
            head = self.stream.peek()
        if head is None or head.resets != resets or self._strays(head):
            self._flush()
        self.covered_ns = max(self.covered_ns, self.stream.failures.end_ns)

    def window(self, first: int, count: int, not_before: int) -> tuple[Array, Array]:
        """Samples [first, first + count) as float32 "S", and a mask uint8 "S", 1 for real samples."""
        samples, mask = np.zeros(count, np.float32), np.zeros(count, np.uint8)
        for place, block in self._blocks:
            start = max(first, place, not_before)
            end = min(first + count, place + len(block))
            if start < end:
                samples[start - first : end - first] = block[start - place : end - place]
                mask[start - first : end - first] = 1
        return samples, mask

    def forget(self, before: int) -> None:
        """Drop the samples before number `before`, including those that are decoded later."""
        self._needed = max(self._needed, before)
        while self._blocks and self._blocks[0][0] + len(self._blocks[0][1]) <= before:
            self._blocks.popleft()

    def _strays(self, head: Shown) -> bool:
        return abs(head.time_ns - self._expected_ns) > DRIFT_NS

    def _push(self, head: Shown) -> None:
        frame = head.picture
        if not frame.samples or not frame.sample_rate:
            return
        layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or layout != self._format or self._strays(head):
            self._flush()
            self._format = layout
            self._resampler = self._make_resampler()
            self._mix_plainly = False
            self._place = round(head.time_ns * self.rate_hz / NS)
            self._segment_ns, self._segment_samples = head.time_ns, 0
        self._segment_samples += frame.samples
        self._expected_ns = self._segment_ns + round(self._segment_samples * NS / frame.sample_rate)
        self.covered_ns = max(self.covered_ns, self._expected_ns)
        frame.pts = None
        self._resample(frame)

    def _make_resampler(self) -> Any:
        return av.AudioResampler(format="flt", layout="mono", rate=self.rate_hz, options=RESAMPLING)

    def _resample(self, frame: Any) -> None:
        if not self._mix_plainly:
            try:
                pieces = self._resampler.resample(frame)
            except (av.error.FFmpegError, ValueError):
                # swresample cannot mix a layout without channel names: use the mean of the channels.
                self._mix_plainly = True
                self._resampler = self._make_resampler()
        if self._mix_plainly:
            pieces = self._resampler.resample(mean_of_channels(frame))
        for piece in pieces:
            self._keep(piece)

    def _flush(self) -> None:
        if self._resampler is not None:
            for piece in self._resampler.resample(None):
                self._keep(piece)
            self._resampler = None

    def _keep(self, piece: Any) -> None:
        if piece is None or not piece.samples:
            return
        samples = np.nan_to_num(piece.to_ndarray().reshape(-1))
        fresh = samples[max(0, self._end - self._place) :]
        self._place += len(samples)
        if len(fresh) and self._place > self._needed:
            self._blocks.append((self._place - len(fresh), fresh))
        self._end = max(self._end, self._place)


def mean_of_channels(frame: Any) -> Any:
    """Any audio frame as mono float."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    if array.dtype.kind in "iu":
        info = np.iinfo(array.dtype)
        array = (array.astype(np.float32) - (info.max + 1 >> 1 if array.dtype.kind == "u" else 0)) / (info.max + 1.0)
    mono = av.AudioFrame.from_ndarray(array.mean(axis=0, dtype=np.float32)[None], format="flt", layout="mono")
    mono.sample_rate = frame.sample_rate
    return mono
