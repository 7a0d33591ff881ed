"""The vectors of the base labels as a classifier, and its loss."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stages.words.capped import capped
from stages.words.label_side import LabelSide
from stages.words.labels import LabelSet
from training.train.plan import TrainingPlan


class WordVectors:
    """The first `count` labels of a label set, in the text space of each tower."""

    def __init__(self, label_set: LabelSet, count: int, plan: TrainingPlan) -> None:
        self._plan = plan
        self._sides = {name: _Side(side, count) for name, side in label_set.sides.items()}

    def of(self, name: str) -> Tensor:
        """The unit vectors of the labels, "C D"."""
        return self._sides[name].labels

    def loss(self, name: str, embeddings: Tensor, labels: Tensor, vectors: Tensor | None = None) -> Tensor:
        """Loss of unit embeddings "B D" with labels "B", in float32 even under autocast.

        vectors: used instead of those of the words. Cross-entropy among the labels, softmax(cosine / temperature),
        depends only on differences between logits. The logistic loss of the run's own log-odds against the background
        words is added, because probabilities depend on their level.
        """
        side = self._sides[name].to(embeddings.device)
        with torch.autocast(embeddings.device.type, enabled=False):
            given = embeddings.float()
            logits = functional.linear(given, side.labels if vectors is None else vectors.float()) / side.temperature
            among = functional.cross_entropy(logits, labels, label_smoothing=self._plan.label_smoothing)
            if not self._plan.level:
                return among
            right = functional.one_hot(labels, logits.shape[1]).to(logits)
            each = functional.binary_cross_entropy_with_logits(side.odds(given, logits), right, reduction="none")
            return among + self._plan.level * each.sum(1).mean()


class _Side:
    """One `LabelSide` as tensors."""

    def __init__(self, side: LabelSide, count: int) -> None:
        labels, background, kept = (np.asarray(part, np.float32) for part in (side.labels, side.background, side.kept))
        self.labels = torch.from_numpy(labels[:count])
        self.background, self.kept = torch.from_numpy(background), torch.from_numpy(kept[:count])
        self.temperature, self.bias = side.temperature, side.bias
        self.known = None if side.known is None else torch.from_numpy(np.asarray(side.known[:count], np.float32))

    def to(self, device: torch.device) -> "_Side":
        if self.labels.device != device:
            for name in ("labels", "background", "kept", "known"):
                setattr(self, name, None if (part := getattr(self, name)) is None else part.to(device))
        return self

    def odds(self, embeddings: Tensor, logits: Tensor) -> Tensor:
        """The log-odds of `stages.words.scoring.log_odds`, for labels with these logits "B C"."""
        others = functional.linear(embeddings, self.background) / self.temperature
        top = others.amax(1, keepdim=True)
        competing = (others - top).exp() @ self.kept.T
        return capped(logits - top - competing.clamp(min=1e-30).log() + self.bias, self.known)
