"""Cameras before scenes of real clips: an empty scene, real people who walk into it, and a real sensor's noise.

The empty scene is the median of a clip whose camera stands still. Who walks in is what differs from it in the clip.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.arrays import Array

WIDTH, HEIGHT = 640, 360
FEWEST_STILL = 0.85
"""Share of pixels near the median, of a clip whose camera stands still."""
CLIP_S = 2
LEAST_WALKER, MOST_WALKER = 0.003, 0.08
"""Share of the picture that differs clearly from the empty scene, when it is largest."""
DAYLIGHT = 0.03
"""Amplitude of a slow change of brightness, over two minutes."""
RATE_HZ = 16_000


def still_clips(folder: Path, most: int) -> list[Path]:
    """Clips whose camera stands still, but for what moves before it."""
    found = []
    for path in sorted([*folder.glob("clips*/*.mp4"), *folder.glob("clips*/*.avi"), *folder.glob("clips*/*.mkv")]):
        pictures = np.array([each[:90] for each in planes_of(path, (160, 90), 40, every=5)], np.float32)
        if len(pictures) > 8 and (np.abs(pictures - np.median(pictures, axis=0)) < 8).mean() > FEWEST_STILL:
            found.append(path)
    return [found[place] for place in np.linspace(0, len(found) - 1, min(most, len(found))).astype(int)]


def planes_of(path: Path, size: tuple[int, int], most: int, every: int = 1) -> list[Array]:
    """Pictures of a clip as planes of 4:2:0, one below the other."""
    pictures = []
    with av.open(str(path), metadata_errors="ignore") as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0:
                pictures.append(frame.reformat(*size, "yuv420p").to_ndarray())
            if len(pictures) == most:
                break
    return pictures


@dataclass(frozen=True)
class Shot:
    """How a camera films and sends."""

    path: Path
    noise: float
    """Standard deviation of the sensor's noise, in levels; 0: a frozen camera."""
    rate: int
    key_s: float
    options: Mapping[str, str]
    seed: int

    @property
    def per_clip(self) -> int:
        return CLIP_S * self.rate

    def in_words(self) -> str:
        kind = " ".join(f"{name} {value}" for name, value in self.options.items() if name in ("crf", "b"))
        return f"{kind}{' cbr' if 'maxrate' in self.options else ''}, noise {self.noise:g}"


@dataclass
class Scene:
    """An empty scene and those who may walk into it."""

    shot: Shot
    walks: dict[int, float] = field(default_factory=dict)
    """Clips in which somebody walks in, and how much of the picture at most."""

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.shot.seed)
        self._pictures = planes_of(self.shot.path, (WIDTH, HEIGHT), 100)
        self._empty = np.median(np.array(self._pictures[::5]), axis=0).astype(np.float32)
        white = self._random.normal(0, 1, (4, *self._empty.shape)).astype(np.float32)
        white[:, HEIGHT:] *= 0.5
        self._noises = [0.8 * each + 0.42 * (np.roll(each, 1, 1) + np.roll(each, 1, 0)) for each in white]

    def frames(self, clips: int, first_walk: int, every: int) -> Iterator[Array]:
        """Planes of each picture; somebody walks through a part of every `every`-th clip from `first_walk` on."""
        rate, per_clip = self.shot.rate, self.shot.per_clip
        walkers: dict[int, tuple[Array, Array]] = {}
        for clip in range(first_walk, clips, every):
            count = int(self._random.integers(round(0.4 * rate), round(1.5 * rate)))
            start = clip * per_clip + int(self._random.integers(2, per_clip - count))
            found, amount = self._walker(count)
            if amount:
                self.walks[clip] = amount
                walkers |= {start + number: each for number, each in enumerate(found)}
        for number in range(clips * per_clip):
            planes = self._empty
            if number in walkers:
                share, walker = walkers[number]
                planes = planes * (1 - share) + walker * share
            yield self._sensed(planes, number / rate)

    def _walker(self, count: int) -> tuple[list[tuple[Array, Array]], float]:
        """Shares and planes of what moves in a window of the clip, and how much of the picture it is at most."""
        for _ in range(40):
            width = int(self._random.integers(WIDTH // 6, WIDTH // 2))
            left, start = int(self._random.integers(0, WIDTH - width)), int(self._random.integers(0, 100))
            window = np.zeros((HEIGHT, WIDTH), np.float32)
            window[:, left : left + width] = 1
            window = blurred(window)
            found, amounts = [], []
            for number in range(count):
                picture = self._pictures[(start + number) % len(self._pictures)].astype(np.float32)
                differs = (np.abs(picture[:HEIGHT] - self._empty[:HEIGHT]) * window > 20).astype(np.float32)
                amounts.append(float(differs.mean()))
                found.append((in_planes(np.clip(blurred(differs) * 3, 0, 1) * window), picture))
            if LEAST_WALKER <= max(amounts) < MOST_WALKER:
                return found, max(amounts)
        return [], 0.0

    def _sensed(self, planes: Array, time_s: float) -> Array:
        sensed = planes.copy()
        if self.shot.noise:
            sensed[:HEIGHT] = (sensed[:HEIGHT] - 16) * (1 + DAYLIGHT * np.sin(np.pi * time_s / 60)) + 16
            by = int(self._random.integers(HEIGHT)), int(self._random.integers(WIDTH))
            sensed += self.shot.noise * np.roll(self._noises[self._random.integers(4)], by, (0, 1))
        return np.clip(sensed, 0, 255).astype(np.uint8)


def blurred(plane: Array, step: int = 4) -> Array:
    """A plane "H W" with soft edges of some 20 pixels."""
    small = np.pad(plane[::step, ::step], 2, mode="edge")
    rows = sum(small[place : place + HEIGHT // step] for place in range(5)) / 5
    soft = sum(rows[:, place : place + WIDTH // step] for place in range(5)) / 5
    return np.asarray(soft).repeat(step, 0).repeat(step, 1)


def in_planes(share: Array) -> Array:
    """A share of each pixel "H W" as that of the planes of 4:2:0."""
    small = share[::2, ::2].ravel()
    return np.concatenate([share, np.concatenate([small, small]).reshape(-1, WIDTH)])


def sent(shot: Shot, frames: Iterator[Array]) -> Iterator[Any]:
    """The packets that a camera sends, one for each picture."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, shot.rate), Fraction(shot.rate)
    encoder.gop_size, encoder.thread_count = round(shot.rate * shot.key_s), 1
    encoder.options = {"preset": "superfast", "tune": "zerolatency", "sc_threshold": "0", **shot.options}
    for number, planes in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number, encoder.time_base
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


def samples_of(path: Path) -> Array:
    """float32 "S" at `RATE_HZ`."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(str(path), metadata_errors="ignore") as container:
        pieces = [each for frame in container.decode(audio=0) for each in resampler.resample(frame)]
        return np.concatenate([each.to_ndarray().ravel() for each in pieces])


def lasting(sound: Array, count: int, random: np.random.Generator) -> Array:
    """A background as long as wanted: half seconds of a sound, in any order, that fade into each other."""
    grain = RATE_HZ // 2
    fade = np.sqrt(np.hanning(grain))
    out = np.zeros(count + 2 * grain)
    for place in range(0, count + grain, grain // 2):
        start = int(random.integers(0, len(sound) - grain))
        out[place : place + grain] += sound[start : start + grain] * fade
    return out[grain // 2 : grain // 2 + count]


def from_loudest(sound: Array) -> Array:
    """A recording, turned so that it begins with its loudest second."""
    energy = np.cumsum(np.square(sound))
    place = int((energy[RATE_HZ:] - energy[:-RATE_HZ]).argmax()) if len(sound) > RATE_HZ else 0
    return np.roll(sound, -place)


def with_siren(clips: Sequence[Array], siren: Array, below_db: float, start_s: float) -> list[Array]:
    """Clips in which a siren begins at a time, so far below the level of the background, and rises a little."""
    background = np.concatenate(clips)
    start = round(start_s * RATE_HZ)
    tone = np.resize(siren, len(background) - start)
    level = np.std(background) / max(float(np.std(tone)), 1e-9) * 10 ** (-below_db / 20)
    background[start:] += tone * level * np.minimum(1, np.arange(len(tone)) / RATE_HZ / 0.7 + 0.2)
    return [each.astype(np.float32) for each in np.split(background, len(clips))]
