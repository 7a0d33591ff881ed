"""How a track moves: along its path, the motion of the scene taken off."""

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from pipeline.result import Movement
from stages.boxes import Box
from stages.track.paths import Place
from stages.track.scene import Scene
from stages.track.state import Known

LEAST_S = 0.5
"""Shortest path that says how something moves; also the step along it. Boxes jitter, so shorter steps add up."""
STILL = 0.12
"""Boxes per second below which a track is still."""
GROWTH = 0.2
"""Change of the logarithm of the box's size per second from which it comes closer or goes away."""
AIMED = 0.35
"""Share of the way along the path that lies between its ends, below which it is to and fro."""
STILL_WORD = "still"
WAYS = ("right", "up right", "up", "up left", "left", "down left", "down", "down right")


def movement(places: Sequence[Place], scene: Scene) -> Movement | None:
    """How a track moved along `places`, in order of time; None if that took too short."""
    if not places or places[-1].time_ns - places[0].time_ns < LEAST_S * 1e9:
        return None
    path, grown = _own_path(places, scene)
    seconds = (places[-1].time_ns - places[0].time_ns) / 1e9
    size = float(np.mean([_size(place.box) for place in places]))
    stops = _stops([place.time_ns for place in places])
    way = sum(math.dist(path[a], path[b]) for a, b in pairwise(stops)) / size
    dx, dy = ((path[-1][axis] - path[0][axis]) / size for axis in (0, 1))
    speed, growth = way / seconds, grown / seconds
    nowhere = math.hypot(dx, dy) < AIMED * way or speed < STILL
    angle = None if nowhere else math.degrees(math.atan2(-dy or 0.0, dx))
    if speed < STILL and abs(growth) < GROWTH:
        word = STILL_WORD
    elif abs(growth) >= GROWTH and abs(growth) >= speed:
        word = "coming closer" if growth > 0 else "going away"
    elif angle is None:
        word = "moving to and fro"
    else:
        word = f"moving {WAYS[round(angle / 45) % 8]}"
    return Movement(word, round(speed, 3), None if angle is None else round(angle, 1))


def with_stillness(moved: Movement | None, places: Sequence[Place], before: Known) -> tuple[Movement | None, Known]:
    """The movement with the time since which the track has been still, and what is to be remembered of that."""
    if moved is None:
        return None, before
    if moved.word != STILL_WORD:
        return moved, msgspec.structs.replace(before, still_since_ns=-1)
    since_ns = places[0].time_ns if before.still_since_ns < 0 else before.still_since_ns
    still = msgspec.structs.replace(moved, still_since_s=round(since_ns / 1e9, 3))
    return still, msgspec.structs.replace(before, still_since_ns=since_ns)


def _own_path(places: Sequence[Place], scene: Scene) -> tuple[list[tuple[float, float]], float]:
    """Where the centre would be in a scene at rest, in pixels from its start, and by how much its size grew (log)."""
    path, grown = [(0.0, 0.0)], 0.0
    for before, after in pairwise(places):
        carried = scene.carried(before.box, before.time_ns, after.time_ns)
        (x0, y0), (x1, y1) = _centre(carried), _centre(after.box)
        path.append((path[-1][0] + x1 - x0, path[-1][1] + y1 - y0))
        grown += math.log(_size(after.box) / _size(carried))
    return path, grown


def _stops(times_ns: Sequence[int]) -> list[int]:
    """Indices along the path at least `LEAST_S` apart, with both ends."""
    stops = [0]
    for index, time_ns in enumerate(times_ns):
        if time_ns - times_ns[stops[-1]] >= LEAST_S * 1e9:
            stops.append(index)
    if stops[-1] != len(times_ns) - 1:
        stops[-1 if len(stops) > 1 else len(stops) :] = [len(times_ns) - 1]
    return stops


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _size(box: Box) -> float:
    return max(1.0, math.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])))
