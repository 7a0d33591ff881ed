"""The vectors of the base labels as a classifier, and how wrong its answers are."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stages.words.label_side import LabelSide
from stages.words.labels import LabelSet
from training.train.plan import TrainingPlan


class WordVectors:
    """The first `count` labels of a label set, in every tower's own text space."""

    def __init__(self, label_set: LabelSet, count: int, plan: TrainingPlan) -> None:
        self._plan = plan
        self._sides = {name: _Side(side, count) for name, side in label_set.sides.items()}

    def of(self, name: str) -> Tensor:
        """Unit vectors "C D"."""
        return self._sides[name].labels

    def loss(self, name: str, embeddings: Tensor, labels: Tensor, vectors: Tensor | None = None) -> Tensor:
        """Of unit embeddings "B D" with labels "B"; in float32 also under autocast. `vectors` stand in for the words'.

        Cross-entropy among the labels, softmax(cosine / temperature), sees only differences. So that the level stays
        what probabilities are made of, the product's own log-odds against the background words have a part in it.
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

    def to(self, device: torch.device) -> "_Side":
        if self.labels.device != device:
            for name in ("labels", "background", "kept"):
                setattr(self, name, getattr(self, name).to(device))
        return self

    def odds(self, embeddings: Tensor, logits: Tensor) -> Tensor:
        """`stages.words.scoring.log_odds` of labels with these logits "B C"."""
        others = functional.linear(embeddings, self.background) / self.temperature
        top = others.amax(1, keepdim=True)
        competing = (others - top).exp() @ self.kept.T
        return logits - top - competing.clamp(min=1e-30).log() + self.bias
