"""Trains label vectors directly: the towers are frozen, and the vector of each base label is moved.

ConES (Kan et al. 2023, arXiv 2305.14993): e_c = norm(t_c + delta_c), without the text encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.arrays import Array
from stages.words.labels import LabelSet
from training.features import Features
from training.train.evaluation import Answer
from training.train.head import Held
from training.train.plan import TrainingPlan
from training.train.words import WordVectors

PULL = "pull"


class VectorTrainee:
    """Cross-entropy over the base labels in each modality, plus the squared length of the changes."""

    def __init__(
        self, label_set: LabelSet, plan: TrainingPlan, learnt: Sequence[tuple[Features, int]], held: Held
    ) -> None:
        self._label_set, self._plan, self._held = label_set, plan, held
        self._learnt = [(known.embeddings, label) for known, label in learnt]
        self._words = WordVectors(label_set, len(held.base), plan)
        names = [name for name in label_set.sides if any(name in known for known, _ in self._learnt)]
        self.network: nn.Module = nn.ParameterDict({name: torch.zeros_like(self._words.of(name)) for name in names})
        self.branches: Mapping[str, float] = dict.fromkeys(names, 1 / len(names)) | {PULL: plan.pull}

    @property
    def items(self) -> int:
        return len(self._learnt)

    def losses(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        chosen = [self._learnt[row] for row in rows.tolist()]
        losses = {}
        for name, delta in _deltas(network).items():
            having = [(embeddings[name], label) for embeddings, label in chosen if name in embeddings]
            if having:
                given = torch.from_numpy(np.stack([vector for vector, _ in having])).to(delta.device)
                labels = torch.tensor([label for _, label in having], device=delta.device)
                losses[name] = self._words.loss(name, given, labels, self._moved(name, delta))
        return losses | {PULL: torch.stack([delta.square().sum(1).mean() for delta in _deltas(network).values()]).sum()}

    def _moved(self, name: str, delta: Tensor) -> Tensor:
        return functional.normalize(self._words.of(name).to(delta.device) + delta, dim=-1)

    @torch.no_grad()
    def label_set(self, network: nn.Module) -> LabelSet:
        """The label set with moved base labels. All other vectors are the same bit for bit."""
        sides = dict(self._label_set.sides)
        for name, delta in _deltas(network).items():
            vectors = np.array(sides[name].labels)
            vectors[: len(delta)] = self._moved(name, delta).cpu().numpy()
            sides[name] = replace(sides[name], labels=vectors)
        return replace(self._label_set, sides=sides)

    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        return self._held.evaluation.percent(self.hits(network))

    def hits(self, network: nn.Module) -> Array:
        answers = [Answer(known.embeddings, known.signals) for known in self._held.known]
        return self._held.evaluation.hits(self.label_set(network), answers)

    def frozen(self) -> Mapping[str, Tensor]:
        return {name: torch.zeros_like(delta) for name, delta in _deltas(self.network).items()}


def _deltas(network: nn.Module) -> dict[str, Tensor]:
    return dict(network.named_parameters())
