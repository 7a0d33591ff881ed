"""Boxes around objects that move relative to the scene, and which of them to encode."""

from itertools import pairwise

import cv2
import numpy as np

from pipeline.arrays import Array, Spec
from pipeline.clip import Absent, Clip
from pipeline.stage import Demand, Outputs, Resources, Stage, StageOptions
from stages.detect.regions import RegionOptions, moving_regions
from stages.flow import grey_at, with_previous


class DetectOptions(StageOptions, frozen=True, kw_only=True):
    short_side_px: int = 224
    """Frames are compared at this size."""
    crops_per_clip: int = 2
    """Boxes per clip that the image tower encodes, for the labels of tracks; each costs as much as one picture of the
    clip. 0 encodes none."""
    least_step_s: float = 0.09
    """Frames that follow sooner than this are skipped: in so short a time little moves by a pixel."""
    regions: RegionOptions = RegionOptions()


class Detect(Stage):
    """Class-agnostic detection of objects that move differently from the camera. Static objects are not found.

    `boxes` float32 "N 6": index in `frames`, x0, y0, x1, y1 in pixels of the upright source, score in [0, 1].
    `box_times_ns` int64 "N": times of their frames.
    `box_crops` int64 "C": rows of the boxes for the image tower to encode, in ascending order.
    `detect_times_ns` int64 "F": times of all frames that were looked at, with boxes or without.
    """

    preload = ("cv2",)
    required = ("flow", "frames", "frame_times_ns")
    optional = ("previous_frame", "previous_time_ns")
    Options = DetectOptions
    options: DetectOptions

    def gives(self) -> dict[str, Spec]:
        return {
            "boxes": Spec("float32", "N 6", in_message=True),
            "box_times_ns": Spec("int64", "N", in_message=True),
            "box_crops": Spec("int64", "C", in_message=True),
            "detect_times_ns": Spec("int64", "F", in_message=True),
        }

    def demand(self) -> Demand:
        return Demand(short_side_px=self.options.short_side_px)

    def open(self, resources: Resources) -> None:
        cv2.setNumThreads(self.run.threads)

    def process(self, clip: Clip) -> Outputs:
        frames, times_ns = with_previous(clip)
        flow = clip["flow"]
        frames, times_ns = frames[-len(flow) - 1 :], times_ns[-len(flow) - 1 :]
        kept = paced(times_ns, self.options.least_step_s)
        grey = [grey_at(frames[i], self.options.short_side_px) for i in kept]
        found = moving_regions(flow_between(flow, times_ns, kept), grey, times_ns[kept], self.options.regions)
        first = len(clip["frames"]) - len(frames)  # -1 with a previous frame
        rows = [
            (index + first, *region.box, region.score)
            for index, regions in zip(kept[1:], found, strict=True)
            for region in regions
        ]
        boxes = np.array(rows, np.float32).reshape(-1, 6)
        shares = boxes[:, 1:5] / size_of(*grey[0].shape[::-1])
        height, width = clip["frames"].shape[1:3]
        boxes[:, 1:5] = shares * size_of(clip.info.width or width, clip.info.height or height)
        return {
            "boxes": boxes,
            "box_times_ns": clip["frame_times_ns"][boxes[:, 0].astype(int)],
            "box_crops": self._crops(boxes, shares),
            "detect_times_ns": times_ns[kept[1:]],
        }

    def _crops(self, boxes: Array, shares: Array) -> Array | Absent:
        """Rows of the boxes to encode; `shares` "N 4" are all boxes in shares of the picture."""
        if "image" not in self.run.modalities or not self.options.crops_per_clip:
            return Absent("not_asked")
        return np.array(diverse_boxes(boxes, shares, self.options.crops_per_clip), np.int64)


def paced(times_ns: Array, least_step_s: float) -> list[int]:
    """Indices of the first frame and of every one at least `least_step_s` after the last one kept; two or more."""
    kept = [0]
    for index, time_ns in enumerate(times_ns):
        if time_ns - times_ns[kept[-1]] >= least_step_s * 1e9:
            kept.append(index)
    return kept if len(kept) > 1 else [0, len(times_ns) - 1]


def flow_between(flow: Array, times_ns: Array, kept: list[int]) -> Array:
    """Mean flow from each kept frame to the next: "P h w 2" of all pairs -> "K-1 h w 2"; zeros across a scene cut."""
    if len(kept) == len(times_ns):
        return flow
    seconds = np.diff(times_ns).astype(np.float32)[:, None, None, None]
    means = []
    for start, stop in pairwise(kept):
        pairs, share = flow[start:stop].astype(np.float32), seconds[start:stop] / seconds[start:stop].sum()
        is_cut = not pairs.any(axis=(1, 2, 3)).all()
        means.append(np.zeros_like(pairs[0]) if is_cut else (pairs * share).sum(axis=0))
    return np.stack(means)


def size_of(width: int, height: int) -> Array:
    """float32 "4": the factors that turn a box in shares of the picture into pixels."""
    return np.array([width, height, width, height], np.float32)


def diverse_boxes(boxes: Array, shares: Array, most: int) -> list[int]:
    """Ascending indices of up to `most` boxes: with high scores, large, and far from each other in place and time.

    Greedy: each next box has the largest score times size factor times distance to the nearest chosen box.
    """
    if not len(boxes) or most <= 0:
        return []
    centre = (shares[:, :2] + shares[:, 2:]) / 2
    frames = boxes[:, :1] / max(1.0, float(boxes[:, 0].max()))
    place = np.concatenate([4 * centre, frames], axis=1)
    side = np.sqrt(np.prod(shares[:, 2:] - shares[:, :2], axis=1))
    worth = boxes[:, 5] * np.sqrt(side)
    nearest = np.full(len(boxes), 4.0)
    chosen: list[int] = []
    while len(chosen) < min(most, len(boxes)):
        merit = np.where(np.isin(np.arange(len(boxes)), chosen), -1.0, worth * nearest)
        best = int(merit.argmax())
        chosen.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(place - place[best], axis=1) + 1e-3)
    return sorted(chosen)
