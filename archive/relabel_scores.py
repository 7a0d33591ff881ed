"""Scores of words for a block of stored clips, as `stages.classify` has them for one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from archive.relabel_odds import BulkSide
from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from stages.words.contributions import BASE, sets, shapley_factors
from stages.words.labels import LabelSet
from stages.words.open_set import FUSED
from stages.words.scoring import LEAST_WEIGHT


@dataclass(frozen=True)
class Embeddings:
    """What an archive has of N clips for one modality: float16 "N D", log-sums "N", and which clips have it, "N"."""

    vectors: Array
    log_sum: Array
    present: Array


@dataclass(frozen=True)
class BlockScores:
    """Scores of N clips. M: the modalities that score. K: the best labels."""

    modalities: tuple[str, ...]
    present: Array
    """bool "M N"."""
    best: Array
    """int64 "N K": labels by number, best first."""
    probability: Array
    """float64 "N K", as all that follow."""
    share: Array
    evidence: Array
    """Probability by one modality alone, "M N K"."""
    similarity: Array
    """"M N K"."""
    weight: Array
    """"M N", as they were applied; 0 for modalities that a clip does not have."""
    base: Array
    """Log-odds "N" of a label of which every modality says that it is not there."""
    contribution: Array
    """What each modality adds to them, in log-odds, "M N K"."""
    shares_of_all: Array
    """"N C", if the labels form a hierarchy, else "N 0"."""
    unknown: Array
    """Open-set score "N"; empty if the model is not calibrated for these labels."""


class BulkScorer:
    """Scores blocks of clips against one label set."""

    def __init__(self, label_set: LabelSet, top_k: int) -> None:
        self.label_set = label_set
        self.sides = {name: BulkSide(side) for name, side in label_set.sides.items()}
        self.top_k = min(top_k, len(label_set.labels))
        share = label_set.head_share
        self._head_share = None if share is None else torch.from_numpy(np.asarray(share, np.float64))

    @property
    def block_rows(self) -> int:
        return min((side.block_rows for side in self.sides.values()), default=1024)

    def score(self, stored: Mapping[str, Embeddings], weights: Mapping[str, Array]) -> BlockScores:
        """`stored`: by modality, `fused_image` and the like included. `weights`: float "N", how far each is trusted."""
        names = tuple(name for name in MODALITIES if name in stored and name in self.sides)
        present = torch.from_numpy(np.stack([stored[name].present for name in names]))
        trust = torch.stack([torch.from_numpy(np.nan_to_num(np.array(weights[name], np.float64))) for name in names])
        trust = torch.where(present, trust, 0.0)
        compared = [self._compare(name, stored[name]) for name in names]
        alone = torch.stack([odds for _, odds in compared])
        mixed = torch.stack([self._mixed(name, odds, stored) for name, (_, odds) in zip(names, compared, strict=True)])
        pooled = pool(mixed, trust, present)
        best_odds, best = pooled.topk(self.top_k, dim=1)
        log_total = torch.logsumexp(pooled, dim=1, keepdim=True)
        in_all = best.expand(len(names), -1, -1)
        base, contribution = contributions(mixed.gather(2, in_all), trust, present)
        similarity = torch.stack([cosine for cosine, _ in compared])
        has_tree = self.label_set.hierarchy is not None
        return BlockScores(
            modalities=names,
            present=present.numpy(),
            best=best.numpy(),
            probability=torch.sigmoid(best_odds).numpy(),
            share=torch.exp(best_odds - log_total).numpy(),
            evidence=torch.sigmoid(alone.gather(2, in_all)).numpy(),
            similarity=similarity.gather(2, in_all).double().numpy(),
            weight=applied(trust, present).numpy(),
            base=base.numpy(),
            contribution=contribution.numpy(),
            shares_of_all=(torch.exp(pooled - log_total) if has_tree else pooled[:, :0]).numpy(),
            unknown=self._unknown(names, alone, mixed, trust, present, self._changed(names, stored)).numpy(),
        )

    def _compare(self, name: str, of: Embeddings) -> tuple[torch.Tensor, torch.Tensor]:
        similarity, odds = self.sides[name].compare(of.vectors, of.log_sum)
        return similarity, odds.double()

    def _mixed(self, name: str, alone: torch.Tensor, stored: Mapping[str, Embeddings]) -> torch.Tensor:
        """With the fusion head's log-odds where a clip has them, as in `stages.words.head_share.mixed`."""
        fused = stored.get(f"fused_{name}")
        if fused is None or self._head_share is None or not fused.present.any():
            return alone
        head = self._compare(name, fused)[1]
        has = torch.from_numpy(fused.present)[:, None]
        return torch.where(has, alone + self._head_share * (head - alone), alone)

    def _changed(self, names: tuple[str, ...], stored: Mapping[str, Embeddings]) -> torch.Tensor:
        """Which clips the fusion head changes, bool "N", as in `stages.words.open_set.is_changed`."""
        changed = np.zeros(len(stored[names[0]].present), bool)
        if self._head_share is not None:
            for name in (name for name in names if f"fused_{name}" in stored):
                own, fused = stored[name], stored[f"fused_{name}"]
                changed |= fused.present & own.present & np.any(fused.vectors != own.vectors, axis=1)
        return torch.from_numpy(changed)

    def _unknown(
        self,
        names: tuple[str, ...],
        alone: torch.Tensor,
        mixed: torch.Tensor,
        trust: torch.Tensor,
        present: torch.Tensor,
        changed: torch.Tensor,
    ) -> torch.Tensor:
        """How little the labels fit each clip, as in `stages.words.open_set`."""
        judge = self.label_set.open_set
        if judge is None:
            return trust.new_zeros(0)
        changed = changed & judge.knows_head
        most = trust.max(dim=0).values
        odds = torch.where(changed[:, None], mixed, alone)
        evidence = pool(odds, torch.where(most > 0, trust / most, 0.0), present)
        found = trust.new_zeros(len(most))
        kinds = torch.cat([present, changed[None]])
        for combination in np.unique(kinds.T.numpy(), axis=0):
            if not combination[:-1].any():
                continue
            rows = (kinds == torch.from_numpy(combination)[:, None]).all(dim=0)
            usual = judge.usual_of(
                frozenset(name for name, has in zip((*names, FUSED), combination, strict=True) if has)
            )
            mean, spread = (torch.from_numpy(np.asarray(of, np.float64)) for of in (usual.mean, usual.spread))
            found[rows] = -((evidence[rows] - mean) / spread).max(dim=1).values
        return found


def pool(log_odds: torch.Tensor, weights: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """`scoring.pool` for N clips at once: float64 "M N C", "M N", bool "M N" -> "N C"."""
    weights = applied(weights, present)[:, :, None]
    log_no = torch.zeros_like(log_odds[0])
    for z, weight in zip(log_odds, weights, strict=True):
        partly = torch.log1p(-weight * torch.sigmoid(z))
        log_no += (
            torch.where(weight < 1, partly, torch.nn.functional.logsigmoid(-z)) if bool((weight >= 1).any()) else partly
        )
    return torch.log(-torch.expm1(log_no)) - log_no


def applied(weights: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """`scoring.applied` for N clips at once: float64 and bool "M N" -> "M N"."""
    return torch.where((weights > 0).any(dim=0), weights, LEAST_WEIGHT * present.double())


def contributions(
    log_odds: torch.Tensor, weights: torch.Tensor, present: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """`stages.words.contributions` for N clips at once: float64 "M N K", "M N", bool "M N" -> "N", "M N K"."""
    silent = torch.full_like(log_odds, BASE)
    subsets = sets(len(log_odds))
    found = torch.zeros_like(log_odds)
    for said, factors in zip(torch.from_numpy(subsets), torch.from_numpy(shapley_factors(subsets)), strict=True):
        value = pool(torch.where(said[:, None, None], log_odds, silent), weights, present)
        found += factors[:, None, None] * value
    is_counted = (applied(weights, present) > 0)[:, :, None]
    return pool(silent[:, :, :1], weights, present)[:, 0], torch.where(is_counted, found, 0.0)
