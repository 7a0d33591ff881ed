"""How good are tracks? HOTA (Luiten et al. 2020), CLEAR MOT (Bernardin and Stiefelhagen 2008), IDF1 (Ristani et al.
2016), with the conventions of TrackEval. Every true box counts: there are no regions to ignore.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.arrays import Array
from stages.boxes import box_iou

Frames = Mapping[int, Mapping[int, Array]]
"""Frame -> identity -> box x0 y0 x1 y1, in pixels."""
LEAST_IOU = 0.5
"""Overlap from which a tracked box is a true one, for MOTA and IDF1."""
THRESHOLDS = np.linspace(0.05, 0.95, 19)
"""The same for HOTA, which is a mean over them."""
ROUNDING = 1e-9


@dataclass
class Tally:
    """What adds up over sequences."""

    real: int = 0
    made: int = 0
    switches: int = 0
    false: int = 0
    missed: int = 0
    fragments: int = 0
    same_identity: int = 0
    """Boxes of tracks that are paired with the object that they follow for longest."""
    found: Array = field(default_factory=lambda: np.zeros(len(THRESHOLDS)))
    associated: Array = field(default_factory=lambda: np.zeros(len(THRESHOLDS)))

    def add(self, truth: Frames, tracked: Frames, frames: Sequence[int]) -> None:
        """One sequence, of which these frames count."""
        sequence = _Sequence(truth, tracked, frames)
        self.real += int(sequence.real_boxes.sum())
        self.made += int(sequence.made_boxes.sum())
        self._clear(sequence)
        self._hota(sequence)
        self._identity(sequence)

    def metrics(self) -> dict[str, float]:
        """In percent, and counts."""
        detection = self.found / np.maximum(self.real + self.made - self.found, 1)
        association = self.associated / np.maximum(self.found, 1)
        errors = self.false + self.missed + self.switches
        shares = {
            "HOTA": float(np.sqrt(detection * association).mean()),
            "MOTA": 1 - errors / max(self.real, 1),
            "IDF1": 2 * self.same_identity / max(self.real + self.made, 1),
        }
        counts = {"IDs": self.switches, "FP": self.false, "FN": self.missed, "Frag": self.fragments}
        return {name: round(100 * share, 2) for name, share in shares.items()} | counts

    def _clear(self, sequence: "_Sequence") -> None:
        """Matches are kept from frame to frame while they hold."""
        objects = len(sequence.real_boxes)
        partner, latest = np.full(objects, -1), np.full(objects, -1)
        was_tracked, stretches = np.zeros(objects, bool), np.zeros(objects, int)
        for real, made, iou in sequence.steps:
            worth = np.where(iou >= LEAST_IOU - ROUNDING, iou + 1000.0 * (made[None] == partner[real][:, None]), 0)
            i, j = linear_sum_assignment(worth, maximize=True)
            i, j = i[worth[i, j] > 0], j[worth[i, j] > 0]
            rows, columns = real[i], made[j]
            self.switches += int(((latest[rows] >= 0) & (latest[rows] != columns)).sum())
            self.missed += len(real) - len(rows)
            self.false += len(made) - len(columns)
            partner = np.full(objects, -1)
            partner[rows] = latest[rows] = columns
            stretches[rows[~was_tracked[rows]]] += 1
            was_tracked[real] = partner[real] >= 0  # an object that is out of sight keeps its stretch
            absent = np.ones(objects, bool)
            absent[real] = False
            was_tracked[absent] = False
        self.fragments += int(np.maximum(stretches - 1, 0).sum())

    def _hota(self, sequence: "_Sequence") -> None:
        shape = len(sequence.real_boxes), len(sequence.made_boxes)
        near = np.zeros(shape)
        for real, made, iou in sequence.steps:
            either = iou.sum(axis=0) + iou.sum(axis=1)[:, None] - iou
            near[np.ix_(real, made)] += np.where(either > 0, iou / np.maximum(either, 1e-12), 0)
        both = sequence.real_boxes[:, None] + sequence.made_boxes
        alignment = near / np.maximum(both - near, 1e-12)
        together = np.zeros((len(THRESHOLDS), *shape))
        for real, made, iou in sequence.steps:
            i, j = linear_sum_assignment(alignment[np.ix_(real, made)] * iou, maximize=True)
            for hits, threshold in zip(together, THRESHOLDS, strict=True):
                good = iou[i, j] >= threshold - ROUNDING
                hits[real[i[good]], made[j[good]]] += 1
        self.found = self.found + together.sum(axis=(1, 2))
        self.associated = self.associated + (together**2 / np.maximum(both - together, 1)).sum(axis=(1, 2))

    def _identity(self, sequence: "_Sequence") -> None:
        shared = np.zeros((len(sequence.real_boxes), len(sequence.made_boxes)))
        for real, made, iou in sequence.steps:
            shared[np.ix_(real, made)] += iou >= LEAST_IOU - ROUNDING
        self.same_identity += int(shared[linear_sum_assignment(shared, maximize=True)].sum())


class _Sequence:
    """Boxes of a sequence by frame, with identities counted from 0."""

    def __init__(self, truth: Frames, tracked: Frames, frames: Sequence[int]) -> None:
        pairs = [(truth.get(frame, {}), tracked.get(frame, {})) for frame in frames]
        reals, mades = (sorted({id for pair in pairs for id in pair[side]}) for side in (0, 1))
        self.real_boxes, self.made_boxes = np.zeros(len(reals)), np.zeros(len(mades))
        self.steps: list[tuple[Array, Array, Array]] = []
        for real, made in pairs:
            rows, columns = np.searchsorted(reals, list(real)), np.searchsorted(mades, list(made))
            rows, columns = rows.astype(int), columns.astype(int)
            self.real_boxes[rows] += 1
            self.made_boxes[columns] += 1
            boxes = (np.reshape(list(each.values()), (-1, 4)) for each in (real, made))
            self.steps.append((rows, columns, box_iou(*boxes)))
