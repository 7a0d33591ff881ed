"""Folds for cross-validation: clips by their groups, and whole labels."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pipeline.arrays import Array


def clip_folds(right: Sequence[int], groups: Sequence[str], most: int) -> list[Array]:
    """Rows of each fold, "n". Each label's groups are dealt out to the folds in turn, and a group is never divided.

    At most `most` folds; none if no label has two groups. A group with several labels is dealt out with the first.
    """
    named = [group or f"alone {row}" for row, group in enumerate(groups)]
    fold_of: dict[str, int] = {}
    dealt: dict[int, int] = defaultdict(int)
    for label, name in sorted(zip(right, named, strict=True), key=lambda pair: (pair[0], named.index(pair[1]))):
        if name not in fold_of:
            fold_of[name] = dealt[label] % most
            dealt[label] += 1
    if max(dealt.values(), default=0) < 2:
        return []
    place = np.array([fold_of[name] for name in named])
    return [np.flatnonzero(place == fold) for fold in np.unique(place)]


def label_folds(labels: Sequence[int], most: int) -> list[Array]:
    """Labels of each fold, dealt out in turn; none if there is only one label."""
    each = np.unique(np.asarray(labels))
    if len(each) < 2:
        return []
    return [each[start::most] for start in range(min(most, len(each)))]
