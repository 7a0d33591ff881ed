"""The fusion head, trained on cached tokens: both branches tell the label, each in its own text space (MOV)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.model import FusionSpec, ModelSpec
from engines.networks.fusion import MovFusion
from engines.networks.fusion_shape import IMAGE, MAX_TOKENS, FusionShape
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from stages.labels import LabelSet
from stages.pictures import spread
from training.features import Features
from training.train.batch import grouped_means, padded
from training.train.exam import Answer, Exam
from training.train.plan import Plan
from training.train.words import WordVectors

MEASURED_AT_ONCE = 256
DROPOUT = 0.1


@dataclass(frozen=True)
class Item:
    """One clip to learn from: its tokens "N D" by modality, and which base label it has."""

    tokens: Mapping[str, Array]
    label: int


class HeadTrainee:
    """Cross-entropy over the base labels, L = alpha CE(picture) + (1 - alpha) CE(what looked at the picture).

    Clips that lack the picture, or everything beside it, have nothing to exchange and are not learnt from.
    """

    def __init__(
        self, spec: ModelSpec, label_set: LabelSet, plan: Plan, learnt: Sequence[tuple[Features, int]], held: "Held"
    ) -> None:
        self._label_set, self._plan, self._held = label_set, plan, held
        self._items = [Item(tokens, label) for features, label in learnt for tokens in clips_to_fuse(features)]
        if not self._items:
            raise ConfigError(
                "--what head: no clip has a picture and motion or sound beside it; expected videos with sound, or a "
                f"model with a motion tower ({spec.id} has {', '.join(spec.towers())})"
            )
        names = {name for item in self._items for name in item.tokens}
        self._dims = {name: spec.texts[tower.space].dim for name, tower in spec.towers().items() if name in names}
        torch.manual_seed(plan.seed)
        self.network: nn.Module = MovFusion(FusionShape(dims=self._dims, dropout=DROPOUT))
        others = len(self._dims) - 1
        self.branches: Mapping[str, float] = {
            name: plan.alpha if name == IMAGE else (1 - plan.alpha) / others for name in self._dims
        }
        self._words = WordVectors(label_set, len(held.base))
        self._label_set = replace(label_set, head_share=_shares(len(held.base), len(label_set.labels)))

    @property
    def items(self) -> int:
        return len(self._items)

    def losses(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        chosen = [self._items[row] for row in rows.tolist()]
        device = next(network.parameters()).device
        fused, masks = self._forward(network, [item.tokens for item in chosen], device)
        labels = torch.tensor([item.label for item in chosen], device=device)
        losses = {}
        for name, vectors in fused.items():
            there = masks[name].any(1)
            if bool(there.any()):
                logits = self._words.logits(name, vectors[there])
                losses[name] = functional.cross_entropy(
                    logits, labels[there], label_smoothing=self._plan.label_smoothing
                )
        return losses

    def _forward(
        self, network: nn.Module, clips: Sequence[Mapping[str, Array]], device: torch.device
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        tokens, masks = {}, {}
        for name, dim in self._dims.items():
            parts = [_at_most(clip.get(name)) for clip in clips]
            if any(part is not None for part in parts):
                made, mask = padded(parts, dim)
                tokens[name], masks[name] = made.to(device), mask.to(device)
        return network(**tokens, masks=masks), masks

    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        return self._held.exam.percent(self._held.exam.hits(self._label_set, self.answers(network)))

    def hits(self, network: nn.Module) -> Array:
        return self._held.exam.hits(self._label_set, self.answers(network))

    @torch.inference_mode()
    def answers(self, network: nn.Module) -> list[Answer]:
        """Of a file with several clips, the mean of what the head made of each."""
        clips = [(number, tokens) for number, known in enumerate(self._held.known) for tokens in clips_to_fuse(known)]
        device = next(network.parameters()).device
        found: dict[str, list[tuple[int, Tensor]]] = {}
        for begin in range(0, len(clips), MEASURED_AT_ONCE):
            part = clips[begin : begin + MEASURED_AT_ONCE]
            fused, masks = self._forward(network, [tokens for _, tokens in part], device)
            for name, vectors in fused.items():
                there = masks[name].any(1).tolist()
                found.setdefault(name, []).extend(
                    (number, vector)
                    for (number, _), vector, is_there in zip(part, vectors, there, strict=True)
                    if is_there
                )
        fused_of: list[dict[str, Array]] = [{} for _ in self._held.known]
        for name, pairs in found.items():
            groups = torch.tensor([number for number, _ in pairs])
            means = grouped_means(torch.stack([vector for _, vector in pairs]).cpu(), groups, len(fused_of))
            for number in set(groups.tolist()):
                fused_of[number][name] = means[number].numpy()
        return [Answer(k.embeddings, k.signals, fused) for k, fused in zip(self._held.known, fused_of, strict=True)]

    def frozen(self) -> Mapping[str, Tensor]:
        """The gates: a head whose gates are zero is the frozen encoder."""
        return {
            name: torch.zeros_like(weight) for name, weight in self.network.named_parameters() if name.endswith(".gate")
        }


@dataclass(frozen=True)
class Held:
    """The held-out clips: what the encoder made of them, and how they are examined."""

    base: tuple[str, ...]
    known: tuple[Features, ...]
    exam: Exam


def clips_to_fuse(features: Features) -> list[Mapping[str, Array]]:
    """The tokens of each clip that has a picture and something beside it."""
    each = [clip.tokens for clip in features.by_clip()]
    return [tokens for tokens in each if IMAGE in tokens and len(tokens) > 1]


def _at_most(tokens: Array | None) -> Array | None:
    return None if tokens is None else tokens[spread(MAX_TOKENS, len(tokens))]


def _shares(base: int, labels: int) -> Array:
    """How much the head counts for each label: base labels come first."""
    usual = FusionSpec()
    shares = np.full(labels, usual.novel_share)
    shares[:base] = usual.base_share
    return shares
