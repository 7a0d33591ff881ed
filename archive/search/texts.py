"""Queries in words: the probability of a label, as a run with that label gives it."""

from collections.abc import Sequence

import numpy as np
import torch

from archive.search.odds import FastSide, pooled, pooled_fast
from archive.search.query import NOTHING, Scale
from archive.search.rows import Block, Rows, exact
from pipeline.arrays import Array
from stages.words.head_share import mixed
from stages.words.labels import LabelSet
from stages.words.scoring import sigmoid

MARGIN = 1.002
"""Rough probabilities may be as far below the exact ones."""


class TextQuery:
    """The probability of the first label of a set, and that none of the others is there.

    modalities: those that are pooled; a single one is not weighted.
    """

    scale: Scale = "probability"

    def __init__(self, labels: LabelSet, modalities: Sequence[str]) -> None:
        self._labels, self._modalities = labels, tuple(modalities)
        self._sides = {
            name: [FastSide(labels.sides[name], label, label == 0) for label in range(len(labels.labels))]
            for name in self._modalities
        }

    def bound(self, block: Block) -> torch.Tensor:
        odds = {name: self._bound_of(block, name) for name in self._modalities}
        weights = {name: self._weight(block, name, z[0]) for name, z in odds.items()}
        is_there = torch.stack([~z[0].isnan() for z in odds.values()]).any(0)
        each = [
            pooled_fast({name: z[label].nan_to_num(-1e9).sigmoid() for name, z in odds.items()}, weights)
            for label in range(len(self._labels.labels))
        ]
        score = each[0] * MARGIN
        for other in each[1:]:
            score = score * (1.0 - other / MARGIN)
        return torch.where(is_there, score, NOTHING)

    def _weight(self, block: Block, name: str, odds: torch.Tensor) -> torch.Tensor:
        weight = block.numbers(f"{name}_weight") if len(self._modalities) > 1 else torch.ones(block.size)
        return torch.where(odds.isnan(), 0.0, weight)

    def _bound_of(self, block: Block, name: str) -> list[torch.Tensor]:
        """Log-odds of each label from one modality, with the fusion head; NaN where the clip has none."""
        own, head = self._all(block, name, name), f"fused_{name}"
        share = self._labels.head_share
        if share is None or not block.has(head):
            return own
        fused = self._all(block, name, head)
        return [
            torch.where(second.isnan(), first, first + float(part) * (second - first))
            for first, second, part in zip(own, fused, share, strict=True)
        ]

    def _all(self, block: Block, name: str, vector: str) -> list[torch.Tensor]:
        sides = self._sides[name]
        log_sum = block.numbers(f"{vector}_log_sum")
        cosines = block.cosines(vector, torch.cat([side.queries for side in sides]))
        parts = torch.split(cosines, [len(side.queries) for side in sides])
        return [side.bound(part, log_sum) for side, part in zip(sides, parts, strict=True)]

    def exact(self, rows: Rows, where: Array) -> Array:
        odds = {name: self._exact_of(rows, name, where) for name in self._modalities}
        one = np.ones(len(where))
        weights = {
            name: exact(rows, f"{name}_weight", where) if len(self._modalities) > 1 else one
            for name in self._modalities
        }
        each = [
            sigmoid(pooled({name: z[:, label] for name, z in odds.items()}, weights))
            for label in range(len(self._labels.labels))
        ]
        score = each[0]
        for other in each[1:]:
            score = score * (1.0 - other)
        found: Array = np.where(np.isnan(score), NOTHING, score)
        return found

    def needles(self) -> dict[str, Array]:
        found = dict[str, Array]()
        for name in self._modalities:
            side = self._labels.sides[name]
            stop = len(side.labels) if side.starts is None or len(side.starts) < 2 else int(side.starts[1])
            found[name] = side.labels[: stop if side.starts is not None else 1]
        return found

    def _exact_of(self, rows: Rows, name: str, where: Array) -> Array:
        """Log-odds "N C", NaN where the clip has none."""
        own = self._compared(rows, name, name, where)
        if self._labels.head_share is None or not rows.has(f"fused_{name}"):
            return own
        fused = self._compared(rows, name, f"fused_{name}", where)
        found: Array = np.where(np.isnan(fused), own, mixed(own, fused, self._labels.head_share))
        return found

    def _compared(self, rows: Rows, name: str, vector: str, where: Array) -> Array:
        odds = self._labels.sides[name].compare(exact(rows, vector, where))[2]
        found: Array = np.where(np.isnan(exact(rows, f"{vector}_log_sum", where))[:, None], np.nan, odds)
        return found

    def evidence(self, rows: Rows, row: int) -> dict[str, float]:
        """The probability of the first label from each modality alone; those that the clip has."""
        where = np.array([row])
        odds = {name: float(self._compared(rows, name, name, where)[0, 0]) for name in self._modalities}
        return {name: float(sigmoid(np.array(z))) for name, z in odds.items() if not np.isnan(z)}
