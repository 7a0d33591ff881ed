"""Boxes from what the bundled detector says of each place."""

import numpy as np

from stages.detect.cells import MOST, boxes_of, kept_cells


def test_a_box_lies_around_the_middle_of_its_cell() -> None:
    cells = np.zeros((5, 2, 3), np.float32)
    cells[:, 1, 2] = 0.75, 5, 6, 7, 8
    boxes, scores = boxes_of(cells, 8)
    assert scores.tolist() == [0, 0, 0, 0, 0, 0.75]
    assert boxes[5].tolist() == [20 - 5, 12 - 6, 20 + 7, 12 + 8]
    assert boxes[1].tolist() == [12, 4, 12, 4]


def test_the_best_of_overlapping_boxes_with_enough_score_is_kept() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [5, 0, 15, 10], [50, 0, 60, 10], [80, 0, 90, 10]], np.float32)
    scores = np.array([0.6, 0.9, 0.5, 0.95, 0.2], np.float32)
    assert kept_cells(boxes, scores, 0.3).tolist() == [3, 1, 2]
    assert kept_cells(boxes, scores, 0.99).tolist() == []


def test_the_number_of_boxes_is_bounded() -> None:
    boxes = (np.arange(MOST + 5)[:, None] * np.full((1, 4), 20) + [0, 0, 10, 10]).astype(np.float32)
    kept = kept_cells(boxes, np.linspace(0.9, 0.1, MOST + 5, dtype=np.float32), 0.05)
    assert kept.tolist() == list(range(MOST))
