"""How good is a detector on photos with boxes? Recall with 30 boxes, and average precision at an overlap of a half."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Array
from stages.boxes import box_iou

LEAST_IOU = 0.5
MOST = 30
FREQUENT = 20
"""Names with fewer objects are left out of the mean."""


class Truth(NamedTuple):
    boxes: Array
    """"N 4"."""
    names: list[str]


class Answer(NamedTuple):
    boxes: Array
    """"N 4", best first."""
    scores: Array
    """"N": how sure of an object."""
    shares: Array
    """"N C": of each name."""


def recall(truths: Sequence[Truth], answers: Sequence[Answer]) -> float:
    """Percent of the objects that one of the 30 best boxes of their photo overlaps by a half; each box finds one."""
    found = total = 0
    for truth, answer in zip(truths, answers, strict=True):
        total += len(truth.boxes)
        found += sum(pair >= 0 for pair in _matches(truth.boxes, answer.boxes[:MOST]))
    return 100 * found / max(total, 1)


def average_precision(
    truths: Sequence[Truth], answers: Sequence[Answer], names: Sequence[str], least: int = FREQUENT
) -> Mapping[str, float]:
    """AP50 in percent of each name with at least `least` objects: the area under the curve of precision and recall, as
    in VOC since 2010. Every box counts for every name, with its score times the name's share.
    """
    counts = {name: sum(truth.names.count(name) for truth in truths) for name in names}
    return {
        name: _average_precision(truths, answers, name, column)
        for column, name in enumerate(names)
        if counts[name] >= least
    }


def _average_precision(truths: Sequence[Truth], answers: Sequence[Answer], name: str, column: int) -> float:
    scores, right, total = list[Array](), list[Array](), 0
    for truth, answer in zip(truths, answers, strict=True):
        worth = answer.scores * answer.shares[:, column] if len(answer.scores) else answer.scores
        order = np.argsort(-worth, kind="stable")
        wanted = truth.boxes[[each == name for each in truth.names]]
        total += len(wanted)
        right.append(np.array(_matches(wanted, answer.boxes[order], by_box=True)) >= 0)
        scores.append(worth[order])
    is_right = np.concatenate(right)[np.argsort(-np.concatenate(scores), kind="stable")]
    hits = np.cumsum(is_right)
    precision = hits / np.arange(1, len(hits) + 1)
    best_later = np.maximum.accumulate(precision[::-1])[::-1]
    return float(100 * (best_later * is_right).sum() / max(total, 1))


def _matches(truth: Array, boxes: Array, by_box: bool = False) -> list[int]:
    """For each true box the box that finds it, or -1; or with `by_box` the other way round. Better boxes choose first,
    the true box that they overlap most among those that are free."""
    iou = box_iou(boxes.reshape(-1, 4), truth.reshape(-1, 4))
    of_truth, of_box = [-1] * len(truth), [-1] * len(boxes)
    for number, row in enumerate(iou):
        free = np.where(np.array(of_truth) < 0, row, 0.0) if len(row) else row
        if len(free) and free.max() >= LEAST_IOU:
            of_truth[int(free.argmax())] = number
            of_box[number] = int(free.argmax())
    return of_box if by_box else of_truth
