"""Overlap of boxes."""

import numpy as np

from stages.boxes import areas, box_cover, box_iou, shared_area


def test_overlap_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10], [5, 5, 5, 9]], float)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [2, 2, 4, 4]], float)
    assert np.allclose(box_iou(a, b), [[1, 1 / 3, 0, 0.04], [0, 0, 0, 0]])
    assert np.allclose(box_cover(a, b)[0], [1, 0.5, 0, 1])


def test_areas_of_known_boxes() -> None:
    boxes = np.array([[0, 0, 10, 4], [5, 5, 5, 9], [6, 0, 2, 3]], float)
    assert areas(boxes).tolist() == [40, 0, 0]
    assert shared_area(boxes, np.array([[8, 2, 12, 10]], float)).tolist() == [[4], [0], [0]]
