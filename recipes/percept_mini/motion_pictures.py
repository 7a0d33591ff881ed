"""Animated photos: grey frames of a scene, as if filmed by a camera with noise, blur and changing light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recipes.percept_mini.motion_scenes import Grid, Random, Scene, Thing

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
CUT_PX = 128


@dataclass(frozen=True)
class FilmingConditions:
    """The conditions that a clip is filmed in."""

    noise: float
    """Standard deviation, in grey levels."""
    quality: int
    """JPEG quality; 0 for no compression."""
    blur_px: float
    light: tuple[float, float]
    """Relative change of brightness over the clip, and standard deviation of the flicker."""
    bars: float
    """Height of the black bars at the top and bottom, as a share of the picture."""
    logo: bool


def draw_conditions(random: Random, grid: Grid) -> FilmingConditions:
    return FilmingConditions(
        noise=float(random.uniform(0, grid.noise)) if random.random() < 0.7 else 0.0,
        quality=int(random.integers(*grid.quality)) if random.random() < 0.6 else 0,
        blur_px=float(random.uniform(0.5, 2.0)) if random.random() < 0.3 else 0.0,
        light=(float(random.normal(0, 0.15)), float(random.uniform(0, 0.04)) if random.random() < 0.2 else 0.0),
        bars=float(random.uniform(0.05, 0.14)) if random.random() < 0.1 else 0.0,
        logo=random.random() < 0.12,
    )


class Film:
    """The photo, the cut-outs and the filming conditions of one scene; `frame` renders it at any time."""

    def __init__(self, scene: Scene, photo: Grey, others: list[Grey], grid: Grid, random: Random) -> None:
        self.scene, self.conditions = scene, draw_conditions(random, grid)
        short = int(random.choice((224, 224, 224, 192, 160, 144)))
        self.short_px = short
        self.size = (round(short * max(1.0, scene.aspect)), round(short * max(1.0, 1 / scene.aspect)))
        self._photo = backdrop(photo, random)
        self._scale = short / min(photo.shape) * random.uniform(1.0, 1.8)
        self._cuts = [(cut_out(other, random), thing) for other, thing in zip(others, scene.things, strict=True)]
        self._trembling = random.uniform(1.5, 6.0, (2, 3)), random.uniform(0, 2 * np.pi, (2, 3))
        self._ease = random.uniform(0.3, 1.0), random.uniform(0, 2 * np.pi)
        self._field = random.normal(0, 1, (2, 2, 6, 8)).astype(np.float32)
        self._random = random
        self._noise = random.normal(0, 1, (self.size[1] + 32, self.size[0] + 32)).astype(np.float32)

    def frame(self, t: float) -> Grey:
        """uint8 "H W" at second `t` of the clip."""
        when, shift = self._progress(t), self._shake(t)
        picture = self._background(when, shift)
        if self.scene.shimmer:
            picture = self._shimmering(picture, t)
        for cut, thing in self._cuts:
            self._lay(picture, cut, thing, when, shift)
        self._in_front(picture, when, shift)
        return self._filmed(picture, t)

    def _in_front(self, picture: Floats, when: float, shift: Floats) -> None:
        """What a subclass draws over the scene, in place."""

    def _progress(self, t: float) -> float:
        """Seconds of motion at second `t`, relative to the middle of the clip."""
        seconds, (begin, end) = self.scene.seconds, self.scene.active
        frequency, phase = self._ease
        t = float(np.clip(t, begin * seconds, end * seconds))
        varied = self.scene.ease / (2 * np.pi * frequency) * np.sin(2 * np.pi * frequency * t + phase)
        return float(t - seconds / 2 + varied)

    def _shake(self, t: float) -> Floats:
        """Displacement by the camera's shake: pixels along x and y."""
        frequency, phase = self._trembling
        amplitude = self.scene.camera.shake / (2 * np.pi * frequency * np.sqrt(3))  # three waves on two axes
        return np.asarray((amplitude * np.sin(2 * np.pi * frequency * t + phase)).sum(1) * self.short_px, np.float32)

    def _background(self, when: float, shift: Floats) -> Floats:
        camera = self.scene.camera
        scale, angle = self._scale * np.exp(camera.growth * when), camera.roll * when
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.array(self._photo.shape[::-1]) / 2
        place = np.array(self.size) / 2 + np.array(camera.pan) * when * self.short_px + shift - turn @ middle
        matrix = np.concatenate([turn, place[:, None]], 1)
        seen = cv2.warpAffine(self._photo, matrix, self.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(seen, np.float32)

    def _shimmering(self, picture: Floats, t: float) -> Floats:
        """The picture with parts that oscillate independently."""
        wave = 2 * np.pi * 1.2
        amplitude = np.float32(0.9 * self.scene.shimmer * self.short_px / wave)
        now = amplitude * (self._field[0] * np.sin(wave * t) + self._field[1] * np.cos(0.8 * wave * t))
        x, y = (cv2.resize(part.astype(np.float32), self.size, interpolation=cv2.INTER_CUBIC) for part in now)
        columns, rows = np.meshgrid(
            np.arange(self.size[0], dtype=np.float32), np.arange(self.size[1], dtype=np.float32)
        )
        moved = cv2.remap(picture, columns - x, rows - y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.float32)

    def _lay(self, picture: Floats, cut: Floats, thing: Thing, when: float, shift: Floats) -> None:
        """Draw a cut-out "h w 2" (grey times opacity, opacity) into the picture, at its place at this time."""
        pan, short = np.array(self.scene.camera.pan), self.short_px
        sway = np.array(thing.sway[:2]) * np.sin(2 * np.pi * thing.sway[2] * when + thing.phase)
        middle = (
            np.array(self.size) / 2 + (np.array(thing.place) + (pan + thing.velocity) * when + sway) * short + shift
        )
        side = max(6.0, thing.side * short * float(np.exp(np.clip(thing.growth * when, -2, 1.2))))
        half = int(side * 0.75) + 2
        corner = np.floor(middle).astype(int) - half
        matrix = cv2.getRotationMatrix2D((CUT_PX / 2, CUT_PX / 2), -np.degrees(thing.turn * when), side / CUT_PX)
        matrix[:, 2] += middle - corner - CUT_PX / 2
        over = cv2.warpAffine(cut, matrix, (2 * half, 2 * half), flags=cv2.INTER_LINEAR)
        x0, y0 = np.maximum(corner, 0)
        x1, y1 = np.minimum(corner + 2 * half, self.size)
        if x0 >= x1 or y0 >= y1:
            return
        over = over[y0 - corner[1] : y1 - corner[1], x0 - corner[0] : x1 - corner[0]]
        picture[y0:y1, x0:x1] += over[..., 0] - over[..., 1] * picture[y0:y1, x0:x1]

    def _filmed(self, picture: Floats, t: float) -> Grey:
        look, random = self.conditions, self._random
        if look.blur_px:
            picture = cv2.GaussianBlur(picture, (0, 0), look.blur_px)
        light = 1 + look.light[0] * t / self.scene.seconds + (look.light[1] * random.normal() if look.light[1] else 0)
        picture = picture * np.float32(light)
        if look.logo:
            picture[8:26, 8:60] = 220
            picture[12:22:3, 12:56] = 30
        if look.bars:
            rows = int(look.bars * len(picture))
            picture[:rows], picture[-rows:] = 0, 0
        if look.noise:
            x, y = random.integers(0, 32, 2)
            picture = picture + look.noise * self._noise[y : y + self.size[1], x : x + self.size[0]]
        seen = np.clip(picture, 0, 255).astype(np.uint8)
        if not look.quality:
            return seen
        _, packed = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, look.quality])
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def backdrop(photo: Grey, random: Random) -> Grey:
    """The photo, sometimes with low contrast, sometimes with a plain sky."""
    picture: Any = photo.astype(np.float32)
    if random.random() < 0.15:
        picture = picture.mean() + (picture - picture.mean()) * random.uniform(0.1, 0.4)
    if random.random() < 0.12:
        height, width = picture.shape
        line = random.uniform(0.3, 0.8) * height + random.normal(0, 8) * np.sin(np.arange(width) / 25)
        rows = np.arange(height)[:, None]
        sky = 190 + 40 * rows / height
        picture = np.where(rows < line, sky, picture)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def cut_out(photo: Grey, random: Random) -> Floats:
    """An irregular piece of a photo with soft edges: float32 "128 128 2", grey times opacity, and opacity."""
    side = int(random.uniform(0.4, 1.0) * min(photo.shape))
    top, left = (int(random.integers(0, extent - side + 1)) for extent in photo.shape)
    piece = cv2.resize(photo[top : top + side, left : left + side], (CUT_PX, CUT_PX), interpolation=cv2.INTER_AREA)
    y, x = (np.mgrid[:CUT_PX, :CUT_PX] - CUT_PX / 2) / CUT_PX
    angle, radius = np.arctan2(y, x), np.hypot(x, y * random.uniform(0.6, 1.4))
    rim = 0.36 + sum(random.normal(0, 0.06) * np.cos(k * angle + random.uniform(0, 6.3)) for k in range(2, 7))
    opacity = cv2.GaussianBlur((radius < np.clip(rim, 0.15, 0.48)).astype(np.float32), (0, 0), 1.5)
    return np.dstack([piece * opacity, opacity]).astype(np.float32)
