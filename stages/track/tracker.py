"""Follows objects from frame to frame: one step matches the tracks so far with the detections of one frame."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.boxes import Box, areas, box_cover, box_iou, shared_area
from stages.track.association import FORBIDDEN, match
from stages.track.motion_model import MotionOptions, MovingBox, correct, predict, start
from stages.track.state import TrackMemory, TrackState


class TrackerOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    high_score: float = 0.5
    """Detections with at least this score are matched first and may start tracks; weaker ones only continue confirmed
    tracks that were seen a moment ago."""
    low_score: float = 0.25
    """Weaker detections are ignored."""
    confirm_hits: int = 3
    """Frames in which an object must be seen before it gets an id. Higher means fewer false tracks, later starts."""
    tentative_s: float = 0.4
    """How long an unconfirmed object may go unseen, and how long a track before a weak detection can continue it."""
    lost_s: float = 2.0
    """How long a track may go unseen and still be found again under its id."""
    gate: float = 3.5
    """Distance in standard deviations of the prediction beyond which nothing matches; the prediction widens with
    time unseen."""
    reach: float = 2.0
    """Distance in sizes of the box beyond which nothing matches, however long the gap."""
    appearance_weight: float = 0.3
    """Cost of a cosine of 0 instead of 1 between the appearance of a track and a detection; overlap and distance
    together cost at most 1."""
    most_cost: float = 0.9
    """Pairs that cost more are not matched."""
    cover: float = 0.7
    """A detection with more than this share inside a box that was just matched starts no track: it is a part of that
    object. 1 turns this off, for detectors that never find parts."""
    appearance_memory: int = 10
    """Crops over which a track's appearance is averaged."""
    most_tracks: int = 256
    """Most tracks in the state; those unseen for longest are dropped first."""
    motion: MotionOptions = MotionOptions()


@dataclass(frozen=True)
class Detection:
    box: Box
    score: float
    vector: Array | None = None
    """Unit length "D", or None if no crop was encoded."""


@dataclass(frozen=True)
class Sighting:
    """A confirmed track in one frame; the box is the filtered one."""

    id: int
    time_ns: int
    box: Box


@dataclass(frozen=True)
class Candidate:
    """A track and its predicted box."""

    track: TrackMemory
    now: MovingBox


def step(
    state: TrackState, time_ns: int, detections: list[Detection], options: TrackerOptions
) -> tuple[TrackState, list[Sighting]]:
    """Match in two rounds, strong detections before weak ones (ByteTrack, Zhang et al. 2022), and update.

    The order of `detections` does not matter.
    """
    found = sorted(detections, key=lambda d: (-d.score, d.box))
    candidates = [
        Candidate(track, predict(track.moving, (time_ns - track.last_ns) / 1e9, options.motion))
        for track in alive(state.tracks, time_ns, options)
    ]
    pairs = two_rounds(candidates, found, time_ns, options)
    matched = [found[j].box for j in pairs.values()]
    next_id, kept, sightings = state.next_id, [], []
    for i, candidate in enumerate(candidates):
        track = candidate.track
        if i in pairs:
            track = seen(candidate, found[pairs[i]], time_ns, next_id, options)
            next_id = max(next_id, track.id + 1)
            if track.confirmed:
                sightings.append(Sighting(track.id, time_ns, track.moving.box))
        kept.append(track)
    taken = matched + [track.moving.box for track in kept if track.last_ns == time_ns]
    strong = [d for j, d in enumerate(found) if d.score >= options.high_score and j not in pairs.values()]
    kept += newcomers(strong, taken, time_ns, options)
    return msgspec.structs.replace(state, next_id=next_id, tracks=tuple(bounded(kept, options))), sightings


def two_rounds(
    candidates: list[Candidate], found: list[Detection], time_ns: int, options: TrackerOptions
) -> dict[int, int]:
    """Candidate -> detection: strong detections with all tracks, then weak ones with tracks seen a moment ago."""
    high = [j for j, detection in enumerate(found) if detection.score >= options.high_score]
    low = [j for j, detection in enumerate(found) if options.low_score <= detection.score < options.high_score]
    pairs = pair(candidates, list(range(len(candidates))), found, high, options)
    recent_ns = time_ns - round(options.tentative_s * 1e9)
    left = [
        i for i, c in enumerate(candidates) if i not in pairs and c.track.confirmed and c.track.last_ns >= recent_ns
    ]
    return pairs | pair(candidates, left, found, low, options)


def is_covered(box: Box, others: list[Box], share: float) -> bool:
    """Whether more than this share of the box is inside one of the others."""
    if not others:
        return False
    inside = shared_area(np.array([box]), np.array(others)).max() / max(float(areas(np.array([box]))[0]), 1e-9)
    return bool(inside > share)


def alive(tracks: Iterable[TrackMemory], time_ns: int, options: TrackerOptions) -> list[TrackMemory]:
    """The tracks that have not been unseen for too long."""
    kept = []
    for track in tracks:
        limit_s = options.lost_s if track.confirmed else options.tentative_s
        if time_ns - track.last_ns <= limit_s * 1e9:
            kept.append(track)
    return kept


def pair(
    candidates: list[Candidate], rows: list[int], found: list[Detection], columns: list[int], options: TrackerOptions
) -> dict[int, int]:
    """Best assignment between some candidates and some detections: candidate -> detection."""
    if not rows or not columns:
        return {}
    cost = costs([candidates[i] for i in rows], [found[j] for j in columns], options)
    return {rows[i]: columns[j] for i, j in match(cost, options.most_cost)}


def costs(candidates: list[Candidate], found: list[Detection], options: TrackerOptions) -> Array:
    """Cost of every pairing, float64 "N M": half overlap, half distance, plus appearance if both are known."""
    expected = np.array([c.now.box for c in candidates])
    boxes = np.array([d.box for d in found])
    size = np.array([c.now.size for c in candidates])[:, None]
    deviation = np.array([(c.now.x.value_variance, c.now.y.value_variance) for c in candidates])
    offset = (boxes[None, :, :2] + boxes[None, :, 2:] - expected[:, None, :2] - expected[:, None, 2:]) / 2
    spread = deviation[:, None] + (options.motion.place * size[..., None]) ** 2
    distance = np.sqrt((offset**2 / spread).sum(axis=2))
    iou, cover = box_iou(expected, boxes), box_cover(expected, boxes)
    # A part of an object, or an object with its shadow, has a low IoU although one box is inside the other.
    overlap = np.maximum(iou, 0.5 * cover)
    cost = 1 - 0.5 * overlap - 0.5 * np.exp(-0.5 * (distance / 2) ** 2) + appearance(candidates, found, options)
    near = (distance <= options.gate) & (np.linalg.norm(offset, axis=2) <= options.reach * size)
    return np.where(near | (iou > 0.3) | (cover > options.cover), cost, FORBIDDEN)


def appearance(candidates: list[Candidate], found: list[Detection], options: TrackerOptions) -> Array:
    """Cost of different appearance, "N M"; 0 if either is unknown."""
    cost = np.zeros((len(candidates), len(found)))
    for i, candidate in enumerate(candidates):
        known = candidate.track.vector()
        for j, detection in enumerate(found):
            if known is not None and detection.vector is not None and len(known) == len(detection.vector):
                cost[i, j] = options.appearance_weight * (1 - float(known @ detection.vector))
    return cost


def seen(
    candidate: Candidate, detection: Detection, time_ns: int, next_id: int, options: TrackerOptions
) -> TrackMemory:
    """The track after it was found in a frame; confirmed as `next_id` once it has been found often enough."""
    track, box = candidate.track, detection.box
    ratio = (box[2] - box[0]) * (box[3] - box[1]) / candidate.now.size**2
    # Half an object, or two merged into one, is a poor measurement of where the object is.
    doubt = max(1.0, 0.3 * ratio, 0.6 / max(ratio, 1e-3))
    track = msgspec.structs.replace(
        track,
        moving=correct(candidate.now, box, options.motion, doubt),
        hits=track.hits + 1,
        last_ns=time_ns,
        id=track.id or (next_id if track.hits + 1 >= options.confirm_hits else 0),
    )
    return track if detection.vector is None else track.with_crop(detection.vector, options.appearance_memory)


def newcomers(found: list[Detection], taken: list[Box], time_ns: int, options: TrackerOptions) -> list[TrackMemory]:
    """Tentative tracks for strong detections that continue no track and are not part of one that does."""
    fresh: list[TrackMemory] = []
    for detection in found:
        if is_covered(detection.box, taken, options.cover):
            continue
        taken = [*taken, detection.box]
        track = TrackMemory(0, start(detection.box, options.motion), 1, time_ns, time_ns)
        fresh.append(
            track if detection.vector is None else track.with_crop(detection.vector, options.appearance_memory)
        )
    return fresh


def bounded(tracks: list[TrackMemory], options: TrackerOptions) -> list[TrackMemory]:
    """At most `most_tracks` tracks in unchanged order; those unseen for longest are dropped."""
    if len(tracks) <= options.most_tracks:
        return tracks
    newest = sorted(range(len(tracks)), key=lambda i: -tracks[i].last_ns)[: options.most_tracks]
    return [tracks[i] for i in sorted(newest)]
