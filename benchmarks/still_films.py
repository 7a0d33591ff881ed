"""Films of fixed cameras before scenes of real clips, with a real sensor's noise, as cameras and encoders write them.

The sensor: photons arrive at random, so that the noise of linear light grows with its root; to this come reading noise,
and a fixed pattern of gains and offsets. A little blur stands for the camera's own processing. The light changes slowly
by 3 %, as on a day with few clouds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.stillness_media import CLIP_S, DAYLIGHT, Scene, Shot
from benchmarks.stillness_media import HEIGHT as SMALL_HEIGHT
from benchmarks.stillness_media import WIDTH as SMALL_WIDTH
from pipeline.arrays import Array

GAMMA = 2.2
ELECTRONS = 6000.0
"""Of a pixel that is white: a small camera in daylight."""
READING = 6.0
"""Electrons."""
GAINS, OFFSETS = 0.008, 0.6
"""Of the fixed pattern: share, and levels."""
BANKS = 6
KEPT = 0.7
"""Share of the picture before that a camera keeps where nothing moves: its noise reduction in time."""


@dataclass(frozen=True)
class Encoding:
    """How a film is written."""

    key: str
    name: str
    codec: str
    options: Mapping[str, str]
    gop_s: float
    """Between key frames; 0: as the encoder likes."""


CAMERA = {"preset": "superfast", "tune": "zerolatency", "sc_threshold": "0"}
ENCODINGS = (
    Encoding("h264_1s", "camera h264, key frame 1 s", "libx264", {**CAMERA, "crf": "26"}, 1.0),
    Encoding(
        "h264_2s",
        "camera h264, key frame 2 s",
        "libx264",
        {**CAMERA, "crf": "26", "maxrate": "2M", "bufsize": "2M"},
        2.0,
    ),
    Encoding(
        "h265_2s",
        "camera h265, key frame 2 s",
        "libx265",
        {"preset": "superfast", "tune": "zerolatency", "crf": "28"},
        2.0,
    ),
    Encoding("mpeg4_1s", "mpeg4, key frame 1 s", "mpeg4", {"qscale": "5"}, 1.0),
    Encoding("x264_250", "x264 medium, key frame 250", "libx264", {"preset": "medium", "crf": "23"}, 0.0),
)


@dataclass
class Sensed(Scene):
    """A scene as a sensor of so many lines sees it. `denoises`: and the camera mixes it with the picture before."""

    denoises: bool = True
    height: int = 720
    contrast: float = 1.0
    """Of what moves with the scene behind it, as a share of what was filmed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        random = np.random.default_rng(self.shot.seed + 1)
        white = random.normal(0, 1, (BANKS, self.height, self.width)).astype(np.float32)
        self._banks = [cv2.GaussianBlur(each, (3, 3), 0.5) * 1.25 for each in white]
        self._gain = 1 + GAINS * random.normal(0, 1, (self.height, self.width)).astype(np.float32)
        self._offset = OFFSETS * random.normal(0, 1, (self.height, self.width)).astype(np.float32)
        levels = np.arange(256, dtype=np.float32)
        linear = np.maximum(levels / 255, 1e-3) ** GAMMA
        electrons = np.sqrt(linear * ELECTRONS + READING**2)
        self._deviation = electrons / ELECTRONS / (GAMMA * linear ** (1 - 1 / GAMMA)) * 255
        self._deviation = np.minimum(self._deviation, 4).astype(np.float32)
        """Of the noise, by level."""
        self._before: Array | None = None

    @property
    def width(self) -> int:
        return self.height * SMALL_WIDTH // SMALL_HEIGHT

    def _walker(self, count: int) -> tuple[list[tuple[Array, Array]], float]:
        found, amount = super()._walker(count)
        return [(share * self.contrast, walker) for share, walker in found], amount

    def _sensed(self, planes: Array, time_s: float) -> Array:
        luma = cv2.resize(planes[:SMALL_HEIGHT], (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        luma = (luma - 16) * (1 + DAYLIGHT * np.sin(np.pi * time_s / 60)) + 16
        luma = luma * self._gain + self._offset
        noise = self.shot.noise * self._deviation[np.clip(luma, 0, 255).astype(np.uint8)]
        chroma = planes[SMALL_HEIGHT:].reshape(2, SMALL_HEIGHT // 2, SMALL_WIDTH // 2)
        colours = [cv2.resize(each, (self.width // 2, self.height // 2)) for each in chroma]
        rolled = [self._rolled() for _ in range(2)]
        luma = self._denoised(luma + noise * rolled[0], noise) if self.denoises else luma + noise * rolled[0]
        colours = [each + 0.5 * self.shot.noise * rolled[1][::2, ::2] for each in colours]
        flat = np.concatenate([luma, np.concatenate([each.ravel() for each in colours]).reshape(-1, self.width)])
        return np.clip(flat, 0, 255).astype(np.uint8)

    def _denoised(self, luma: Array, noise: Array) -> Array:
        """Mixed with the picture before where nothing moves, as cameras do against noise."""
        if self._before is not None:
            moves = np.abs(cv2.blur(luma - self._before, (7, 7))) > np.maximum(noise, 0.5)
            luma = np.where(moves, luma, KEPT * self._before + (1 - KEPT) * luma)
        self._before = luma
        return luma

    def _rolled(self) -> Array:
        """float32 "H W": noise of one picture."""
        bank = self._banks[int(self._random.integers(BANKS))]
        by = int(self._random.integers(self.height)), int(self._random.integers(self.width))
        return np.roll(bank, by, (0, 1))


def write_film(path: Path, encoding: Encoding, frames: Iterator[Array], rate: int, times: int = 1) -> None:
    """Encode pictures, and write their packets so many times one after the other."""
    pictures = iter(frames)
    first = next(pictures)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(encoding.codec, rate)
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0] * 2 // 3, "yuv420p"
        if encoding.gop_s:
            stream.codec_context.gop_size = round(rate * encoding.gop_s)
        if encoding.codec == "mpeg4":
            stream.codec_context.qmin = stream.codec_context.qmax = int(encoding.options["qscale"])
        options = dict(encoding.options)
        if encoding.codec == "libx265":
            options["x265-params"] = "log-level=none" + (
                f":keyint={round(rate * encoding.gop_s)}" if encoding.gop_s else ""
            )
        stream.codec_context.options = options
        packets, count = [], 0
        for number, planes in enumerate(chain([first], pictures)):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            packets += stream.encode(frame)
            count += 1
        packets += stream.encode(None)
        facts = [(bytes(each), each.pts, each.dts, each.duration, each.is_keyframe, each.time_base) for each in packets]
        for turn in range(times):
            for data, pts, dts, duration, is_key, base in facts:
                packet = av.Packet(data)
                by = round(turn * count / rate / base)
                packet.pts, packet.dts, packet.duration, packet.time_base = pts + by, dts + by, duration, base
                packet.is_keyframe, packet.stream = is_key, stream
                container.mux(packet)


def shot_of(path: Path, rate: int, seed: int, noise: float = 1.0) -> Shot:
    return Shot(path, noise, rate, 0.0, {}, seed)


__all__ = ["CLIP_S", "ENCODINGS", "Encoding", "Sensed", "shot_of", "write_film"]
