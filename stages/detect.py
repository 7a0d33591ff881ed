"""Boxes around whatever moves against the scene, and how some of them look."""

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.arrays import Array, Spec
from pipeline.clip import Absent, Clip
from pipeline.stage import Demand, Outputs, Resources, Stage, StageOptions
from stages.flow import grey_at, with_previous
from stages.regions import RegionOptions, moving_regions

EncodeCrops = Callable[[Sequence[Array]], Array]
"""RGB uint8 pictures "h w 3" of any sizes -> float32 "N D" of unit length."""


class DetectOptions(StageOptions):
    short_side_px: int = 224
    """Frames are compared at this size."""
    crops_per_clip: int = 8
    """Boxes of a clip that are looked at by the picture tower; each costs as much as one picture of the clip."""
    crop_margin: float = 0.15
    """Scene around a box that its crop takes in, as a share of the longer side."""
    regions: RegionOptions = RegionOptions()


class Detect(Stage):
    """Class-agnostic detection by motion: what does not follow the camera. Static objects are not found.

    `boxes` float32 "N 6": index in `frames`, x0, y0, x1, y1 in pixels of the upright source, score in [0, 1].
    `box_embeddings` float16 "N D": unit length, zeros for boxes that were not looked at.
    """

    preload = ("cv2",)
    required = ("flow", "frames", "frame_times_ns")
    optional = ("previous_frame", "previous_time_ns")
    Options = DetectOptions
    options: DetectOptions

    _encode: EncodeCrops | None = None

    def gives(self) -> dict[str, Spec]:
        return {
            "boxes": Spec("float32", "N 6", in_message=True),
            "box_times_ns": Spec("int64", "N", in_message=True),
            "box_embeddings": Spec("float16", "N D", in_message=True),
        }

    def demand(self) -> Demand:
        return Demand(short_side_px=self.options.short_side_px)

    def open(self, resources: Resources) -> None:
        import cv2

        cv2.setNumThreads(self.run.threads)

    def process(self, clip: Clip) -> Outputs:
        frames, times_ns = with_previous(clip)
        flow = clip["flow"]
        frames, times_ns = frames[-len(flow) - 1 :], times_ns[-len(flow) - 1 :]
        grey = [grey_at(frame, self.options.short_side_px) for frame in frames]
        found = moving_regions(flow, grey, times_ns, self.options.regions)
        offset = len(clip["frames"]) - len(flow)
        rows = [(p + offset, *region.box, region.score) for p, regions in enumerate(found) for region in regions]
        boxes = np.array(rows, np.float32).reshape(-1, 6)
        height, width = grey[0].shape
        shares = boxes[:, 1:5] / np.float32([width, height, width, height])
        embeddings = self._look(clip["frames"], boxes, shares)
        boxes[:, 1:5] = shares * np.float32([clip.info.width or width, clip.info.height or height] * 2)
        times = clip["frame_times_ns"][boxes[:, 0].astype(int)]
        return {"boxes": boxes, "box_times_ns": times, "box_embeddings": embeddings}

    def _look(self, frames: Array, boxes: Array, shares: Array) -> Array | Absent:
        """Embeddings "N D" of the chosen boxes' crops; `shares` "N 4" are the boxes in shares of the picture."""
        if self._encode is None:
            return Absent("no_tower" if "image" in self.run.modalities else "not_asked")
        chosen = spread(boxes, shares, self.options.crops_per_clip)
        crops = [crop(frames[int(boxes[i, 0])], shares[i], self.options.crop_margin) for i in chosen]
        vectors = self._encode(crops) if crops else np.zeros((0, 1), np.float32)
        embeddings = np.zeros((len(boxes), vectors.shape[1]), np.float16)
        embeddings[chosen] = vectors
        return embeddings


def crop(frame: Array, share: Array, margin: float) -> Array:
    """The part of a frame "H W 3" around a box given in shares of it, at least one pixel."""
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = share * np.float32([width, height, width, height])
    around = margin * max(x1 - x0, y1 - y0)
    left, top = max(0, int(x0 - around)), max(0, int(y0 - around))
    right, bottom = min(width, int(np.ceil(x1 + around))), min(height, int(np.ceil(y1 + around)))
    return frame[top : max(bottom, top + 1), left : max(right, left + 1)]


def spread(boxes: Array, shares: Array, most: int) -> list[int]:
    """Indices of up to `most` boxes: well-scored, large, and far from each other in place and time.

    Greedy: each next box is the one with the largest score times its distance to the nearest chosen one.
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
    return chosen
