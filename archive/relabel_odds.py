"""Log-odds of words for many stored embeddings at once, as `stages.words.scoring` has them for one.

A label's log-odds are

    cosine / T + bias - log(sum over background words v of kept[v] exp(cosine_v / T))

and `kept` is 1 for all v but the few that mean nearly the same as the label. The archive has the sum S over all v, so
only labels and those few words are multiplied:

    cosine / T + bias - log S - log(1 - sum over v of (1 - kept[v]) exp(cosine_v / T) / S)

Where those few words make up nearly all of S, the difference has few digits left. Such clips are compared with the
whole background in float64 instead.
"""

import numpy as np
import torch

from pipeline.arrays import Array
from stages.words.capped import capped
from stages.words.label_side import LabelSide

DOMINATED = 0.98
"""Share of S from which the difference is not trusted. Errors of single precision are 50 times larger there."""
BLOCK_VALUES = 2_000_000
"""Cosines that are in memory at a time: so many fit into the cache of two cores or not far beyond."""
MOST_ROWS = 8192


class BulkSide:
    """A `LabelSide`, ready for blocks of embeddings."""

    def __init__(self, side: LabelSide) -> None:
        self.side = side
        removed = 1.0 - np.asarray(side.kept, np.float32)
        near = np.flatnonzero(removed.any(axis=0))
        self.labels = len(removed)
        """Number of labels."""
        self._words = len(side.labels)
        vectors = np.concatenate([side.labels, side.background[near]]).astype(np.float32)
        self._vectors = torch.from_numpy(np.ascontiguousarray(vectors.T))
        self._removed = torch.from_numpy(np.ascontiguousarray(removed[:, near].T))
        self._known = None if side.known is None else torch.from_numpy(np.asarray(side.known, np.float32))
        self._groups = None if side.starts is None else _groups(side.starts, self._words)
        self.block_rows = max(64, min(MOST_ROWS, BLOCK_VALUES // max(1, len(vectors))))

    def compare(self, vectors: Array, log_sum: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings float16 "N D" and their sums "N" -> cosine and log-odds of labels, float32 "N C" each."""
        inputs = torch.from_numpy(np.require(vectors, requirements=("C", "W"))).float()
        sums = torch.from_numpy(np.array(log_sum, np.float32))[:, None]
        side, cosine = self.side, inputs @ self._vectors
        similarity = self._nearest(cosine[:, : self._words])
        taken = cosine[:, self._words :].div_(side.temperature).sub_(sums).exp_() @ self._removed
        odds = (similarity / side.temperature).sub_(sums).add_(side.bias)
        odds -= torch.log1p(-taken.clamp(max=DOMINATED))
        odds = capped(odds, self._known)
        rows = (taken > DOMINATED).any(dim=1).nonzero()[:, 0]
        if len(rows):
            exact = side.compare(np.asarray(vectors)[rows.numpy()].astype(np.float32))[2]
            odds[rows] = torch.from_numpy(exact).float()
        return similarity, odds

    def _nearest(self, cosine: torch.Tensor) -> torch.Tensor:
        """That of each label's nearest synonym: "N S" -> "N C"."""
        if self._groups is None:
            return cosine
        found = cosine.new_full((len(cosine), self.labels), -2.0)
        return found.scatter_reduce_(1, self._groups.expand_as(cosine), cosine, "amax")


def _groups(starts: Array, words: int) -> torch.Tensor:
    """The label of each synonym, int64 "1 S"."""
    counts = np.diff(np.append(starts, words))
    return torch.from_numpy(np.repeat(np.arange(len(starts)), counts))[None]
