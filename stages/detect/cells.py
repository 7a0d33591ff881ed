"""From what the bundled detector says of each place of a picture to boxes."""

import cv2
import numpy as np

from pipeline.arrays import Array

LEAST_SCORE = 0.05
SAME = 0.5
"""Intersection over union from which two boxes show the same object, whatever it is."""
MOST = 30
"""Most boxes of a picture, the best ones."""


def boxes_of(cells: Array, stride_px: int) -> tuple[Array, Array]:
    """Boxes "A 4" in pixels and scores "A" from the `cells` "5 h w" of one stride."""
    height, width = cells.shape[1:]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centres = (np.stack([x, y], axis=-1).reshape(-1, 2) + np.float32(0.5)) * np.float32(stride_px)
    score, sides = cells[0].reshape(-1), cells[1:].reshape(4, -1).T
    return np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], axis=1), score


def kept_cells(boxes: Array, scores: Array, least: float) -> Array:
    """Indices of boxes with more than this score that no better one overlaps, best first; at most `MOST`."""
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept: Array = np.asarray(cv2.dnn.NMSBoxes(sized.tolist(), scores.tolist(), least, SAME), int).reshape(-1)
    return kept[np.lexsort((kept, -scores[kept]))][:MOST]
