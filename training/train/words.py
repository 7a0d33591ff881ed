"""The vectors of the base labels as a classifier."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stages.labels import LabelSet


class WordVectors:
    """Logits of the first `count` labels of a label set: cosine / temperature, in every tower's own text space."""

    def __init__(self, label_set: LabelSet, count: int) -> None:
        self._vectors = {
            name: torch.from_numpy(np.asarray(side.labels[:count], np.float32))
            for name, side in label_set.sides.items()
        }
        self._temperature = {name: side.temperature for name, side in label_set.sides.items()}

    def of(self, name: str) -> Tensor:
        """Unit vectors "C D"."""
        return self._vectors[name]

    def logits(self, name: str, embeddings: Tensor, vectors: Tensor | None = None) -> Tensor:
        """Unit "B D" -> "B C", also under autocast in float32; `vectors` stand in for the words' own."""
        words = self._vectors[name].to(embeddings.device) if vectors is None else vectors
        with torch.autocast(embeddings.device.type, enabled=False):
            return functional.linear(embeddings.float(), words.float()) / self._temperature[name]
