"""The sound of a rewritten video: AAC without a hole from the start on, so that every player keeps it in sync."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import numpy as np

from pipeline.arrays import Array

RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Sound of any other rate is resampled to 48 kHz."""
FRAME = 1024
"""Samples per AAC frame."""
EDGE = 4 * FRAME
"""Silence that is encoded on either side of silence that is copied: AAC frames overlap."""
LONGEST_SILENCE_S = 3600
"""A longer hole stays one, because its silence would fill the memory with the list of its frames."""


class SoundWriter:
    """Encodes pieces of sound. Holes become silence, and what overlaps is written once.

    `start` and `end` are the numbers of the samples between which sound is written; `end` may be None.
    """

    def __init__(self, output: Any, rate_hz: int, channels: int, start: int, end: int | None) -> None:
        self.rate_hz = rate_hz
        self.channels = channels
        self.holes: list[tuple[float, float]] = []
        """Start and length in seconds of those that are too long for silence."""
        self._output = output
        self._start = start
        self._end = end
        self._stream = output.add_stream("aac", rate=rate_hz, layout="mono" if channels == 1 else "stereo")
        self._tick = Fraction(1, rate_hz)
        self._waiting: list[Array] = []
        """Samples that do not fill a frame yet."""
        self._count = 0
        """Of samples in `_waiting`."""
        self._encoded = 0
        """Number of the next sample to encode."""
        self._muxed: int | None = None
        """Number of the sample after the last packet."""
        self._last = b""

    def write(self, pieces: Iterable[tuple[int, Array]]) -> None:
        """Pieces in order: number of the first sample, samples float32 "C N"."""
        for place, samples in pieces:
            if self._end is not None:
                samples = samples[:, : max(0, self._end - place)]
            place -= self._start
            written = self._encoded + self._count
            fresh = samples[:, max(0, written - place) :]
            if fresh.shape[1]:
                self._be_silent(place - written)
                self._append(fresh)

    def close(self) -> None:
        if self._count:
            self._encode(np.concatenate(self._waiting, axis=1))
        for packet in self._stream.encode(None):
            self._mux(packet)

    def _zeros(self, count: int) -> Array:
        return np.zeros((self.channels, count), np.float32)

    def _be_silent(self, count: int) -> None:
        """Encode silence at both ends of a hole. `_mux` copies it into the middle."""
        if count <= 0:
            return
        copied = (count - 2 * EDGE) // FRAME * FRAME
        if copied > 0:
            before = -self._count % FRAME + EDGE
            self._append(self._zeros(before))
            if copied > LONGEST_SILENCE_S * self.rate_hz:
                self.holes.append((self._encoded / self.rate_hz, count / self.rate_hz))
            self._encoded += copied
            count -= before + copied
        self._append(self._zeros(count))

    def _append(self, samples: Array) -> None:
        self._waiting.append(samples)
        self._count += samples.shape[1]
        if self._count < FRAME:
            return
        whole = np.concatenate(self._waiting, axis=1) if len(self._waiting) > 1 else samples
        used = self._count // FRAME * FRAME
        for place in range(0, used, FRAME):
            self._encode(whole[:, place : place + FRAME])
        self._waiting, self._count = [whole[:, used:]], self._count - used

    def _encode(self, samples: Array) -> None:
        layout = "mono" if self.channels == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = self.rate_hz, self._encoded, self._tick
        self._encoded += FRAME
        for packet in self._stream.encode(frame):
            self._mux(packet)

    def _mux(self, packet: Any) -> None:
        """Write a packet. A hole before it, with silence at both ends, is filled with copies of the last packet."""
        place = round(packet.pts * packet.time_base / self._tick)
        if self._muxed is not None and place - self._muxed <= LONGEST_SILENCE_S * self.rate_hz:
            for each in range(self._muxed, place, FRAME):
                self._output.mux(self._copy(each))
        self._muxed, self._last = place + FRAME, bytes(packet)
        self._output.mux(packet)

    def _copy(self, place: int) -> Any:
        packet = av.Packet(self._last)
        packet.pts = packet.dts = place
        packet.duration, packet.time_base, packet.stream = FRAME, self._tick, self._stream
        packet.is_keyframe = True
        return packet
