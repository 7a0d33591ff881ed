"""How well held-out items and captions find each other."""

from collections.abc import Sequence

import numpy as np

from pipeline.arrays import Array
from training.intervals import Share, wilson_interval

FIRST = (1, 10)
CAPTION, ITEM = "caption", "item"
MEASURES = tuple(f"{found}_{first}" for found in (CAPTION, ITEM) for first in FIRST)
"""caption_1, caption_10: an item has one of its captions among the first 1 or 10 of all held-out captions. item_1,
item_10: a caption has one of its items among the first 1 or 10 of all held-out items. Columns of the curves, in %."""


class Retrieval:
    """Held-out items and all their different captions.

    captions_of: for each item, the numbers of its captions, from 0 to `count` - 1. Items may share captions.
    """

    def __init__(self, captions_of: Sequence[Sequence[int]], count: int) -> None:
        self._own = np.zeros((len(captions_of), count), bool)
        for item, captions in enumerate(captions_of):
            self._own[item, list(captions)] = True

    def hits(self, near: Array) -> dict[str, Array]:
        """Which items, "N", or captions, "C", are found, by measure, from all cosines "N C".

        A measure that cannot be missed, such as the first 10 of 8, is omitted. Among equally near ones, the right one
        comes last.
        """
        found = {}
        for name, cosines, own in ((CAPTION, near, self._own), (ITEM, near.T, self._own.T)):
            cosines = np.nan_to_num(np.asarray(cosines, np.float64), nan=-np.inf)
            best = np.where(own, cosines, -np.inf).max(1, keepdims=True)
            nearer = ((cosines >= best) & ~own).sum(1)
            for first in FIRST:
                if first < own.shape[1]:
                    found[f"{name}_{first}"] = nearer < first
        return found

    def percent(self, near: Array) -> dict[str, float]:
        """The shares in percent, for the curves."""
        return {name: 100 * float(hits.mean()) for name, hits in self.hits(near).items()}

    def figures(self, near: Array) -> dict[str, Share]:
        """The shares with their 95 % intervals, by measure.

        Captions of one item are not independent: the intervals of shares of captions are those of as many captions as
        there are items.
        """
        return {name: _share(int(hits.sum()), len(hits), len(self._own)) for name, hits in self.hits(near).items()}


def _share(hits: int, count: int, independent: int) -> Share:
    low, high = wilson_interval(hits / count, min(count, independent))
    return Share(hits, count, hits / count, low, high)
