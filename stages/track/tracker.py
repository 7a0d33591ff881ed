"""Follows objects from frame to frame: one step matches the tracks so far with the detections of one frame."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.boxes import Box, BoxKind, areas, box_cover, shared_area
from stages.track.association import match
from stages.track.costs import Candidate, Detection, by_overlap, by_place
from stages.track.motion_model import MovingBox, correct, predict, start
from stages.track.options import TrackerOptions
from stages.track.state import TrackMemory, TrackState

MOST_EVIDENCE = 3.0
"""Log-odds that one detection adds at most, and takes away."""
PLACE = 0.05
"""What a detector says of a place, compared with a crop that the picture tower reads: there are many more places."""
SAME_OBJECT = 0.5
"""Intersection over union from which a box from motion and one of a network show the same object."""
MOST_COST = 10.0
"""Above every cost that is allowed, below `FORBIDDEN`."""

Options = Mapping[BoxKind, TrackerOptions]


@dataclass(frozen=True)
class Sighting:
    """A track in one frame."""

    key: int
    """Of its `TrackMemory`."""
    time_ns: int
    box: Box
    detection: Detection | None = field(default=None, compare=False)
    """What was found there."""


@dataclass(frozen=True)
class Taken:
    """A box of a frame that belongs to a track, and what it looks like."""

    box: Box
    vector: Array | None


def step(
    state: TrackState, time_ns: int, detections: Sequence[Detection], options: Options
) -> tuple[TrackState, list[Sighting]]:
    """Match the tracks with the detections of a frame, and update them. Sightings are of tentative tracks, too.

    The order of `detections` does not matter.
    """
    found = sorted(detections, key=lambda d: (-d.score, d.box))
    candidates = [
        Candidate(track, predict(track.moving, (time_ns - track.last_ns) / 1e9, options[track.kind].motion))
        for track in alive(state.tracks, time_ns, options)
    ]
    pairs = _Rounds(candidates, found, time_ns, options).pairs
    next_id, kept, sightings = state.next_id, [], []
    for i, candidate in enumerate(candidates):
        track = candidate.track
        if i in pairs:
            detection = found[pairs[i]]
            track = seen(candidate, detection, time_ns, next_id, options)
            next_id = max(next_id, track.id + 1)
            sightings.append(Sighting(track.key, time_ns, _told(track, detection, options), detection))
        kept.append(track)
    taken = [Taken(found[j].box, found[j].vector) for j in pairs.values()]
    taken += [Taken(track.moving.box, track.vector()) for track in kept if track.last_ns == time_ns]
    taken_ones = set(pairs.values())
    free = [d for j, d in enumerate(found) if j not in taken_ones and d.score >= options[d.kind].birth_score]
    fresh = newcomers(free, taken, time_ns, state.next_key, options)
    sightings += [Sighting(track.key, time_ns, track.moving.box, detection) for track, detection in fresh]
    tracks = bounded(kept + [track for track, _ in fresh], options)
    after = msgspec.structs.replace(state, next_id=next_id, next_key=state.next_key + len(fresh), tracks=tuple(tracks))
    return after, sightings


class _Rounds:
    """Pairs candidates with detections in rounds, strong detections before weak ones (ByteTrack, Zhang et al. 2022).

    Boxes of a network come first, with the tracks that a network found. Those that remain may take over a track that
    motion found, and boxes from motion may continue what a network found.
    """

    def __init__(
        self, candidates: Sequence[Candidate], found: Sequence[Detection], time_ns: int, options: Options
    ) -> None:
        self.pairs: dict[int, int] = {}
        self._candidates, self._found, self._time_ns, self._options = candidates, found, time_ns, options
        self._unpaired = set(range(len(found)))
        tracks, boxes = {c.track.kind for c in candidates}, {d.kind for d in found}
        for kind in (BoxKind.NETWORK, BoxKind.MOTION):
            if kind in tracks and kind in boxes:
                self._two_rounds(kind)
            if kind is BoxKind.NETWORK:
                for other, boxes_of in ((BoxKind.MOTION, BoxKind.NETWORK), (BoxKind.NETWORK, BoxKind.MOTION)):
                    if other in tracks and boxes_of in boxes:
                        rows, columns = self._tracks(other), self._boxes(boxes_of)
                        self._by_overlap(rows, columns, SAME_OBJECT, options[BoxKind.NETWORK])

    def _two_rounds(self, kind: BoxKind) -> None:
        options = self._options[kind]
        for weak, least in ((False, options.least_overlap), (True, options.least_weak_overlap)):
            rows, columns = self._tracks(kind, recent=weak), self._boxes(kind, weak)
            if options.association == "overlap":
                self._by_overlap(rows, columns, least, options)
            elif rows and columns:
                candidates, found = [self._candidates[i] for i in rows], [self._found[j] for j in columns]
                self._take(rows, columns, by_place(candidates, found, options))

    def _by_overlap(self, rows: list[int], columns: list[int], least: float, options: TrackerOptions) -> None:
        if rows and columns:
            candidates, found = [self._candidates[i] for i in rows], [self._found[j] for j in columns]
            self._take(rows, columns, by_overlap(candidates, found, least, options))

    def _take(self, rows: list[int], columns: list[int], cost: Array) -> None:
        for i, j in match(cost, MOST_COST):
            self.pairs[rows[i]] = columns[j]
            self._unpaired.discard(columns[j])

    def _tracks(self, kind: BoxKind, recent: bool = False) -> list[int]:
        """Unpaired candidates; if `recent`, confirmed ones that were seen a moment ago."""
        since_ns = self._time_ns - round(self._options[kind].recent_s * 1e9)
        return [
            i
            for i, c in enumerate(self._candidates)
            if c.track.kind is kind
            and i not in self.pairs
            and (not recent or (c.track.confirmed and c.track.last_ns >= since_ns))
        ]

    def _boxes(self, kind: BoxKind, weak: bool = False) -> list[int]:
        options = self._options[kind]
        low, high = (options.low_score, options.high_score) if weak else (options.high_score, math.inf)
        return [j for j in sorted(self._unpaired) if self._found[j].kind is kind and low <= self._found[j].score < high]


def is_covered(detection: Detection, others: Sequence[Taken], options: TrackerOptions) -> bool:
    """Whether a detection shows a part of what one of the other boxes is around; see `TrackerOptions.cover`."""
    if not others or options.cover >= 1:
        return False
    box, boxes = np.array([detection.box]), np.array([other.box for other in others])
    if options.cover_alike is None:
        return bool(shared_area(box, boxes).max() / max(float(areas(box)[0]), 1e-9) > options.cover)
    near = np.flatnonzero(box_cover(box, boxes)[0] > options.cover).tolist()
    return any(_are_alike(detection.vector, others[i].vector, options.cover_alike) for i in near)


def _are_alike(one: Array | None, other: Array | None, least: float) -> bool:
    return one is not None and other is not None and len(one) == len(other) and float(one @ other) >= least


def alive(tracks: Iterable[TrackMemory], time_ns: int, options: Options) -> list[TrackMemory]:
    """The tracks that have not been unseen for too long."""
    kept = []
    for track in tracks:
        limit_s = options[track.kind].lost_s if track.confirmed else options[track.kind].tentative_s
        if time_ns - track.last_ns <= limit_s * 1e9:
            kept.append(track)
    return kept


def seen(candidate: Candidate, detection: Detection, time_ns: int, next_id: int, options: Options) -> TrackMemory:
    """The track after it was found in a frame; confirmed as `next_id` once there is enough evidence for it."""
    track, box, its = candidate.track, detection.box, options[detection.kind]
    ratio = (box[2] - box[0]) * (box[3] - box[1]) / candidate.now.size**2
    # Half an object, or two merged into one, is a poor measurement of where the object is.
    doubt = max(1.0, 0.3 * ratio, 0.6 / max(ratio, 1e-3))
    kind = BoxKind(max(track.kind, detection.kind))
    moving = correct(candidate.now, box, its.motion, doubt)
    if kind is not track.kind:  # a network found what motion had found a part of
        moving = _moved_to(candidate.now, start(box, its.motion))
    hits, evidence = track.hits + 1, track.evidence + log_odds(detection.score)
    asked = options[kind]
    enough = hits >= asked.confirm_hits and evidence >= (
        -math.inf if asked.confirm_evidence is None else asked.confirm_evidence
    )
    track = msgspec.structs.replace(
        track,
        kind=kind,
        moving=moving,
        hits=hits,
        evidence=evidence,
        last_ns=time_ns,
        id=track.id or (next_id if enough else 0),
    )
    return _with_looks(track, detection, options)


def _moved_to(before: MovingBox, now: MovingBox) -> MovingBox:
    """The box `now` with the speed that was known before."""
    x, y = (
        msgspec.structs.replace(new, rate=old.rate, rate_variance=old.rate_variance)
        for old, new in ((before.x, now.x), (before.y, now.y))
    )
    return msgspec.structs.replace(now, x=x, y=y)


def log_odds(score: float) -> float:
    """What a score says for the object, within `MOST_EVIDENCE` of 0."""
    inside = min(max(score, 1e-6), 1 - 1e-6)
    return min(max(math.log(inside / (1 - inside)), -MOST_EVIDENCE), MOST_EVIDENCE)


def _told(track: TrackMemory, detection: Detection, options: Options) -> Box:
    share, kept = options[detection.kind].told, track.moving.box
    if not share:
        return kept
    x0, y0, x1, y1 = (share * a + (1 - share) * b for a, b in zip(detection.box, kept, strict=True))
    return x0, y0, x1, y1


def _with_looks(track: TrackMemory, detection: Detection, options: Options) -> TrackMemory:
    memory = options[detection.kind].appearance_memory
    if detection.vector is not None:
        track = track.with_crop(detection.vector, memory, 1.0 if detection.is_crop else PLACE)
    if detection.colours is not None:
        track = track.with_colours(detection.colours, memory)
    return track.with_name(detection.name, detection.score) if detection.name else track


def newcomers(
    found: Sequence[Detection], taken: list[Taken], time_ns: int, next_key: int, options: Options
) -> list[tuple[TrackMemory, Detection]]:
    """Tentative tracks for strong detections that continue no track and are not part of one that does."""
    fresh: list[tuple[TrackMemory, Detection]] = []
    for detection in found:
        its = options[detection.kind]
        if is_covered(detection, taken, its):
            continue
        taken = [*taken, Taken(detection.box, detection.vector)]
        moving, evidence = start(detection.box, its.motion), log_odds(detection.score)
        track = TrackMemory(next_key + len(fresh), 0, detection.kind, moving, 1, evidence, time_ns, time_ns)
        fresh.append((_with_looks(track, detection, options), detection))
    return fresh


def bounded(tracks: list[TrackMemory], options: Options) -> list[TrackMemory]:
    """At most `most_tracks` tracks in unchanged order; those unseen for longest are dropped."""
    most = max(each.most_tracks for each in options.values())
    if len(tracks) <= most:
        return tracks
    newest = sorted(range(len(tracks)), key=lambda i: -tracks[i].last_ns)[:most]
    return [tracks[i] for i in sorted(newest)]
