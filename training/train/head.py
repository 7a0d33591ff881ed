"""Trains the fusion head on cached tokens: each branch is classified in its own text space (MOV)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from engines.models.model import FusionSpec, ModelSpec
from engines.networks.fusion import MovFusion, Seen, changed, pooled
from engines.networks.fusion_shape import IMAGE, MAX_TOKENS, FusionShape
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from stages.pictures import evenly
from stages.words.labels import LabelSet
from training.features import Features
from training.train.batch import padded
from training.train.evaluation import Answer, Evaluation
from training.train.plan import TrainingPlan
from training.train.words import WordVectors

MEASURED_AT_ONCE = 256
DROPOUT = 0.1
PULL = "pull"
"""Name of the loss that keeps embeddings near those of the frozen encoder, which generalise to untrained labels."""


@dataclass(frozen=True)
class Item:
    """One training clip: its tokens "N D" by modality, and the index of its base label."""

    tokens: Mapping[str, Array]
    label: int


class HeadTrainee:
    """Cross-entropy over the base labels: L = alpha CE(picture branch) + (1 - alpha) CE(branches of other modalities).

    Clips without a picture, or with nothing else, have nothing to exchange and are not trained on.
    """

    def __init__(
        self,
        spec: ModelSpec,
        label_set: LabelSet,
        plan: TrainingPlan,
        learnt: Sequence[tuple[Features, int]],
        held: "Held",
    ) -> None:
        self._label_set, self._plan, self._held = label_set, plan, held
        self._items = [Item(tokens, label) for features, label in learnt for tokens in clips_to_fuse(features)]
        if not self._items:
            raise ConfigError(
                "--what head: no clip has a picture and also motion or sound; expected videos with sound, or a model "
                f"with a motion tower ({spec.id} has {', '.join(spec.towers())})"
            )
        names = {name for item in self._items for name in item.tokens}
        self._dims = {name: spec.texts[tower.space].dim for name, tower in spec.towers().items() if name in names}
        torch.manual_seed(plan.seed)
        self.network: nn.Module = MovFusion(FusionShape(dims=self._dims, dropout=DROPOUT))
        others = len(self._dims) - 1
        self.branches: Mapping[str, float] = {
            name: plan.alpha if name == IMAGE else (1 - plan.alpha) / others for name in self._dims
        }
        self.branches = {**self.branches, PULL: plan.pull}
        self._words = WordVectors(label_set, len(held.base), plan)
        self._label_set = replace(label_set, head_share=_shares(len(held.base), len(label_set.labels)))

    @property
    def items(self) -> int:
        return len(self._items)

    def losses(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        chosen = [self._items[row] for row in rows.tolist()]
        fused, seen = self._forward(network, [item.tokens for item in chosen])
        labels = torch.tensor([item.label for item in chosen], device=fused[IMAGE].device)
        losses = {}
        for name, vectors in fused.items():
            present = _mask(seen[name]).any(1)
            losses[name] = self._words.loss(name, vectors[present], labels[present])
        changes = [(fused[name].float() - pooled(seen[name])).square().sum(1).mean() for name in fused]
        return losses | {PULL: torch.stack(changes).mean()}

    def _forward(
        self, network: nn.Module, clips: Sequence[Mapping[str, Array]]
    ) -> tuple[dict[str, Tensor], dict[str, Seen]]:
        """The head's outputs and inputs, for the modalities that any of the clips has."""
        device = next(network.parameters()).device
        seen = {}
        for name, dim in self._dims.items():
            parts = [_at_most(clip.get(name)) for clip in clips]
            if any(part is not None for part in parts):
                tokens, mask = padded(parts, dim)
                seen[name] = Seen(tokens.to(device), mask.to(device))
        masks = {name: _mask(each) for name, each in seen.items()}
        return network(**{name: each.tokens for name, each in seen.items()}, masks=masks), seen

    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        return self._held.evaluation.percent(self._held.evaluation.hits(self._label_set, self.answers(network)))

    def hits(self, network: nn.Module) -> Array:
        return self._held.evaluation.hits(self._label_set, self.answers(network))

    @torch.inference_mode()
    def answers(self, network: nn.Module) -> list[Answer]:
        """The held-out files. The mean of the head's changes over a file's clips is added to the file's embedding."""
        changes: dict[str, list[list[Tensor]]] = {name: [[] for _ in self._held.known] for name in self._dims}
        clips = [(number, tokens) for number, known in enumerate(self._held.known) for tokens in clips_to_fuse(known)]
        for begin in range(0, len(clips), MEASURED_AT_ONCE):
            part = clips[begin : begin + MEASURED_AT_ONCE]
            for name, rows in self._changes(network, [tokens for _, tokens in part]).items():
                for (number, tokens), row in zip(part, rows, strict=True):
                    if name in tokens:
                        changes[name][number].append(row)
        return [
            Answer(known.embeddings, known.signals, _fused(known, {name: of[number] for name, of in changes.items()}))
            for number, known in enumerate(self._held.known)
        ]

    def _changes(self, network: nn.Module, clips: Sequence[Mapping[str, Array]]) -> dict[str, Tensor]:
        """The head's change of each clip's embedding, "B D" by modality; exactly zero if its gates are zero."""
        fused, seen = self._forward(network, clips)
        return {name: (vectors - pooled(seen[name])).cpu() for name, vectors in fused.items()}

    def frozen(self) -> Mapping[str, Tensor]:
        """Gates of zero, with which the head is the frozen encoder."""
        return {
            name: torch.zeros_like(weight) for name, weight in self.network.named_parameters() if name.endswith(".gate")
        }


@dataclass(frozen=True)
class Held:
    """The held-out clips: their features by the frozen encoder, and their evaluation."""

    base: tuple[str, ...]
    known: tuple[Features, ...]
    evaluation: Evaluation


def clips_to_fuse(features: Features) -> list[Mapping[str, Array]]:
    """The tokens of each clip that has a picture and another modality."""
    each = [clip.tokens for clip in features.by_clip()]
    return [tokens for tokens in each if IMAGE in tokens and len(tokens) > 1]


def _fused(known: Features, changes: Mapping[str, Sequence[Tensor]]) -> dict[str, Array]:
    fused = {}
    for name, rows in changes.items():
        if rows:
            embedding = torch.from_numpy(known.embeddings[name])[None]
            heard = sum(name in clip.counts for clip in known.clips)
            fused[name] = changed(embedding, [torch.stack(list(rows)).sum(0, keepdim=True) / heard])[0].numpy()
    return fused


def _mask(seen: Seen) -> Tensor:
    assert seen.mask is not None
    return seen.mask


def _at_most(tokens: Array | None) -> Array | None:
    return None if tokens is None else tokens[evenly(MAX_TOKENS, len(tokens))]


def _shares(base: int, labels: int) -> Array:
    """The weight of the head in the score of each label. Base labels come first."""
    usual = FusionSpec()
    shares = np.full(labels, usual.novel_share)
    shares[:base] = usual.base_share
    return shares
