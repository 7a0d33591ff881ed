"""The tracks of a clip: as the whole clip is at hand, a track is told from its first box, and short gaps are filled."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from pipeline.clip import ClipInfo
from stages.boxes import Box, BoxKind
from stages.track.costs import Detection
from stages.track.scene import REST, Scene
from stages.track.state import TrackMemory, TrackState
from stages.track.tracker import Options, step


@dataclass(frozen=True)
class Place:
    """Where a track is in one frame."""

    time_ns: int
    box: Box
    filled: bool = False
    """Not seen there: in a straight line between two frames in which it was."""
    detection: Detection | None = field(default=None, compare=False)
    """What was found there."""


@dataclass(frozen=True)
class Path:
    """A confirmed track in one clip."""

    track: TrackMemory
    """After the clip."""
    places: list[Place]
    """In order of time."""


def follow(
    state: TrackState,
    frames: Iterable[tuple[int, Sequence[Detection]]],
    times_ns: Sequence[int],
    options: Options,
    cuts_ns: Sequence[int] = (),
    scene: Scene = REST,
) -> tuple[TrackState, list[Path]]:
    """Track through the frames of a clip: (time_ns, detections), in order of time.

    A frame without detections may be left out of `frames`. `times_ns` are the times of all frames, ascending, which is
    where gaps are filled. `cuts_ns` are the times of the first frames after scene cuts, ascending: what a network found
    before ends there, because another thing may be in the same place. `scene` carries along what is not seen, and what
    is seen has a speed of its own. Paths come in the order of their ids.
    """
    latest: dict[int, TrackMemory] = {track.key: track for track in state.tracks}
    places = {track.key: [Place(track.last_ns, track.moving.box)] for track in state.tracks if track.confirmed}
    known = set(places)
    cuts, carried_ns = list(cuts_ns), state.time_ns
    for time_ns, detections in frames:
        while cuts and cuts[0] <= time_ns:
            state = after_cut(state, cuts.pop(0))
        state, carried_ns = carried(state, scene, carried_ns, time_ns), time_ns
        state, sightings = step(state, time_ns, detections, options)
        latest |= {track.key: track for track in state.tracks if track.last_ns == time_ns}
        for seen in sightings:
            places.setdefault(seen.key, []).append(Place(seen.time_ns, seen.box, detection=seen.detection))
    for time_ns in cuts:
        state = after_cut(state, time_ns)
    last_ns = max([carried_ns, *times_ns[-1:]])
    state = msgspec.structs.replace(carried(state, scene, carried_ns, last_ns), time_ns=last_ns)
    paths = []
    for key, seen_at in places.items():
        track = latest[key]
        own = filled(seen_at, times_ns, options[track.kind].fill_s, scene)
        own = own[1:] if key in known else own
        if track.confirmed and own:
            paths.append(Path(track, own))
    return state, sorted(paths, key=lambda path: path.track.id)


def carried(state: TrackState, scene: Scene, from_ns: int, until_ns: int) -> TrackState:
    """With all tracks where the scene takes them from one time to another."""
    if until_ns <= from_ns or scene.is_still:
        return state
    replace = msgspec.structs.replace
    moved = (replace(track, moving=scene.carried_state(track.moving, from_ns, until_ns)) for track in state.tracks)
    return replace(state, tracks=tuple(moved))


def after_cut(state: TrackState, time_ns: int) -> TrackState:
    """Without what a network saw before a scene cut. What moves is found anew by its place anyway."""
    kept = [track for track in state.tracks if track.kind is not BoxKind.NETWORK or track.last_ns >= time_ns]
    return msgspec.structs.replace(state, tracks=tuple(kept))


def filled(places: Sequence[Place], times_ns: Sequence[int], most_s: float, scene: Scene = REST) -> list[Place]:
    """The places with those between two of them that are at most `most_s` apart: in a straight line in the scene."""
    whole = list(places[:1])
    for before, after in pairwise(places):
        if after.time_ns - before.time_ns <= most_s * 1e9:
            between = times_ns[bisect_right(times_ns, before.time_ns) : bisect_left(times_ns, after.time_ns)]
            whole += [Place(time_ns, _between(before, after, time_ns, scene), True) for time_ns in between]
        whole.append(after)
    return whole


def _between(before: Place, after: Place, time_ns: int, scene: Scene) -> Box:
    share = (time_ns - before.time_ns) / (after.time_ns - before.time_ns)
    here, there = (scene.carried(before.box, before.time_ns, until_ns) for until_ns in (time_ns, after.time_ns))
    x0, y0, x1, y1 = (a + share * (c - b) for a, b, c in zip(here, there, after.box, strict=True))
    return x0, y0, x1, y1


def told_box(box: Box, info: ClipInfo) -> Box:
    """The part of a box that is inside the picture, if the picture's size is known, in tenths of a pixel."""
    x0, y0, x1, y1 = (round(value, 1) for value in within(box, info))
    return x0, y0, x1, y1


def within(box: Box, info: ClipInfo) -> Box:
    """The part of a box that is inside the picture, if the picture's size is known."""
    if not info.width or not info.height:
        return box
    x0, x1 = (min(max(x, 0.0), float(info.width)) for x in (box[0], box[2]))
    y0, y1 = (min(max(y, 0.0), float(info.height)) for y in (box[1], box[3]))
    return x0, y0, x1, y1
