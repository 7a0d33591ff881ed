"""What a network sees in a clip: boxes in the frames in which it looks, carried along the flow to those between."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Array
from pipeline.clip import Clip
from stages.detect.carry import carried, nearest
from stages.detect.cuts import cut_pairs
from stages.detect.detector import Detector
from stages.pictures import evenly


@dataclass(frozen=True)
class Seen:
    """Rows as in `boxes`, in pixels of `frames`: frame, x0, y0, x1, y1, score. Names and vectors belong to rows."""

    boxes: Array
    names: list[str]
    vectors: Array | None
    """float32 "N D", if the detector gives them."""
    frames: list[int]
    """In which the network looked, or to which its boxes were carried."""


NOTHING = Seen(np.zeros((0, 6), np.float32), [], None, [])


def see(detector: Detector, clip: Clip, frames_per_clip: int) -> Seen:
    """Look in so many frames of a clip, evenly spaced; 0 for as many as suit the detector."""
    frames, flow = clip["frames"], clip.get("flow")
    count = frames_per_clip or detector.frames_per_clip or len(frames)
    watched = evenly(count, len(frames)).tolist()
    found = detector.detect([frames[index] for index in watched])
    height, width = frames.shape[1:3]
    cuts = cut_pairs(clip)
    owner = nearest(watched, len(frames)) if flow is not None else []
    rows, which, at = list[Array](), list[tuple[int, Array]](), set[int]()
    for number, (index, each) in enumerate(zip(watched, found, strict=True)):
        mine = [frame for frame, whose in enumerate(owner) if whose == number] or [index]
        for frame, boxes, alive in _along(each.boxes, index, mine, flow, cuts, clip["frame_times_ns"], width, height):
            inside = np.clip(boxes, 0, [width, height, width, height])
            rows.append(np.column_stack([np.full(len(alive), frame), inside, each.scores[alive]]))
            which.append((number, alive))
            at.add(frame)
    names = [found[number].names[i] if found[number].names else "" for number, alive in which for i in alive.tolist()]
    vectors = [v[alive] for number, alive in which if (v := found[number].vectors) is not None]
    whole = np.concatenate(vectors) if len(vectors) == len(which) else None
    return Seen(np.concatenate(rows).astype(np.float32).reshape(-1, 6), names, whole, sorted(at))


def _along(
    boxes: Array,
    index: int,
    mine: Sequence[int],
    flow: Array | None,
    cuts: Array,
    times_ns: Array,
    width: int,
    height: int,
) -> list[tuple[int, Array, Array]]:
    """The boxes of frame `index` in each of the frames `mine` around it that they can be carried to: frame, boxes, and
    which of them are still in the picture."""
    everything = np.arange(len(boxes))
    told = [(index, boxes, everything)]
    if flow is None:
        return told
    skipped = len(times_ns) - len(flow)  # pair p ends at frame p + skipped
    for step in (1, -1):
        here, alive, frame = boxes, everything, index
        while frame + step in mine:
            pair = max(frame, frame + step) - skipped
            if pair < 0 or cuts[pair]:  # no flow
                break
            seconds = float(times_ns[frame + step] - times_ns[frame]) / 1e9
            here, inside = carried(here, flow[pair], seconds, width, height)
            here, alive, frame = here[inside], alive[inside], frame + step
            told.append((frame, here, alive))
    return told
