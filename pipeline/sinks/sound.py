"""The sound of a rewritten video: copied, or encoded if the new file cannot hold the codec."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av


class Copied:
    """Copies sound packets, shifted to the clock of the output."""

    def __init__(self, track: Any, output: Any, to_output_s: Callable[[float], float | None]) -> None:
        self.index = track.index
        self._output = output
        self._to_output_s = to_output_s
        self._stream = output.add_stream_from_template(track)
        self._last_dts: int | None = None

    def take(self, packet: Any) -> None:
        if packet.pts is None or packet.dts is None:
            return
        time_s = self._to_output_s(float(packet.pts * packet.time_base))
        if time_s is None:
            return
        shift = packet.pts - round(time_s / packet.time_base)
        packet.pts -= shift
        packet.dts -= shift
        if self._last_dts is not None and packet.dts <= self._last_dts:
            return
        self._last_dts = packet.dts
        packet.stream = self._stream
        self._output.mux(packet)

    def end(self) -> list[Any]:
        return []


class Encoded:
    """Decodes sound and encodes it as AAC."""

    def __init__(self, track: Any, output: Any, to_output_s: Callable[[float], float | None]) -> None:
        self.index = track.index
        self._output = output
        self._to_output_s = to_output_s
        rate = track.codec_context.sample_rate
        self._rate = rate if rate in (16000, 22050, 24000, 32000, 44100, 48000) else 48_000
        layout = "mono" if track.codec_context.channels == 1 else "stereo"
        self._stream = output.add_stream("aac", rate=self._rate, layout=layout)
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=self._rate, frame_size=1024)
        self._samples = 0
        self._began = False

    def take(self, packet: Any) -> None:
        for frame in packet.decode():
            time_s = None if frame.time is None else self._to_output_s(float(frame.time))
            if time_s is None:
                continue
            if not self._began:
                self._samples, self._began = round(time_s * self._rate), True
            frame.pts = None
            for part in self._resampler.resample(frame):
                self._encode(part)

    def end(self) -> list[Any]:
        for part in self._resampler.resample(None) if self._began else ():
            self._encode(part)
        return list(self._stream.encode(None))

    def _encode(self, part: Any) -> None:
        part.pts, part.time_base = self._samples, Fraction(1, self._rate)
        self._samples += part.samples
        for packet in self._stream.encode(part):
            self._output.mux(packet)
