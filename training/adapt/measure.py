"""Measures the effect of adapting: top-1 before and after, on held-out clips and on held-out labels."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from pipeline.arrays import Array
from training.adapt.adapter import Adapter, Learnt
from training.adapt.folds import clip_folds, label_folds
from training.intervals import Share, bootstrap, wilson

OUTER = 4
"""Number of folds of clips, and of labels."""

Tick = Callable[[int, int], None]


class Change(msgspec.Struct, frozen=True):
    """Top-1 of the same clips before and after, and the difference with its 95 % interval (paired, over groups)."""

    before: Share
    after: Share
    difference: float
    low: float
    high: float


class Worth(msgspec.Struct, frozen=True):
    adapted: Change | None
    """Held-out clips of adapted labels; None if no clip can be held out."""
    others: Change | None
    """Clips of labels that are not adapted; None if there are none."""
    others_are: str = ""
    """Origin of the others: "given", "left out" in turn, or "" if there are none."""

    @property
    def helps(self) -> bool:
        """Whether held-out clips gain and other labels do not lose significantly."""
        return bool(
            self.adapted and self.adapted.difference > 0 and not (self.others is not None and self.others.high < 0)
        )


def change(before: Sequence[bool], after: Sequence[bool], groups: Sequence[str]) -> Change:
    """The change between two lists of hits. Raises: ValueError: they are empty."""
    sums: dict[str, list[int]] = {}
    for row, (was, now, group) in enumerate(zip(before, after, groups, strict=True)):
        counted = sums.setdefault(group or f"alone {row}", [0, 0, 0])
        counted[0] += int(was)
        counted[1] += int(now)
        counted[2] += 1
    counts = np.array(list(sums.values()))
    low, high = bootstrap(counts, lambda drawn: float((drawn[:, 1] - drawn[:, 0]).sum() / drawn[:, 2].sum()), seed=0)
    hits_before, hits_after, count = (int(total) for total in counts.sum(axis=0))
    difference = (hits_after - hits_before) / count
    return Change(wilson(hits_before, count), wilson(hits_after, count), difference, low, high)


def measure(adapter: Adapter, other_rows: Array, tick: Tick) -> Worth:
    """other_rows: examples of labels that are never learnt. Without them, each label to learn is left out once."""
    rows = np.setdiff1d(np.arange(len(adapter.right)), other_rows)
    learnable = np.arange(adapter.first_rival)
    clips = clip_folds(adapter.right[rows].tolist(), [adapter.groups[row] for row in rows], OUTER)
    labels = [] if len(other_rows) else label_folds(learnable.tolist(), OUTER)
    total = len(clips) + len(labels)
    adapted, others = _Hits(adapter), _Hits(adapter)
    for number, fold in enumerate(clips):
        held = rows[fold]
        adapted.add(held, adapter.learn(np.setdiff1d(rows, held), learnable))
        tick(number + 1, total)
    for number, out in enumerate(labels):
        held = rows[np.isin(adapter.right[rows], out)]
        others.add(held, adapter.learn(np.setdiff1d(rows, held), np.setdiff1d(learnable, out)))
        tick(len(clips) + number + 1, total)
    if len(other_rows):
        others.add(other_rows, adapter.learn(rows, learnable))
    are = "given" if len(other_rows) else "left out" if labels else ""
    return Worth(adapted.change(), others.change(), are)


class _Hits:
    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._before: list[bool] = []
        self._after: list[bool] = []
        self._groups: list[str] = []

    def add(self, rows: Array, learnt: Learnt) -> None:
        right = self._adapter.right[rows]
        self._before += (self._adapter.best(self._adapter.nothing(), rows) == right).tolist()
        self._after += (self._adapter.best(learnt, rows) == right).tolist()
        self._groups += [self._adapter.groups[row] for row in rows]

    def change(self) -> Change | None:
        return change(self._before, self._after, self._groups) if self._before else None
