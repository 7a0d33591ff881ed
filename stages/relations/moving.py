"""How one thing moves relative to another: toward it, or after it."""

import math
from collections.abc import Iterator

import numpy as np

from pipeline.arrays import Array
from stages.phrase.geometry import HOLDS
from stages.relations.pair import Pair
from stages.relations.standing import Held, is_sure
from stages.track.movement import LEAST_S

MOVES = 0.3
"""Boxes per second from which a thing moves by itself."""
AIMED_DEG = 45.0
"""Largest angle between two directions that are the same."""
NEARER = 0.25
"""Sizes per second by which two things get nearer, where one just moves toward the other."""
SOFT = 0.1
"""The same, over which that goes from one half to three quarters or so."""
WORDS = {"toward": "moves toward", "after": "follows"}


def moving(pair: Pair, least: float) -> Iterator[Held]:
    """What is told of a pair: who moves toward the other, or follows it.

    least: as in `standing`.
    """
    if not len(pair.times_s) or pair.times_s[-1] - pair.times_s[0] < LEAST_S:
        return
    for each in (pair, pair.turned):
        for kind, scores in (("after", _after(each)), ("toward", _toward(each))):
            if scores is not None and is_sure(held := Held(kind, each, scores), least):
                yield held
                break


def _toward(pair: Pair) -> Array | None:
    """It moves by itself to where the other one is, and the way between their middles gets shorter."""
    aim = _direction_deg(pair)
    if aim is None or _apart_deg(aim, _bearing_deg(pair)) > AIMED_DEG:
        return None
    between = np.hypot(*(_middles(pair.others) - _middles(pair.ones)).T)
    size = (_sizes(pair.ones).mean() + _sizes(pair.others).mean()) / 2
    times_s = pair.times_s - pair.times_s.mean()
    nearer = -float((times_s * between).sum() / (times_s**2).sum()) / size
    score = 1 / (1 + math.exp(-np.clip((nearer - NEARER) / SOFT, -30, 30)))
    return np.full(len(pair.times_s), score)


def _after(pair: Pair) -> Array | None:
    """Both move the same way, it is behind on that way, and they are beside each other."""
    aim, lead = _direction_deg(pair), _direction_deg(pair.turned)
    if (
        aim is None
        or lead is None
        or _apart_deg(aim, lead) > AIMED_DEG
        or _apart_deg(lead, _bearing_deg(pair)) > AIMED_DEG
    ):
        return None
    near: Array = np.diagonal(HOLDS["beside"](pair.ones, pair.others))
    return near


def _direction_deg(pair: Pair) -> float | None:
    """Where the first thing goes by itself: 0 is right, 90 up."""
    moved = pair.one.movement
    return None if moved is None or moved.speed < MOVES else moved.direction_deg


def _bearing_deg(pair: Pair) -> float:
    """Where the other one is, seen from the first thing."""
    x, y = (_middles(pair.others) - _middles(pair.ones)).mean(axis=0)
    return math.degrees(math.atan2(-y, x))


def _apart_deg(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


def _middles(boxes: Array) -> Array:
    middles: Array = (boxes[:, :2] + boxes[:, 2:]) / 2
    return middles


def _sizes(boxes: Array) -> Array:
    sizes: Array = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    return sizes
