"""Random descriptions of the motion in a synthetic clip.

Lengths are in short sides of the picture, so speeds are in short sides per second as in `stages.flow`; x points right,
y down. Camera motion is given as motion of the content: a camera that pans left moves everything to the right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recipes.percept_mini.motion_words import KIND_WORDS

Random = np.random.Generator
CAMERA_PAN = {"panning left": (1, 0), "panning right": (-1, 0), "panning up": (0, 1), "panning down": (0, -1)}
"""Direction of the content when the camera pans."""
THING_MOVES = {
    "something moving left": (-1, 0),
    "something moving right": (1, 0),
    "something moving up": (0, -1),
    "something moving down": (0, 1),
}
GROWTH = {"zooming in": 1, "zooming out": -1, "something moving toward the camera": 1}
GROWTH["something moving away from the camera"] = -1
KINDS = (*KIND_WORDS, "swaying")
"""The kinds of clips: every word for a kind of motion, and things that sway, which no word describes."""
STILL_BELOW, SHAKY_FROM = 0.03, 0.15
"""Speeds of camera motion: below the first it counts as still, from the second on as shaking."""
LARGEST_STEP = 0.22
"""Short sides between two frames; optical flow does not recover larger steps."""


@dataclass(frozen=True)
class Grid:
    """The values that clips are made with; they differ between training and test."""

    speeds: tuple[float, ...] = (0.06, 0.12, 0.24, 0.48, 0.96, 1.6)
    frame_rates_hz: tuple[float, ...] = (4, 6, 8, 12)
    jitter: float = 0.12
    """Largest relative deviation of a speed from the grid."""
    noise: float = 6.0
    """Largest standard deviation of the noise, in grey levels."""
    quality: tuple[int, int] = (15, 90)
    """Range of the JPEG quality."""


TEST = Grid((0.085, 0.17, 0.34, 0.68, 1.3), (5, 7, 8, 10), 0.03, 9.0, (10, 60))
"""Speeds between those of training, other frame rates, stronger noise."""


@dataclass(frozen=True)
class Camera:
    pan: tuple[float, float] = (0.0, 0.0)
    """Motion of the content, per second."""
    growth: float = 0.0
    """Logarithm of the content's scale, per second."""
    roll: float = 0.0
    """Radians per second."""
    shake: float = 0.0
    """Root mean square speed of the shake."""


@dataclass(frozen=True)
class Thing:
    """A cut-out in front of the scene."""

    side: float
    place: tuple[float, float]
    """Its centre in the middle of the clip, relative to the picture's centre."""
    velocity: tuple[float, float] = (0.0, 0.0)
    """Relative to the background."""
    growth: float = 0.0
    """Logarithm of the scale, per second."""
    turn: float = 0.0
    """Radians per second."""
    sway: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Oscillation: amplitude along x and y, and frequency in Hz."""
    phase: float = 0.0

    @property
    def speed(self) -> float:
        swaying = 4 * self.sway[2] * float(np.hypot(*self.sway[:2]))
        return max(float(np.hypot(*self.velocity)), swaying)


@dataclass(frozen=True)
class Scene:
    kind: str
    seconds: float
    frame_rate_hz: float
    aspect: float
    """Width over height."""
    camera: Camera = Camera()
    things: tuple[Thing, ...] = ()
    ease: float = 0.0
    """Relative variation of the speed."""
    active: tuple[float, float] = (0.0, 1.0)
    """Begin and end of the motion, as shares of the clip."""
    shimmer: float = 0.0
    """Speed of background parts that move independently."""


def draw(random: Random, grid: Grid, kind: str) -> Scene:
    """A random scene of this kind, with a little random motion of other kinds."""
    speed = float(random.choice(grid.speeds)) * random.uniform(1 - grid.jitter, 1 + grid.jitter)
    if kind in GROWTH or kind == "rotating":
        speed = min(speed, 1.0)
    rates = [rate for rate in grid.frame_rates_hz if speed / rate <= LARGEST_STEP] or [max(grid.frame_rates_hz)]
    aspect = float(random.choice((1.0, 4 / 3, 4 / 3, 16 / 9, 16 / 9, 3 / 4, 9 / 16)))
    scene = Scene(kind, random.uniform(0.8, 2.2), float(random.choice(rates)), aspect)
    if kind in THING_MOVES or kind in ("swaying", "many things moving"):
        room = 1.6 * max(aspect, 1 / aspect)
        scene = replace(scene, seconds=min(scene.seconds, max(0.6, room / speed)))
    scene = replace(scene, ease=random.uniform(0, 0.4), active=_active(random))
    scene = _with_motion(scene, speed, random)
    if scene.camera.shake == 0 and random.random() < 0.5:
        most = STILL_BELOW if kind == "still" else max(STILL_BELOW, min(0.1, 0.15 * speed))
        scene = replace(scene, camera=replace(scene.camera, shake=random.uniform(0, most)))
    return scene


def _active(random: Random) -> tuple[float, float]:
    """Usually the whole clip; sometimes the motion begins late or ends early."""
    if random.random() < 0.75:
        return 0.0, 1.0
    length = random.uniform(0.6, 1.0)
    begin = random.uniform(0, 1 - length)
    return begin, begin + length


def _with_motion(scene: Scene, speed: float, random: Random) -> Scene:
    kind = scene.kind
    if kind == "still":
        return replace(scene, things=_resting(random))
    if kind in CAMERA_PAN:
        aside = random.normal(0, 0.1) * speed
        x, y = CAMERA_PAN[kind]
        pan = x * speed + abs(y) * aside, y * speed + abs(x) * aside
        shake = float(random.uniform(SHAKY_FROM, 0.4)) if random.random() < 0.1 and speed > 0.2 else 0.0
        return replace(scene, camera=Camera(pan, shake=shake), things=_resting(random))
    if kind in ("zooming in", "zooming out"):
        drift = random.normal(0, 0.1, 2) * speed
        return replace(scene, camera=Camera((float(drift[0]), float(drift[1])), GROWTH[kind] * max(speed, 0.1)))
    if kind == "shaking":
        return replace(
            scene, camera=Camera(shake=float(random.uniform(1.2 * SHAKY_FROM, 1.2))), things=_resting(random)
        )
    if kind == "rotating" and random.random() < 0.5:
        return replace(scene, camera=Camera(roll=float(random.choice((-1, 1))) * max(0.2, 2 * speed)))
    return _with_things(replace(scene, camera=_background(speed, random)), speed, random)


def _with_things(scene: Scene, speed: float, random: Random) -> Scene:
    kind, (x, y) = scene.kind, _place(random, scene.aspect)
    if kind == "rotating":
        turn = float(random.choice((-1, 1))) * max(0.6, 3 * speed)
        return replace(scene, things=(Thing(random.uniform(0.45, 0.9), (0.4 * x, 0.4 * y), turn=turn),))
    if kind in GROWTH:
        growth = GROWTH[kind] * max(0.25, speed)
        drift = random.normal(0, 0.04, 2)
        side = random.uniform(0.25, 0.5)
        return replace(
            scene, things=(Thing(side, (0.6 * x, 0.6 * y), (float(drift[0]), float(drift[1])), growth=growth),)
        )
    if kind == "many things moving":
        if random.random() < 0.4:
            return replace(scene, shimmer=float(np.clip(speed, 0.1, 0.8)))
        return replace(
            scene, things=tuple(_wanderer(speed, scene.aspect, random) for _ in range(random.integers(5, 12)))
        )
    if kind == "swaying":
        return replace(scene, things=tuple(_swaying(speed, scene.aspect, random) for _ in range(random.integers(1, 4))))
    along = np.array(THING_MOVES[kind], float)
    across = along[::-1] * random.normal(0, 0.15) * speed
    count = 1 if random.random() < 0.75 else int(random.integers(2, 4))
    return replace(scene, things=tuple(_mover(along * speed + across, scene.aspect, random) for _ in range(count)))


def _background(speed: float, random: Random) -> Camera:
    """The camera behind moving things: usually still, sometimes panning in any direction, even the thing's own."""
    if random.random() < 0.75:
        return Camera()
    direction = random.choice(list(CAMERA_PAN))
    x, y = CAMERA_PAN[direction]
    amount = random.uniform(0.2, 1.0) * speed
    return Camera((x * amount, y * amount))


def _resting(random: Random) -> tuple[Thing, ...]:
    """Sometimes a cut-out that rests in the scene, so that a cut-out alone is not evidence of motion."""
    if random.random() < 0.7:
        return ()
    return (Thing(random.uniform(0.2, 0.6), _place(random, 1.0)),)


def _place(random: Random, aspect: float) -> tuple[float, float]:
    wide, high = max(1.0, aspect), max(1.0, 1 / aspect)
    return float(random.uniform(-0.35, 0.35) * wide), float(random.uniform(-0.35, 0.35) * high)


def _mover(velocity: Any, aspect: float, random: Random) -> Thing:
    turn = float(random.normal(0, 0.2))
    return Thing(random.uniform(0.18, 0.6), _place(random, aspect), (float(velocity[0]), float(velocity[1])), turn=turn)


def _wanderer(speed: float, aspect: float, random: Random) -> Thing:
    angle, own = random.uniform(0, 2 * np.pi), min(speed, 0.7) * random.uniform(0.5, 1.5)
    velocity = float(np.cos(angle) * own), float(np.sin(angle) * own)
    return Thing(random.uniform(0.1, 0.3), _place(random, aspect), velocity)


def _swaying(speed: float, aspect: float, random: Random) -> Thing:
    frequency, angle = random.uniform(0.7, 2.5), random.uniform(0, 2 * np.pi)
    amplitude = min(0.4, min(speed, 1.0) / (4 * frequency))
    sway = float(amplitude * np.cos(angle)), float(amplitude * np.sin(angle)), float(frequency)
    return Thing(random.uniform(0.15, 0.5), _place(random, aspect), sway=sway, phase=random.uniform(0, 6.3))
