"""The detector of a model directory: a head on its picture tower; see `engines.networks.detector`."""

from collections.abc import Sequence

import cv2
import numpy as np

from engines.models.detector import DETECTOR
from engines.networks.detector_facts import SIDE_STEP_PX, STRIDES_PX
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from stages.built_network import BuiltNetwork
from stages.detect.cells import boxes_of, kept_cells
from stages.detect.detector import Found

LONG_SIDE_PX = 320
"""Of the pictures that it looks at; the short side follows, up to a multiple of 32."""
SHIFT = 0.9
"""Added to the log-odds of scores. The network says how often such a box was right on photos, which is too strict for
tracks, as these gather evidence over frames: of people that cover a tenth of a picture, 0.7 has 4 in 10, and 0.5, which
becomes 0.7, has 8 in 10."""
GREY = 127


class OwnDetector(BuiltNetwork):
    """See `stages.detect.detector.Detector`."""

    frames_per_clip = 2

    def __init__(self, directory: str, least_score: float, run: RunSettings) -> None:
        super().__init__(DETECTOR, directory, run, "detector")
        self._least_score = least_score

    @property
    def name(self) -> str:
        return f"own-{self.engine.name}@{LONG_SIDE_PX}"

    @property
    def short_side_px(self) -> int:
        return 0

    def detect(self, frames: Sequence[Array]) -> list[Found]:
        pictures, scale = pictures_of(frames)
        given = self.engine.run({"pictures": pictures})
        found = []
        for row in range(len(frames)):
            each = [boxes_of(given[f"cells_{stride}"][row], stride) for stride in STRIDES_PX]
            boxes, scores = (np.concatenate(parts) for parts in zip(*each, strict=True))
            maps = [given[f"vectors_{stride}"][row] for stride in STRIDES_PX]
            vectors = np.concatenate([each.reshape(len(each), -1).T for each in maps])
            kept = kept_cells(boxes, scores, self._least_score)
            found.append(Found(boxes[kept] / np.float32(scale), shifted(scores[kept]), vectors=vectors[kept]))
        return found


def shifted(scores: Array, shift: float = SHIFT) -> Array:
    """Scores in (0, 1) with `shift` added to their log-odds."""
    more = scores * np.float32(np.exp(shift))
    return more / (1 - scores + more)


def pictures_of(frames: Sequence[Array]) -> tuple[Array, float]:
    """Frames uint8 "H W 3" of one size -> float32 "N 3 h w" in [-1, 1], sides multiples of 32, grey right and below;
    and the scale from pixels of the frame."""
    height, width = frames[0].shape[:2]
    scale = LONG_SIDE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    wide, high = (-(-side // SIDE_STEP_PX) * SIDE_STEP_PX for side in size)
    pictures = np.full((len(frames), high, wide, 3), GREY, np.uint8)
    for picture, frame in zip(pictures, frames, strict=True):
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture[: size[1], : size[0]] = cv2.resize(np.ascontiguousarray(frame), size, interpolation=way)
    return (np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32) - 127) / 128, scale
