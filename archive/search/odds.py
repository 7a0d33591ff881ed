"""Log-odds of a label from stored vectors, and their pool, for many clips at once: as `stages.words.scoring`."""

from collections.abc import Mapping

import numpy as np
import torch

from pipeline.arrays import Array
from stages.words.capped import capped
from stages.words.label_side import LabelSide
from stages.words.scoring import LEAST_WEIGHT

SLACK = 2e-4
"""Error of a share of the stored background sum, which is kept in 32 bits."""
LEAST = 1e-7


class FastSide:
    """One label of a label side, in 32-bit floats, with the few background words that are near it.

    queries: "S+V D", the label's synonyms, then the words. is_upper: whether `bound` is an upper or a lower one.
    """

    def __init__(self, side: LabelSide, label: int, is_upper: bool) -> None:
        first, stop = _synonyms(side, label)
        kept = np.asarray(side.kept[label], np.float64)
        near = np.flatnonzero(kept < 1.0)
        self._synonyms = stop - first
        self._whole = 1.0 - SLACK if is_upper else 1.0 + SLACK
        self._temperature, self._bias = side.temperature, side.bias
        self._known = None if side.known is None else torch.tensor(float(side.known[label]))
        self._left_out = torch.from_numpy(1.0 - kept[near]).float()
        vectors = np.concatenate([side.labels[first:stop], side.background[near]])
        self.queries = torch.from_numpy(np.ascontiguousarray(vectors, np.float32))

    def bound(self, cosines: torch.Tensor, log_sum: torch.Tensor) -> torch.Tensor:
        """Log-odds "B", not below the exact ones or not above them, from cosines "S+V B" and stored log-sums "B"."""
        best = cosines[: self._synonyms].amax(0)
        words = torch.exp(cosines[self._synonyms :] / self._temperature - log_sum)
        competing = (self._whole - self._left_out @ words).clamp_min(LEAST)
        odds = best / self._temperature - log_sum - competing.log() + self._bias
        return capped(odds, self._known)


def _synonyms(side: LabelSide, label: int) -> tuple[int, int]:
    """Where the vectors of a label begin and end."""
    if side.starts is None:
        return label, label + 1
    starts = [*np.asarray(side.starts).tolist(), len(side.labels)]
    return starts[label], starts[label + 1]


def pooled_fast(probabilities: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Noisy-or of probabilities "B" with weights "B", by modality. All weights of a clip may be 0."""
    total = torch.stack(list(weights.values())).sum(0)
    least = torch.where(total > 0, 0.0, LEAST_WEIGHT)
    yes: torch.Tensor | None = None
    for name, probability in probabilities.items():
        own = (weights[name] + least) * probability
        yes = own if yes is None else yes + (1.0 - yes) * own
    assert yes is not None
    return yes


def pooled(log_odds: Mapping[str, Array], weights: Mapping[str, Array]) -> Array:
    """Log-odds "N" from those of each modality and their weights "N"; a modality that is absent has NaN log-odds.

    `scoring.pool` for many clips. Clips without any modality are NaN.
    """
    names = list(log_odds)
    odds = np.stack([np.asarray(log_odds[name], np.float64) for name in names])
    weight = np.where(np.isnan(odds), 0.0, np.stack([np.asarray(weights[name], np.float64) for name in names]))
    weight = np.where(~np.isnan(odds) & (weight.sum(0) <= 0), LEAST_WEIGHT, weight)
    log_yes, log_no = np.full(odds.shape[1], -np.inf), np.zeros(odds.shape[1])
    for z, share in zip(np.nan_to_num(odds), weight, strict=True):
        with np.errstate(divide="ignore"):
            log_share, log_rest = np.log(share), np.log1p(-share)
        one_yes = log_share - np.logaddexp(0.0, -z)
        one_no = np.logaddexp(log_rest, log_share - np.logaddexp(0.0, z))
        log_yes, log_no = np.logaddexp(log_yes, log_no + one_yes), log_no + one_no
    found: Array = np.where(np.isnan(odds).all(0), np.nan, log_yes - log_no)
    return found
