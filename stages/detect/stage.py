"""Boxes around objects, and which of them to encode: of a network, if one is given, and of what moves."""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import cast

import cv2
import numpy as np

from pipeline.arrays import RECORD, Array, Spec
from pipeline.clip import Absent, Clip, Reason
from pipeline.stage import Demand, Outputs, Resources, Stage, StageOptions
from stages.boxes import BoxKind, box_cover
from stages.colours import NAMES, colour_shares
from stages.detect.camera import CameraMotion
from stages.detect.cuts import cut_pairs
from stages.detect.detector import Detector
from stages.detect.detectors import OWN, make_detector
from stages.detect.regions import RegionOptions, moving_regions
from stages.detect.seen import NOTHING, see
from stages.flow import grey_at, with_previous
from stages.half import from_half
from stages.pictures import evenly
from stages.words.coloured import has_colour
from stages.words.relations import named_things

SCENE = ("scene_spans_ns", "scene_rates")
COLOURED_FRAMES = 2
"""Of a clip, in which the colours of what the network finds are measured."""
SURE = 0.3
"""Score from which a box of the network stands for what moves inside it."""


class DetectOptions(StageOptions, frozen=True, kw_only=True):
    detector: str = OWN
    """A network that finds objects, also those that do not move: "own" for the model's, if it has one; an ONNX file
    with the outputs of YOLOX; a directory of OWL-ViT or OWLv2, which looks for the things that words of the run name;
    "none" for boxes from motion alone."""
    names: str = ""
    """For `detector`: a text file with the name of each class in a line; empty for those of COCO if there are 80."""
    least_score: float = 0.1
    """Boxes of the network with a lower score are left out."""
    frames_per_clip: int = 0
    """Frames of a clip in which the network looks, evenly spaced; 0 for what suits it: 2 for the model's own and
    OWL-ViT, 1 for OWLv2, all for a file. To the frames between, boxes are carried along the flow."""
    motion: bool = True
    """Also boxes of what moves where the network finds nothing."""
    covered: float = 0.5
    """A box from motion is left out if this share of it, or of a box of the network, lies inside the other."""
    short_side_px: int = 224
    """Frames are compared at this size, to find what moves."""
    crops_per_clip: int = 2
    """Boxes per clip that the image tower encodes, for the labels of tracks; each costs as much as one picture of the
    clip. 0 encodes none."""
    least_step_s: float = 0.09
    """Frames that follow sooner than this are skipped: in so short a time little moves by a pixel."""
    colours: bool = False
    """Measure colours of boxes also if no word to find has one: others may come."""
    regions: RegionOptions = RegionOptions()


class Detect(Stage):
    """Detection of what moves differently from the camera, without names; and of what a network finds.

    `boxes` float32 "N 6": index in `frames`, x0, y0, x1, y1 in pixels of the upright source, score in [0, 1].
    `box_times_ns` int64 "N": times of their frames.
    `box_kinds` uint8 "N": a `BoxKind` each. `box_names`: what the network calls each, or "".
    `box_vectors` float16 "N D": what each looks like, in the text space of the picture tower; zeros for boxes from
    motion; only if the network tells it.
    `box_colours` float16 "N K": shares of the colours of `stages.colours.NAMES`; zeros where they were not
    measured. They are for crops and for boxes of the network in two frames, if words to find have a colour.
    `box_crops` int64 "C": rows of the boxes for the image tower to encode, in ascending order.
    `detect_times_ns` int64 "F": times of all frames that were looked at, with boxes or without.
    `cut_times_ns` int64 "K": times of the first frames after scene cuts.
    `scene_rates` float32 "S 2 3" from the one to the other time of `scene_spans_ns` int64 "S 2": how the scene moves,
    as `CameraMotion.matrix`.
    """

    required = ("frames", "frame_times_ns")
    optional = ("flow", "previous_frame", "previous_time_ns")
    Options = DetectOptions
    options: DetectOptions

    def gives(self) -> dict[str, Spec]:
        return {
            "boxes": Spec("float32", "N 6", in_message=True),
            "box_times_ns": Spec("int64", "N", in_message=True),
            "box_kinds": Spec("uint8", "N", in_message=True),
            "box_names": RECORD,
            "box_vectors": Spec("float16", "N D", in_message=True),
            "box_colours": Spec("float16", "N K", in_message=True),
            "box_crops": Spec("int64", "C", in_message=True),
            "detect_times_ns": Spec("int64", "F", in_message=True),
            "cut_times_ns": Spec("int64", "K", in_message=True),
            "scene_spans_ns": Spec("int64", "S 2", in_message=True),
            "scene_rates": Spec("float32", "S 2 3", in_message=True),
        }

    def demand(self) -> Demand:
        wanted = 0 if self._detector is None else self._detector.short_side_px
        return Demand(short_side_px=max(self.options.short_side_px, wanted))

    @property
    def preload(self) -> tuple[str, ...]:
        return ("cv2", *(self._detector.preload if self._detector is not None else ()))

    @cached_property
    def _detector(self) -> Detector | None:
        options = self.options
        if self.run.follow == "none":
            return None
        return make_detector(options.detector, options.names, options.least_score, self.run)

    def check(self) -> None:
        self._detector  # noqa: B018  (reads the file's facts)

    @property
    def opens_early(self) -> bool:
        return self._detector is None or self._detector.opens_early

    def prepare(self, report: Callable[[str], None]) -> None:
        if self._detector is not None:
            self._detector.prepare(report)

    def improve(self, report: Callable[[str], None]) -> bool:
        return self._detector is not None and self._detector.improve(report)

    def open(self, resources: Resources) -> None:
        cv2.setNumThreads(self.run.threads)
        if self._detector is not None:
            self._detector.open(resources)

    def describe(self) -> dict[str, str]:
        return {} if self._detector is None else {"detector": self._detector.name}

    def process(self, clip: Clip) -> Outputs:
        if self.run.follow == "none":
            return dict.fromkeys(self.gives(), Absent("not_asked"))
        if self._detector is None and clip.get("flow") is None:
            return dict.fromkeys(self.gives(), Absent(cast(Reason, clip.absent.get("flow", "failed"))))
        seen = NOTHING if self._detector is None else see(self._detector, clip, self.options.frames_per_clip)
        moving, looked_at, scene = self._by_motion(clip)
        times_ns = clip["frame_times_ns"]
        boxes = np.concatenate([seen.boxes, moving[~self._is_covered(moving, seen.boxes)]])
        kinds = np.repeat([BoxKind.NETWORK, BoxKind.MOTION], [len(seen.boxes), len(boxes) - len(seen.boxes)])
        names = seen.names + [""] * (len(boxes) - len(seen.names))
        vectors = seen.vectors
        if vectors is not None:
            vectors = np.concatenate([vectors, np.zeros((len(boxes) - len(vectors), vectors.shape[1]), np.float32)])
        order = np.lexsort((kinds != BoxKind.NETWORK, boxes[:, 0]))
        height, width = clip["frames"].shape[1:3]
        pixels = boxes[order]
        shares = pixels[:, 1:5] / size_of(width, height)
        pixels[:, 1:5] = shares * size_of(clip.info.width or width, clip.info.height or height)
        crops = self._crops(pixels, shares)
        return {
            "boxes": pixels,
            "box_times_ns": times_ns[pixels[:, 0].astype(int)],
            "box_kinds": kinds[order].astype(np.uint8),
            "box_names": [names[i] for i in order.tolist()],
            "box_vectors": Absent("not_asked") if vectors is None else vectors[order].astype(np.float16),
            "box_colours": self._colours(clip["frames"], pixels, shares, kinds[order], crops),
            "box_crops": crops,
            "detect_times_ns": times_ns[sorted({*seen.frames, *looked_at})],
            "cut_times_ns": cuts(clip),
            **scene,
        }

    def _by_motion(self, clip: Clip) -> tuple[Array, list[int], Outputs]:
        """What moves: rows as in `boxes` in pixels of `frames`, the frames in which it was looked for, and how the
        scene moves."""
        flow = clip.get("flow")
        if flow is None or not self.options.motion:
            return np.zeros((0, 6), np.float32), [], dict.fromkeys(SCENE, Absent("not_asked"))
        frames, times_ns = with_previous(clip)
        frames, times_ns = frames[-len(flow) - 1 :], times_ns[-len(flow) - 1 :]
        kept = paced(times_ns, self.options.least_step_s)
        grey = [grey_at(frames[i], self.options.short_side_px) for i in kept]
        found, cameras = moving_regions(flow_between(flow, times_ns, kept), grey, times_ns[kept], self.options.regions)
        first = len(clip["frames"]) - len(frames)  # -1 with a previous frame
        rows = [
            (index + first, *region.box, region.score)
            for index, regions in zip(kept[1:], found, strict=True)
            for region in regions
        ]
        boxes = np.array(rows, np.float32).reshape(-1, 6)
        height, width = clip["frames"].shape[1:3]
        boxes[:, 1:5] *= size_of(width, height) / size_of(*grey[0].shape[::-1])
        return boxes, [index + first for index in kept[1:]], scene_motion(cameras, times_ns[kept])

    def _is_covered(self, moving: Array, seen: Array) -> Array:
        """bool "N": which boxes from motion show what the network has found in the same frame."""
        sure = seen[seen[:, 5] >= SURE]
        same_frame = moving[:, :1] == sure[None, :, 0]
        cover = box_cover(moving[:, 1:5], sure[:, 1:5])
        covered: Array = (same_frame & (cover > self.options.covered)).any(axis=1)
        return covered

    def _crops(self, boxes: Array, shares: Array) -> Array | Absent:
        """Rows of the boxes to encode; `shares` "N 4" are all boxes in shares of the picture."""
        if "image" not in self.run.modalities or not self.options.crops_per_clip:
            return Absent("not_asked")
        return np.array(diverse_boxes(boxes, shares, self.options.crops_per_clip), np.int64)

    def _colours(
        self, frames: Array, boxes: Array, shares: Array, kinds: Array, crops: Array | Absent
    ) -> Array | Absent:
        """`box_colours`, of crops and of what the network finds in two frames. `shares` as for `_crops`."""
        if not self._wants_colours:
            return Absent("not_asked")
        found = kinds == BoxKind.NETWORK
        looked_at = np.unique(boxes[found, 0])
        is_measured = found & np.isin(
            boxes[:, 0], looked_at[evenly(min(COLOURED_FRAMES, len(looked_at)), len(looked_at))]
        )
        if not isinstance(crops, Absent):
            is_measured[crops] = True
        colours = np.zeros((len(boxes), len(NAMES)), np.float16)
        scaled = shares * size_of(frames.shape[2], frames.shape[1])
        for index in np.unique(boxes[is_measured, 0]).astype(int):
            here = is_measured & (boxes[:, 0] == index)
            colours[here] = colour_shares(frames[index], scaled[here])
        return colours

    @cached_property
    def _wants_colours(self) -> bool:
        return self.options.colours or any(map(has_colour, named_things(self.run.find)))


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
        pairs, share = from_half(flow[start:stop]), seconds[start:stop] / seconds[start:stop].sum()
        is_cut = not pairs.any(axis=(1, 2, 3)).all()
        means.append(np.zeros_like(pairs[0]) if is_cut else (pairs * share).sum(axis=0))
    return np.stack(means)


def scene_motion(cameras: Sequence[CameraMotion | None], times_ns: Array) -> Outputs:
    """How the scene moves from each of the frames at `times_ns` to the next, where that is known."""
    pairs = [(span, camera.matrix) for span, camera in zip(pairwise(times_ns), cameras, strict=True) if camera]
    spans, rates = [span for span, _ in pairs], [matrix for _, matrix in pairs]
    return {
        "scene_spans_ns": np.array(spans, np.int64).reshape(-1, 2),
        "scene_rates": np.array(rates, np.float32).reshape(-1, 2, 3),
    }


def cuts(clip: Clip) -> Array:
    """Times of the first frames after scene cuts, int64 "K"."""
    pairs, times_ns = cut_pairs(clip), clip["frame_times_ns"]
    found: Array = times_ns[len(times_ns) - len(pairs) :][pairs]
    return found


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
