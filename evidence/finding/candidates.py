"""What a picture offers for a phrase: boxes, what each looks like, and how it moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import msgspec
import numpy as np

from engines.models.patch_tower import PatchTower
from pipeline.arrays import Array
from pipeline.clip import Clip
from pipeline.result import Movement, Track
from stages.boxes import areas, box_iou, shared_area
from stages.detect.stage import size_of
from stages.encode import unit
from stages.pictures import crop_pictures

MOST, MOST_QUICK = 8, 5
"""Boxes of a picture that are looked at, the surest ones."""
SAME = 0.6
"""Intersection over union from which two boxes are around the same thing."""
ITS_TRACK = 0.5
"""The same, from which a box is that of a track."""


PART = 0.8
"""How much less a box counts that lies in a surer one as a whole, or is around two."""
SURER = 0.3
"""By what share a box is clearly surer than another one."""
WHOLE, ROOMY, AS_SURE = 0.85, 0.6, 0.9
"""Share of a box that lies in a loose one around it at least, and of its area at most; ratio of their scores from which
the inner one counts, in full at 1.1."""
FILLED = 0.5
"""Share of a group that its things fill."""


@dataclass(frozen=True)
class Candidates:
    """Boxes in one picture.

    boxes: "N 4", x0 y0 x1 y1 in pixels of the picture. scores: "N", how sure the detector is of a thing. vectors: "N D"
        of unit length, and patches: "N P D", what the picture tower reads in each box, and in each place of it.
    tracks and moves: the number of a box's track and how it moves, None where that is not known.
    by_map: for a name, "N", how sure a word map is of it there.
    grey: as `vectors`, of the same boxes without colours; None if nobody asks for a colour.
    """

    boxes: Array
    scores: Array
    vectors: Array
    patches: Array
    tracks: tuple[int | None, ...]
    moves: tuple[Movement | None, ...]
    by_map: Mapping[str, Array] = field(default_factory=dict)
    grey: Array | None = None

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Picture:
    """One picture of a source with the boxes that were found in it, before anybody looks into them."""

    frame: Array
    """uint8 "H W 3"."""
    time_s: float
    boxes: Array
    scores: Array
    tracks: tuple[int | None, ...]
    moves: tuple[Movement | None, ...]
    width: int
    height: int
    """Of the source, in pixels."""
    is_film: bool
    spans: Mapping[int, tuple[float, float]]
    """By track, from when to when it is seen in the clip of the picture, in seconds."""


def picture_of(clip: Clip, at_ns: int | None, is_film: bool) -> Picture:
    """The picture of a clip that is nearest to a time, or else the one in the middle in which a network looked."""
    frames, times_ns = clip["frames"], clip["frame_times_ns"]
    boxes, kinds = clip.get("boxes"), clip.get("box_kinds")
    if boxes is None or kinds is None:
        boxes, kinds = np.zeros((0, 6), np.float32), np.zeros(0, np.uint8)
    index = _chosen(times_ns, at_ns, boxes)
    rows = boxes[boxes[:, 0] == index]
    height, width = frames.shape[1:3]
    own = size_of(width, height) / size_of(clip.info.width or width, clip.info.height or height)
    placed = rows[:, 1:5] * own
    known = msgspec.convert(clip.get("tracks") or [], list[Track])
    tracks = [_track(box, known, int(times_ns[index]) / 1e9) for box in rows[:, 1:5]]
    return Picture(
        frames[index], int(times_ns[index]) / 1e9, placed, rows[:, 5],
        tuple(None if track is None else track.id for track in tracks),
        tuple(None if track is None else track.movement for track in tracks),
        clip.info.width or width, clip.info.height or height, is_film,
        {track.id: (track.boxes[0][0], track.boxes[-1][0]) for track in known if track.boxes},
    )  # fmt: skip


def _chosen(times_ns: Array, at_ns: int | None, boxes: Array) -> int:
    if at_ns is not None:
        return int(abs(times_ns - at_ns).argmin())
    seen = np.unique(boxes[:, 0]).astype(int)
    middle = len(times_ns) // 2
    return int(seen[abs(seen - middle).argmin()]) if len(seen) else middle


def _track(box: Array, tracks: Sequence[Track], time_s: float) -> Track | None:
    """The track that has this box at this time."""
    best: Track | None = None
    most = ITS_TRACK
    for track in tracks:
        there = [row[1:] for row in track.boxes if abs(row[0] - time_s) < 1e-2]
        overlap = float(box_iou(box[None], np.array(there)).max()) if there else 0.0
        if overlap >= most:
            best, most = track, overlap
    return best


def looked_into(picture: Picture, tower: PatchTower, most: int) -> Candidates:
    """The surest boxes of a picture, without those that are around the same thing as a surer one."""
    kept: list[int] = []
    for row in np.argsort(-picture.scores, kind="stable").tolist():
        if len(kept) < most and not (kept and box_iou(picture.boxes[[row]], picture.boxes[kept]).max() >= SAME):
            kept.append(row)
    boxes = picture.boxes[kept]
    vectors, patches = read(picture.frame, boxes, tower)
    tracks, moves = tuple(picture.tracks[row] for row in kept), tuple(picture.moves[row] for row in kept)
    return Candidates(boxes, picture.scores[kept], vectors, patches, tracks, moves)


def with_parts(
    found: Candidates, parts: Sequence[tuple[str, Array, float]], frame: Array, tower: PatchTower
) -> Candidates:
    """With the parts of a word map: each with its name, its box "4" and its probability."""
    boxes, rows = found.boxes, list[int]()
    for _, box, _ in parts:
        same = box_iou(box[None], boxes)[0] if len(boxes) else np.zeros(0)
        rows.append(int(same.argmax()) if len(same) and same.max() >= SAME else len(boxes))
        boxes = boxes if rows[-1] < len(boxes) else np.concatenate([boxes, box[None]])
    more = len(boxes) - len(found)
    vectors, patches = read(frame, boxes[len(found) :], tower)
    by_map = {name: np.zeros(len(boxes)) for name, _, _ in parts}
    for (name, _, score), row in zip(parts, rows, strict=True):
        by_map[name][row] = max(score, by_map[name][row])
    return Candidates(
        boxes,
        np.concatenate([found.scores, np.zeros(more, found.scores.dtype)]),
        np.concatenate([found.vectors, vectors]),
        np.concatenate([found.patches, patches]),
        found.tracks + (None,) * more,
        found.moves + (None,) * more,
        by_map,
    )


def wholeness(boxes: Array, scores: Array) -> Array:
    """How far a box is around one whole thing: "N 4", "N" -> "N" in (0, 1].

    The less, the more of it lies in a surer box (linear Soft-NMS, Bodla et al. 2017, arXiv 1704.04503, with the share
    of the box in place of the overlap, because parts of things read like the whole); and the more it is a group of two
    others.
    """
    inside = shared_area(boxes, boxes) / np.maximum(areas(boxes)[:, None], 1e-9)
    surer = np.clip((scores[None] / np.maximum(scores[:, None], 1e-9) - 1) / SURER, 0.0, 1.0)
    part = (surer * inside).max(axis=1, initial=0.0)
    whole: Array = (1 - PART * part) * (1 - PART * _grouped(boxes, scores, inside))
    return whole


def tightness(boxes: Array, scores: Array, fits: Array) -> Array:
    """How far a box is not loosely around another one that a name fits, too: "N 4", "N", "N" -> "N" in (0, 1].

    A box with much room around a smaller one counts the less, the surer the detector is of that, and the more the name
    fits it: half as well as it fits the loose one is enough, because surroundings help names.
    """
    inside = shared_area(boxes, boxes) / np.maximum(areas(boxes)[:, None], 1e-9)
    held = (inside >= WHOLE) & (areas(boxes)[:, None] < ROOMY * areas(boxes)[None])
    as_sure = np.clip((scores[:, None] / np.maximum(scores[None], 1e-9) - AS_SURE) / (2 * (1 - AS_SURE)), 0.0, 1.0)
    reads = np.minimum(1.0, 2 * fits[:, None] / np.maximum(fits[None], 1e-9))
    tight: Array = 1 - PART * np.where(held, as_sure * reads, 0.0).max(axis=0, initial=0.0)
    return tight


def _grouped(boxes: Array, scores: Array, inside: Array) -> Array:
    """How far each box is around two others that are apart, as sure, and fill half of it: "N" in [0, 1].

    inside: "N N", the share of each box that lies in each other one.
    """
    count, size = len(boxes), areas(boxes)
    as_sure = np.minimum(1.0, scores[None] / np.maximum(scores[:, None], 1e-9))
    held = np.where(np.eye(count, dtype=bool), 0.0, inside.T * as_sure)
    apart = 1 - np.maximum(inside, inside.T)
    filled = np.minimum(1.0, (size[None, :, None] + size[None, None]) / np.maximum(FILLED * size[:, None, None], 1e-9))
    pairs = held[:, :, None] * held[:, None] * apart[None] * filled
    grouped: Array = pairs.max(axis=(1, 2), initial=0.0)
    return grouped


def without_colour(frame: Array) -> Array:
    """A frame uint8 "H W 3" in grey."""
    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    return np.repeat(grey[..., None], 3, axis=2)


def read(frame: Array, boxes: Array, tower: PatchTower) -> tuple[Array, Array]:
    """What the tower reads in boxes "N 4": unit vectors "N D", patches "N P D"."""
    if not len(boxes):
        rows, columns = tower.grid
        size = int(tower.engine.outputs[0].dims.split()[-1])
        return np.zeros((0, size), np.float32), np.zeros((0, rows * columns, size), np.float32)
    places = np.concatenate([np.zeros((len(boxes), 1)), boxes], axis=1)
    given = tower.engine.run({"pictures": crop_pictures(frame[None], places, tower.tower)})
    return unit(given["tokens"]), given["patches"].astype(np.float32)
