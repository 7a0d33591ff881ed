"""Which motion words are true of a synthetic clip."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import Array
from recipes.percept_mini.motion_scenes import CAMERA_PAN, SHAKY_FROM, STILL_BELOW, THING_MOVES, Scene
from recipes.percept_mini.motion_words import WORDS

SLOW, FAST = 0.2, 0.6
"""Short sides per second. A motion is slow below the first, fast above the second, and undecided between them."""


def truth(scene: Scene) -> Array:
    """Truth of every word, int8 "W": 1 true, 0 false, -1 undecided."""
    found = dict.fromkeys(WORDS, 0)
    camera, kind = scene.camera, scene.kind
    if kind in found:
        found[kind] = 1
    clear = max(0.05, 0.5 * float(np.hypot(*camera.pan)), 0.3 * abs(camera.growth))
    for word, direction in CAMERA_PAN.items():
        along = float(np.dot(camera.pan, direction))
        if word != kind and along > STILL_BELOW:
            found[word] = 1 if along > clear else -1
    if camera.shake > STILL_BELOW:
        found["shaking"] = 1 if camera.shake >= SHAKY_FROM else -1
    if kind == "swaying":
        found["shaking"] = -1
        found["many things moving"] = -1 if len(scene.things) > 2 else 0
    if kind in THING_MOVES and len(scene.things) > 1:
        found["many things moving"] = -1
    found |= _how_fast(scene)
    return np.array([found[word] for word in WORDS], np.int8)


def _how_fast(scene: Scene) -> dict[str, int]:
    speed = speed_of(scene)
    if scene.kind == "still":
        return {"fast": 0, "slow": 0}
    if scene.kind == "shaking" or SLOW <= speed <= FAST:
        return {"fast": -1, "slow": -1}
    return {"fast": int(speed > FAST), "slow": int(speed < SLOW)}


def speed_of(scene: Scene) -> float:
    """Highest speed in the scene: short sides per second, growth per second, or speed of a rotating rim."""
    camera = scene.camera
    own = [
        max(thing.speed, abs(thing.growth), 0.33 * abs(thing.turn) * (scene.kind == "rotating"))
        for thing in scene.things
    ]
    return max([float(np.hypot(*camera.pan)), abs(camera.growth), 0.5 * abs(camera.roll), scene.shimmer, *own])
