"""Films of figures: their parts are cut from photos and drawn where the joints are."""

from __future__ import annotations

import cv2
import numpy as np

from recipes.percept_mini.figure_scenes import People
from recipes.percept_mini.figures import Motion, Point, seen
from recipes.percept_mini.motion_pictures import Film, Floats, Grey
from recipes.percept_mini.motion_scenes import Grid, Random

WIDTHS = {
    "torso": 0.19,
    "head": 0.10,
    "thigh": 0.095,
    "shin": 0.075,
    "foot": 0.05,
    "upper arm": 0.065,
    "forearm": 0.055,
}
"""Thickness of parts, in heights."""
LONG_PX, WIDE_PX = 64, 32


class PeopleFilm(Film):
    """A scene of `People` in front of a photo."""

    def __init__(self, people: People, photo: Grey, cloth: list[Grey], grid: Grid, random: Random) -> None:
        super().__init__(people.scene, photo, [], grid, random)
        self._people = people
        self._motions = [Motion(figure, people.scene.seconds) for figure in people.figures]
        self._parts = [_dressed(cloth[i % len(cloth)], random) for i in range(len(self._motions))]
        self._widths = [random.uniform(0.8, 1.3) for _ in self._motions]

    def _in_front(self, picture: Floats, when: float, shift: Floats) -> None:
        order = sorted(range(len(self._motions)), key=lambda i: -self._people.figures[i].depth)
        for i in order:
            self._draw(picture, i, when, shift)

    def _draw(self, picture: Floats, i: int, when: float, shift: Floats) -> None:
        figure, scene = self._people.figures[i], self.scene
        ends = seen(figure, self._motions[i].posture(when + scene.seconds / 2), self._people.looking_down)
        zoom = float(np.exp(np.clip(scene.camera.growth * when, -1, 1)))
        feet = np.array(figure.place) * zoom + np.array(scene.camera.pan) * when
        origin = np.array(self.size) / 2 + feet * self.short_px + shift
        unit = figure.height * self.short_px * zoom
        for name, (a, b) in sorted(ends.items(), key=lambda item: -float(item[1][0][2] + item[1][1][2])):
            part = name.removeprefix("left ").removeprefix("right ")
            width = WIDTHS[part] * self._widths[i] * unit
            _lay(picture, self._parts[i][name], origin + a[:2] * unit, origin + b[:2] * unit, width)


def _dressed(photo: Grey, random: Random) -> dict[str, Floats]:
    """A capsule for every part "64 32 2" (grey times opacity, opacity), cut from a photo."""
    height, width = photo.shape
    found: dict[str, Floats] = {}
    shade = {part: random.uniform(-50, 50) for part in WIDTHS}
    same = random.random() < 0.5
    for side in ("", "left ", "right "):
        for part in WIDTHS:
            if (side == "") != (part in ("torso", "head")):
                continue
            size = int(random.uniform(0.15, 0.5) * min(height, width))
            top, left = int(random.integers(0, height - size)), int(random.integers(0, width - size))
            piece = photo[top : top + size, left : left + size // 2]
            cloth = cv2.resize(piece, (WIDE_PX, LONG_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
            cloth = np.clip(cloth + (shade["torso"] if same else shade[part]), 0, 255)
            y, x = np.mgrid[:LONG_PX, :WIDE_PX].astype(np.float32)
            round_px = WIDE_PX / 2
            beyond = np.maximum(np.maximum(round_px - y, y - (LONG_PX - 1 - round_px)), 0)
            inside = np.hypot((x - WIDE_PX / 2 + 0.5), beyond * 1.0) < round_px - 1.5
            opacity = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.8)
            found[side + part] = np.dstack([cloth * opacity, opacity]).astype(np.float32)
    return found


def _lay(picture: Floats, part: Floats, a: Point, b: Point, width: float) -> None:
    """Draw a part between two points, as wide as `width` pixels, with round ends beyond them."""
    along = b - a
    length = float(np.hypot(*along))
    along = along / length if length > 1e-6 else np.array([0.0, 1.0])
    across = np.array([-along[1], along[0]])
    start, end = a - along * width / 2, b + along * width / 2
    corners = np.array([start - across * width / 2, start + across * width / 2, end - across * width / 2])
    low = np.floor(np.minimum(start, end) - width).astype(int)
    high = np.ceil(np.maximum(start, end) + width).astype(int) + 1
    x0, y0 = np.maximum(low, 0)
    x1, y1 = np.minimum(high, picture.shape[1::-1])
    if x0 >= x1 or y0 >= y1:
        return
    source = np.array([[0, 0], [WIDE_PX - 1, 0], [0, LONG_PX - 1]], np.float32)
    matrix = cv2.getAffineTransform(source, (corners - (x0, y0)).astype(np.float32))
    over = cv2.warpAffine(part, matrix, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR)
    picture[y0:y1, x0:x1] += over[..., 0] - over[..., 1] * picture[y0:y1, x0:x1]
