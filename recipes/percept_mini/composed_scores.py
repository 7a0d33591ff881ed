"""The product's label scores as differentiable functions on batches: `stages.words.scoring` in torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from stages.words.capped import capped
from stages.words.labels import LabelSet
from stages.words.reliability import HIGHEST, UNDECIDED


class Side:
    """One modality's label vectors and background vocabulary."""

    def __init__(self, label_set: LabelSet, name: str) -> None:
        side = label_set.sides[name]
        self._labels, self._background, self._kept = (
            torch.as_tensor(part, dtype=torch.float32) for part in (side.labels, side.background, side.kept)
        )
        self._known = None if side.known is None else torch.as_tensor(side.known, dtype=torch.float32)
        self._temperature, self._bias, self._highest = side.temperature, side.bias, HIGHEST[name]

    def log_odds(self, embeddings: Tensor, words: Tensor) -> Tensor:
        """Unit embeddings "B D", rows of words "C" -> "B C"."""
        own = embeddings @ self._labels[words].T / self._temperature
        logits = embeddings @ self._background.T / self._temperature
        top = logits.amax(1, keepdim=True)
        competing = (logits - top).exp() @ self._kept[words].T
        odds = own - top - competing.clamp_min(1e-30).log() + self._bias
        return capped(odds, None if self._known is None else self._known[words])

    def weight(self, embeddings: Tensor) -> Tensor:
        """How far to trust the modality, "B D" -> "B": less if the embedding fits all background words equally."""
        logits = embeddings @ self._background.T / self._temperature
        shares = logits.softmax(1)
        entropy = -(shares * logits.log_softmax(1)).sum(1)
        decided = 1 - entropy / math.log(logits.shape[1])
        return self._highest * (UNDECIDED + (1 - UNDECIDED) * decided)


def pool(log_odds: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Tensor:
    """Noisy-or of the modalities: log-odds "B C" and weights "B" each -> "B C". A weight of 0 removes a modality."""
    log_yes: Tensor | None = None
    log_no: Tensor | None = None
    for name, z in log_odds.items():
        weight = weights[name].clamp(1e-6, 1 - 1e-6)[:, None]
        yes = functional.logsigmoid(z) + weight.log()
        no = torch.logaddexp((-weight).log1p(), weight.log() + functional.logsigmoid(-z))
        if log_yes is None or log_no is None:
            log_yes, log_no = yes, no
        else:
            log_yes, log_no = torch.logaddexp(log_yes, log_no + yes), log_no + no
    assert log_yes is not None
    assert log_no is not None
    return log_yes - log_no
