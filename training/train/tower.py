"""Fine-tunes a tower on cached input: its embedding of a clip is classified among the vectors of the base labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engines.models.model import TowerSpec
from pipeline.arrays import Array
from stages.words.labels import LabelSet
from training.data.example import Example
from training.train.augment import changed_stream
from training.train.batch import embeddings_of
from training.train.evaluation import Answer
from training.train.head import Held
from training.train.plan import TrainingPlan
from training.train.streams import StreamCache, stream_input
from training.train.words import WordVectors


class Place(NamedTuple):
    """One clip in the cache, and the index of its base label."""

    example: Example
    clip: int
    label: int


@dataclass(frozen=True)
class TowerView:
    """The tower to train, and whether its input may be mirrored."""

    modality: str
    tower: TowerSpec
    mirror: bool


class TowerTrainee:
    """Cross-entropy over the base labels, of the mean of a clip's tokens."""

    def __init__(
        self,
        network: nn.Module,
        view: TowerView,
        label_set: LabelSet,
        plan: TrainingPlan,
        learnt: Sequence[tuple[Example, int]],
        held: tuple[Held, Sequence[Example]],
        cache: StreamCache,
    ) -> None:
        self.network = network.requires_grad_(True)
        self._view, self._label_set, self._plan, self._cache = view, label_set, plan, cache
        self._held, self._held_examples = held
        self._places = [
            Place(example, clip, label) for example, label in learnt for clip in range(cache.clips(example))
        ]
        self._words = WordVectors(label_set, len(self._held.base), plan)
        self._initial = {name: weight.detach().clone() for name, weight in network.named_parameters()}
        self.branches: Mapping[str, float] = {view.modality: 1.0}

    @property
    def items(self) -> int:
        return len(self._places)

    def losses(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        places = [self._places[row] for row in rows.tolist()]
        inputs = [stream_input(self._view.tower, self._changed(self._cache.get(p.example, p.clip))) for p in places]
        embeddings = embeddings_of(network, inputs)
        labels = torch.tensor([place.label for place in places], device=embeddings.device)
        return {self._view.modality: self._words.loss(self._view.modality, embeddings, labels)}

    def _changed(self, stream: Array) -> Array:
        if not self._plan.augment:
            return stream
        return changed_stream(self._cache.stream, stream, self._view.mirror)

    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        return self._held.evaluation.percent(self.hits(network))

    def hits(self, network: nn.Module) -> Array:
        return self._held.evaluation.hits(self._label_set, self.answers(network))

    @torch.inference_mode()
    def answers(self, network: nn.Module) -> list[Answer]:
        """The held-out clips, with this modality encoded by `network` and the others as before."""
        answers = []
        for features, example in zip(self._held.known, self._held_examples, strict=True):
            embeddings: dict[str, Array] = dict(features.embeddings)
            clips = range(self._cache.clips(example))
            if clips and self._view.modality in embeddings:
                streams = [stream_input(self._view.tower, self._cache.get(example, clip)) for clip in clips]
                made = embeddings_of(network, [np.concatenate(streams)])
                embeddings[self._view.modality] = made[0].cpu().numpy()
            answers.append(Answer(embeddings, features.signals))
        return answers

    def frozen(self) -> Mapping[str, Tensor]:
        """All initial weights, for Open-VCLIP's interpolation."""
        return self._initial
