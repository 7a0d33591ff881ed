"""Random scenes of people who do something, and which motion words are true of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.arrays import Array
from recipes.percept_mini.figures import IDLE, Figure, Motion
from recipes.percept_mini.motion_scenes import Camera, Grid, Random, Scene
from recipes.percept_mini.motion_truth import truth
from recipes.percept_mini.motion_words import ACTION_WORDS, WORDS

DOINGS = (*ACTION_WORDS, *IDLE)


@dataclass(frozen=True)
class People:
    """Figures in a scene, whose own things are none."""

    scene: Scene
    figures: tuple[Figure, ...]
    looking_down: float
    """Radians that the camera is tilted."""

    @property
    def doing(self) -> str:
        return self.scene.kind


def draw_people(random: Random, grid: Grid, doing: str) -> People:
    """A random scene of one to several people who do this, sometimes with others who only stand or sit."""
    aspect = float(random.choice((1.0, 4 / 3, 4 / 3, 16 / 9, 16 / 9, 3 / 4, 9 / 16)))
    rates = [rate for rate in grid.frame_rates_hz if rate >= 6]
    scene = Scene(doing, random.uniform(1.6, 2.1), float(random.choice(rates)), aspect)
    height = float(np.exp(random.uniform(np.log(0.2), np.log(1.9))))
    if doing == "fighting":
        figures = _fighters(random, height, aspect)
    elif doing in ("walking", "running") and random.random() < 0.3:
        figures = _crowd(random, doing, aspect)
    else:
        figures = _alike(random, doing, height, aspect)
    if random.random() < (0.4 if doing == "fighting" else 0.25):
        figures += tuple(
            _figure(random, str(random.choice(IDLE)), height * random.uniform(0.7, 1.1), aspect)
            for _ in range(random.integers(1, 4))
        )
    scene = replace(scene, camera=_camera(random, figures, scene.seconds))
    return People(scene, figures, random.uniform(0, 0.5) if random.random() < 0.7 else random.uniform(0.5, 1.3))


def _crowd(random: Random, doing: str, aspect: float) -> tuple[Figure, ...]:
    """Many small people, each on a way of their own or all in two directions, as in a street."""
    height = float(random.uniform(0.07, 0.35))
    count = int(random.integers(3, 4 + round(3 / height)))
    made = [_figure(random, doing, height * random.uniform(0.85, 1.15), aspect) for _ in range(count)]
    if random.random() < 0.6:
        street = random.uniform(0, 2 * np.pi)
        made = [replace(one, yaw=street + np.pi * random.integers(0, 2) + random.normal(0, 0.25)) for one in made]
    return tuple(made)


def _alike(random: Random, doing: str, height: float, aspect: float) -> tuple[Figure, ...]:
    if random.random() < 0.6:
        return (_figure(random, doing, height, aspect),)
    count = int(random.integers(2, 4 if height > 0.7 else 8))
    made = [_figure(random, doing, height * random.uniform(0.85, 1.15), aspect) for _ in range(count)]
    if random.random() < 0.5:  # all the same way, as those who walk together
        made = [replace(one, yaw=made[0].yaw + random.normal(0, 0.2)) for one in made]
    return tuple(made)


def _figure(random: Random, doing: str, height: float, aspect: float) -> Figure:
    x = random.uniform(-0.35, 0.35) * max(1.0, aspect)
    return Figure(
        doing,
        height,
        (float(x), _feet(random, height, aspect)),
        float(random.uniform(0, 2 * np.pi)),
        int(random.integers(1 << 30)),
        depth=float(random.random()),
    )


def _feet(random: Random, height: float, aspect: float) -> float:
    """Where the feet are: in the picture, or below it with the head inside."""
    edge = 0.5 * max(1.0, 1 / aspect)
    if height < 1.6 * edge:
        return float(random.uniform(min(edge - 0.02, height - edge * 0.9), edge - 0.02))
    return float(height - edge * random.uniform(0.7, 1.0))


def _fighters(random: Random, height: float, aspect: float) -> tuple[Figure, ...]:
    """Two who face each other, with a common middle; in a wide view sometimes three or four."""
    found: list[Figure] = []
    for _ in range(2 if height < 0.6 and random.random() < 0.3 else 1):
        one = _figure(random, "fighting", height, aspect)
        partner = float(random.uniform(0.3, 0.65))
        found += [
            replace(one, partner=partner),
            replace(
                one,
                partner=partner,
                yaw=one.yaw + np.pi + random.normal(0, 0.15),
                seed=one.seed + 1,
                depth=random.random(),
            ),
        ]
    return tuple(found)


def _camera(random: Random, figures: tuple[Figure, ...], seconds: float) -> Camera:
    """Still, in the hand, or following the first figure."""
    shake = 0.0
    if random.random() < 0.5:
        shake = float(random.uniform(0.01, 0.1 if random.random() < 0.8 else 0.5))
    pan = velocity(figures[0], seconds)
    follows = 0.6 if abs(pan) > 0.5 else 0.35
    if abs(pan) > 0.05 and random.random() < follows:
        return Camera((-pan * random.uniform(0.8, 1.0), float(random.normal(0, 0.02))), shake=shake)
    if random.random() < 0.15:
        return Camera(
            (float(random.normal(0, 0.15)), float(random.normal(0, 0.05))), float(random.normal(0, 0.1)), shake=shake
        )
    return Camera(shake=shake)


def velocity(figure: Figure, seconds: float) -> float:
    """Of the figure to the right in the scene: short sides per second."""
    return float(Motion(figure, seconds).speed * figure.height * np.cos(figure.yaw))


LOOKS_LIKE = {
    "running": ("walking",),
    "jumping": ("dancing",),
    "dancing": ("waving",),
    "exercising slowly": ("waving", "dancing"),
    "falling down": ("walking",),
}
"""What may be true of a doing as well."""


def people_truth(people: People) -> Array:
    """Truth of every word, int8 "W": 1 true, 0 false, -1 undecided."""
    scene, doing = people.scene, people.doing
    found = dict(zip(WORDS, truth(scene).tolist(), strict=True))
    up_or_down = -1 if doing in ("jumping", "falling down", "sitting down", "standing up") else 0
    near_or_far = -1 if doing in ("walking", "running", "fighting", "dancing") else 0
    found |= {"fast": -1, "slow": -1, "rotating": -1, "many things moving": -1 if len(people.figures) > 2 else 0}
    found |= {"something moving up": up_or_down, "something moving down": up_or_down}
    found |= {"something moving toward the camera": near_or_far, "something moving away from the camera": near_or_far}
    found["still"] = -1 if doing in ("standing", "sitting") else 0
    if found["shaking"] == 0 and doing not in ("standing", "sitting", "walking"):
        found["shaking"] = -1
    if doing in ("walking", "running"):
        found |= _across(people)
    found |= dict.fromkeys(LOOKS_LIKE.get(doing, ()), -1)
    if doing in ACTION_WORDS:
        found[doing] = 1
    return np.array([found[word] for word in WORDS], np.int8)


def _across(people: People) -> dict[str, int]:
    right, left = "something moving right", "something moving left"
    if len(people.figures) > 1:
        return {left: -1, right: -1}
    across = velocity(people.figures[0], people.scene.seconds)
    return {right if across > 0 else left: 1 if abs(across) > 0.15 else -1}
