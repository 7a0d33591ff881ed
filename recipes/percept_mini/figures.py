"""Stick figures that walk, run, jump, wave, dance, fight, fall and sit down: postures of a jointed body over time.

Lengths are in heights of the body. The body's own axes: x forward, y up, z to its left. A limb's direction is given by
two angles in radians: how far it swings forward, and how far it is lifted sideways; 0 and 0 hangs down. A walk
is as fast as people's at their ease, 0.75 to 0.85 heights per second (Bohannon 1997); other rates were set by eye.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Random = np.random.Generator
Point = np.ndarray[Any, np.dtype[np.float64]]

THIGH, SHIN, TORSO, HEAD, UPPER_ARM, FOREARM = 0.245, 0.26, 0.29, 0.10, 0.17, 0.20
SHOULDER, HIP = 0.11, 0.06
"""Half of the widths."""
IDLE = ("standing", "gesturing", "exercising slowly", "sitting")
"""What figures do that no action word is true of."""
STRIDES = {"walking": 0.78, "running": 1.38}
"""How far two steps go, in heights."""
GRAVITY = 5.6
"""Heights per second squared, for a body of 1.75 m."""


@dataclass
class Posture:
    """Angles of limbs, left and right: "2 2" (left and right; forward and sideways), and of the whole body."""

    thigh: Point = field(default_factory=lambda: np.array([[0.0, 0.04], [0.0, 0.04]]))
    knee: Point = field(default_factory=lambda: np.zeros(2))
    upper_arm: Point = field(default_factory=lambda: np.array([[0.0, 0.12], [0.0, 0.12]]))
    forearm: Point = field(default_factory=lambda: np.array([[0.15, 0.1], [0.15, 0.1]]))
    lean: float = 0.0
    """Of the torso, forward."""
    bend: float = 0.0
    """Of the torso, to the left."""
    twist: float = 0.0
    """Of the whole body about the vertical."""
    tilt: tuple[float, float] = (0.0, 0.0)
    """Of the whole body about its feet: forward and to the left."""
    above: float = 0.0
    """Height of the lower foot above the ground."""
    moved: tuple[float, float] = (0.0, 0.0)
    """Of the whole body: forward and to the left."""


@dataclass(frozen=True)
class Figure:
    """One person. `seed` chooses how exactly the action is done."""

    action: str
    height: float
    """In short sides of the picture."""
    place: tuple[float, float]
    """The feet in the middle of the clip, relative to the picture's centre, in short sides."""
    yaw: float
    """0 walks to the right of the picture, pi / 2 toward the camera."""
    seed: int
    partner: float = 0.0
    """Distance to the other fighter, in heights."""
    depth: float = 0.0
    """Figures with a larger one are drawn first."""


def _side(direction: Point, left: bool) -> Point:
    """Unit vectors of limbs from two angles."""
    forward, out = direction
    sign = 1.0 if left else -1.0
    return np.array([np.sin(forward) * np.cos(out), -np.cos(forward) * np.cos(out), sign * np.sin(out)])


def joints(posture: Posture) -> dict[str, tuple[Point, Point]]:
    """The ends of every part of the body, in its own axes with the ground at y = 0."""
    lean, bend = posture.lean, posture.bend
    spine = np.array([np.sin(lean), np.cos(lean) * np.cos(bend), np.sin(bend)])
    hip, neck = np.zeros(3), TORSO * spine
    parts = {"torso": (hip, neck), "head": (neck + 0.02 * spine, neck + (0.02 + HEAD) * spine)}
    lowest = 0.0
    for row, name in enumerate(("left", "right")):
        left, out = row == 0, np.array([0.0, 0.0, 1.0 if row == 0 else -1.0])
        start = hip + HIP * out
        knee = start + THIGH * _side(posture.thigh[row], left)
        shin = posture.thigh[row] - np.array([posture.knee[row], 0.0])
        foot = knee + SHIN * _side(shin, left)
        toes = foot + 0.07 * _side(shin + np.array([1.4, 0.0]), left)
        shoulder = neck + SHOULDER * out - 0.02 * spine
        elbow = shoulder + UPPER_ARM * _leaned(_side(posture.upper_arm[row], left), lean)
        hand = elbow + FOREARM * _leaned(_side(posture.forearm[row], left), lean)
        parts |= {
            f"{name} thigh": (start, knee),
            f"{name} shin": (knee, foot),
            f"{name} foot": (foot, toes),
            f"{name} upper arm": (shoulder, elbow),
            f"{name} forearm": (elbow, hand),
        }
        lowest = min(lowest, float(foot[1]))
    up = np.array([0.0, posture.above - lowest, 0.0])
    turn = _rotation(posture.tilt[0], posture.tilt[1], posture.twist)
    moved = np.array([posture.moved[0], 0.0, posture.moved[1]])
    return {name: (turn @ (a + up) + moved, turn @ (b + up) + moved) for name, (a, b) in parts.items()}


def _leaned(direction: Point, lean: float) -> Point:
    c, s = np.cos(0.7 * lean), np.sin(0.7 * lean)
    return np.array([c * direction[0] + s * direction[1], -s * direction[0] + c * direction[1], direction[2]])


def _rotation(forward: float, left: float, about: float) -> Point:
    c, s = np.cos(-forward), np.sin(-forward)
    pitch = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    c, s = np.cos(left), np.sin(left)
    roll = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    c, s = np.cos(about), np.sin(about)
    yaw = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return np.asarray(yaw @ roll @ pitch)


def seen(figure: Figure, posture: Posture, looking_down: float) -> dict[str, tuple[Point, Point]]:
    """The ends of the parts in the picture: "x y depth" in heights from the feet, y down, larger depth farther away."""
    c, s = np.cos(figure.yaw), np.sin(figure.yaw)
    down, out = np.sin(looking_down), np.cos(looking_down)

    def project(p: Point) -> Point:
        x, toward = c * p[0] + s * p[2], s * p[0] - c * p[2]
        return np.array([x, -(out * p[1]) + down * toward, -toward])

    return {name: (project(a), project(b)) for name, (a, b) in joints(posture).items()}


class Motion:
    """What a figure does: `posture(t)` at second `t`, for `seconds`."""

    def __init__(self, figure: Figure, seconds: float) -> None:
        self.figure, self.seconds = figure, seconds
        self.random = np.random.default_rng(figure.seed)
        self.phase = self.random.uniform(0, 2 * np.pi)
        self.vigour = self.random.uniform(0.75, 1.25)
        self.waves = self.random.uniform(0.5, 1.0, 16), self.random.uniform(0, 2 * np.pi, 16)
        self.left = bool(self.random.random() < 0.5)
        self._make = getattr(self, "_" + figure.action.replace(" ", "_"))
        self._prepare()

    def _prepare(self) -> None:
        random, action = self.random, self.figure.action
        rates = {"walking": (0.75, 1.15), "running": (1.25, 1.7), "jumping": (0.8, 1.9), "waving": (1.0, 2.6)}
        rates |= {"dancing": (0.7, 1.6), "exercising slowly": (0.1, 0.3), "gesturing": (0.3, 0.9)}
        self.rate_hz = random.uniform(*rates.get(action, (0.2, 0.4)))
        self.lasts_s = random.uniform(*((0.5, 1.0) if action == "falling down" else (0.7, 1.4)))
        self.begins_s = random.uniform(0.05, max(0.1, self.seconds - self.lasts_s - 0.05))
        self.speed = STRIDES.get(action, 0.0) * self.rate_hz * random.uniform(0.85, 1.15)
        gaps = random.uniform(0.25, 0.6, 16).cumsum() - random.uniform(0, 0.4)
        self.blows = [(float(t), int(kind)) for t, kind in zip(gaps, random.integers(0, 5, 16), strict=True)]
        self.falls = random.uniform(-1, 1), random.uniform(-1, 1)
        self.seat = random.uniform(1.1, 1.55)
        self.both = bool(random.random() < 0.3)

    def posture(self, t: float) -> Posture:
        made = self._make(t)
        sway = 0.02 * np.sin(2 * np.pi * 0.3 * t + self.phase)
        made.lean += sway
        return made

    def _gait(self, t: float, swing: float, lift: float, arm: float, elbow: float, bob: float) -> Posture:
        angle = 2 * np.pi * self.rate_hz * t + self.phase
        found = Posture()
        for row, own in enumerate((angle, angle + np.pi)):
            found.thigh[row, 0] = swing * np.sin(own) + 0.1 * lift
            found.knee[row] = lift * max(0.0, float(np.cos(own + 0.35))) ** 1.3 + 0.08
            found.upper_arm[row] = (-arm * np.sin(own), 0.14)
            found.forearm[row] = (-arm * np.sin(own) + elbow * (1 - 0.3 * np.sin(own)), 0.06)
        found.above = bob * abs(np.sin(angle))
        found.moved = (self.speed * (t - self.seconds / 2), 0.0)
        return found

    def _walking(self, t: float) -> Posture:
        return self._gait(t, 0.42 * self.vigour, 0.95, 0.4 * self.vigour, 0.25, 0.0)

    def _running(self, t: float) -> Posture:
        found = self._gait(t, 0.75 * self.vigour, 1.75, 0.7 * self.vigour, 1.5, 0.06)
        found.lean = 0.17
        return found

    def _jumping(self, t: float) -> Posture:
        """Hops: a ballistic flight, then a crouch between landing and the next."""
        cycle = (self.rate_hz * t + self.phase / (2 * np.pi)) % 1.0
        flight_s = 0.62 / self.rate_hz
        found = Posture()
        if cycle < 0.62:
            s = cycle / 0.62
            found.above = min(0.5, GRAVITY * flight_s**2 / 8) * 4 * s * (1 - s)
            crouch, arms = 0.25 * (2 * s - 1) ** 2, 1.0
        else:
            s = (cycle - 0.62) / 0.38
            crouch, arms = 0.25 + 0.75 * np.sin(np.pi * s) * min(1.0, 0.8 / self.rate_hz), 1 - np.sin(np.pi * s)
        found.thigh[:, 0], found.knee[:] = 0.75 * crouch, 1.5 * crouch
        found.lean = 0.35 * crouch
        lift = (2.6 if self.both else 1.1) * arms * self.vigour
        found.upper_arm[:] = (0.3 * lift, 0.15 + (0.8 * lift if self.left else 0.1))
        found.forearm[:] = (0.3 * lift + 0.6, 0.15 + (0.8 * lift if self.left else 0.1))
        found.moved = (0.15 * np.sin(0.7 * t), 0.0)
        return found

    def _waving(self, t: float) -> Posture:
        found = self._standing(t)
        swing = np.sin(2 * np.pi * self.rate_hz * t + self.phase)
        rows = (0, 1) if self.both else (0 if self.left else 1,)
        raised = 1.3 + 0.5 * self.waves[0][0]
        for row in rows:
            found.upper_arm[row] = (0.1, raised + (0.25 * swing if self.both else 0.08 * swing))
            found.forearm[row] = (0.1, min(3.0, raised + 0.9) + 0.55 * self.vigour * swing)
        return found

    def _dancing(self, t: float) -> Posture:
        """Every limb on the same beat, with an amplitude and a phase of its own."""
        beat = 2 * np.pi * self.rate_hz * t + self.phase
        size, shift = self.waves
        wave = [size[i] * np.sin(beat * (2 if shift[i] > 4.2 else 1) + shift[i]) for i in range(16)]
        found, v = Posture(), self.vigour
        found.thigh[:, 0] = (0.35 * v * wave[0], -0.35 * v * wave[0])
        found.thigh[:, 1] = 0.12 + 0.12 * abs(wave[1])
        found.knee[:] = (0.5 * abs(wave[2]), 0.5 * abs(wave[3]))
        found.upper_arm[0] = (0.9 * v * wave[4], 0.9 + 0.8 * v * wave[5])
        found.upper_arm[1] = (0.9 * v * wave[6], 0.9 + 0.8 * v * wave[7])
        found.forearm[0] = found.upper_arm[0] + (0.7 + 0.5 * wave[8], 0.5 * wave[9])
        found.forearm[1] = found.upper_arm[1] + (0.7 + 0.5 * wave[10], 0.5 * wave[11])
        found.lean, found.bend = 0.12 * wave[12], 0.25 * v * wave[13]
        found.twist = 0.6 * v * wave[14]
        found.above = 0.05 * abs(wave[15]) * self.both
        found.moved = (0.1 * wave[1], 0.18 * wave[0])
        return found

    def _fighting(self, t: float) -> Posture:
        """Guarded, stepping to and fro, with blows, kicks and shoves at irregular moments."""
        step = np.sin(2 * np.pi * 0.7 * self.vigour * t + self.phase)
        found = Posture()
        found.thigh[:] = ((0.35 + 0.12 * step, 0.12), (-0.25 + 0.12 * step, 0.12))
        found.knee[:] = 0.35
        found.upper_arm[:] = (0.6, 0.2)
        found.forearm[:] = (2.1, -0.1)
        found.lean = 0.15 + 0.06 * step
        close = 0.1 * step - 0.03
        for at, kind in self.blows:
            s = (t - at) / 0.34
            if not 0 <= s <= 1:
                continue
            out = np.sin(np.pi * s) ** 0.8
            row = kind % 2
            if kind < 4 or self.both:
                target = np.array([1.45 + 0.2 * self.vigour, 0.05 + (0.5 if kind > 1 else 0)])
                found.upper_arm[row] = (1 - out) * found.upper_arm[row] + out * target
                found.forearm[row] = (1 - out) * found.forearm[row] + out * target
                found.twist += (0.5 if row else -0.5) * out
                found.lean += 0.2 * out
            else:
                found.thigh[row] = (0.35 + 1.1 * out, 0.15)
                found.knee[row] = 0.9 * (1 - out) + 0.05
                found.lean -= 0.25 * out
            close += 0.12 * out
        struck = np.sin(2 * np.pi * 0.9 * t + self.waves[1][3])
        found.tilt = (-0.08 * max(0.0, float(struck)), 0.05 * struck)
        found.moved = (close - self.figure.partner / 2, 0.1 * np.sin(2 * np.pi * 0.4 * t + self.waves[1][4]))
        return found

    def _progress(self, t: float) -> float:
        return float(np.clip((t - self.begins_s) / self.lasts_s, 0, 1))

    def _falling_down(self, t: float) -> Posture:
        s = self._progress(t)
        found = self._walking(t) if self.both and s == 0 else self._standing(t)
        if self.both:
            found.moved = (0.5 * self.vigour * (min(t, self.begins_s) - self.seconds / 2), 0.0)
        down = s**1.8
        length = float(np.hypot(*self.falls)) or 1.0
        angle = 1.5 * down
        found.tilt = (angle * self.falls[0] / length, angle * self.falls[1] / length)
        fold = np.sin(np.pi * min(1.0, s * 1.1)) * 0.7
        found.knee[:] = 1.2 * fold * self.vigour
        found.thigh[:, 0] = 0.6 * fold
        found.upper_arm[:] = (1.4 * fold, 0.9 * fold + 0.2)
        found.forearm[:] = (1.6 * fold, 0.9 * fold + 0.2)
        return found

    def _seated(self, s: float, t: float) -> Posture:
        """Between standing (0) and sitting (1)."""
        smooth = s * s * (3 - 2 * s)
        found = self._standing(t)
        found.thigh[:, 0] = self.seat * smooth
        found.knee[:] = self.seat * smooth * 1.02
        found.lean += 0.75 * np.sin(np.pi * smooth) * (0.5 + 0.5 * self.vigour)
        hands = 0.5 * smooth
        found.upper_arm[:, 0] += hands
        found.forearm[:, 0] += hands + 0.5 * smooth
        found.moved = (-0.28 * smooth, 0.0)
        return found

    def _sitting_down(self, t: float) -> Posture:
        return self._seated(self._progress(t), t)

    def _standing_up(self, t: float) -> Posture:
        return self._seated(1 - self._progress(t), t)

    def _sitting(self, t: float) -> Posture:
        return self._seated(1.0, t)

    def _standing(self, t: float) -> Posture:
        found = Posture()
        slow = np.sin(2 * np.pi * 0.25 * t + self.waves[1][5])
        found.lean, found.bend = 0.03 * slow, 0.03 * np.sin(2 * np.pi * 0.18 * t + self.phase)
        found.upper_arm[:, 0] += 0.06 * slow
        return found

    def _gesturing(self, t: float) -> Posture:
        found = self._seated(1.0, t) if self.both else self._standing(t)
        for row in (0, 1):
            wave = [
                np.sin(2 * np.pi * self.rate_hz * (1 + 0.6 * i) * t + self.waves[1][6 + 3 * row + i]) for i in range(3)
            ]
            found.upper_arm[row] = (0.35 + 0.25 * wave[0], 0.25 + 0.15 * wave[1])
            found.forearm[row] = (1.4 + 0.5 * wave[2], 0.1 + 0.3 * wave[0])
        return found

    def _exercising_slowly(self, t: float) -> Posture:
        found = self._dancing(t)
        found.above = 0.0
        return found
