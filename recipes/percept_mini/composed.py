"""Composed clips: an unrelated photo, motion and sound, and the words of all three.

The fusion head learns to score every word that is true of a clip. Some photos and sounds have novel words: training
uses no clip with them, and never a novel word as an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.fusion import MovFusion
from engines.networks.fusion_shape import FusionShape
from pipeline.arrays import Array
from recipes.percept_mini.composed_scores import Side, pool
from recipes.percept_mini.composed_tokens import Motions, Photos, Sounds
from recipes.percept_mini.motion_words import MOTION_WORDS
from stages.words.labels import LabelSet

NOVEL_SOUNDS = (
    *("rooster", "chainsaw", "clock tick", "sea waves", "person sneeze"),
    *("cow", "frog", "monkey", "cello", "saxophone"),
)
"""Half of ESC-10's words and a quarter of the others; training uses no clip with them."""
NOVEL_PHOTOS = 64
"""Synsets with novel words, out of 256."""
TOO_NEAR = 0.5
"""Cosine from which an AudioSet name counts as another name of a novel word."""
EXCHANGED = 0.85
"""Share of sounds whose strongest name is swapped with another, so that the head learns from 500 sounds, not 20."""
MISSING = 0.2
"""Share of clips without motion, and of clips without sound."""
LENGTHS = (1, 2, 4, 8)
"""Pictures per clip; each step draws one number."""
OTHER_WORDS = 150
"""Words drawn per step as wrong answers."""
UNSURE = 0.4
"""Cosine with a right word from which another word may be true too; it then counts as neither right nor wrong."""
MASKED = -1e4
"""Log-odds that take a word out of a cross-entropy."""
BRANCHES = {"together": 1.0, "level": 20.0, "image": 0.3, "audio": 0.3, "motion": 0.15, "stay": 2.0}
"""Weights of the losses. "together": cross-entropy of the pooled scores over the words. "level": logistic loss of each
word, which keeps the probabilities calibrated. "stay": squared distance from the frozen embeddings. Others: a branch
alone."""
CHECK_CLIPS = 600
CHECK_WORDS = 40


class Batch(NamedTuple):
    tokens: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    right: list[Tensor]
    """Rows of the true words, "B" each; -1 if the clip lacks the modality or the word is not true of it."""


@dataclass(frozen=True)
class ClipParts:
    """The parts that clips are composed of, and their words."""

    photos: Photos
    sounds: Sounds
    motions: Motions
    label_set: LabelSet
    concepts: Array
    """Concepts of the AudioSet names, "521 D", each multiplied by its surprise."""
    names: tuple[str, ...]
    """The AudioSet names."""
    kinds: Mapping[str, tuple[str, ...]]
    """The kinds that each photo's word belongs to ("golden retriever": "dog", "animal")."""
    tested: tuple[str, ...] = ()
    """Words of the photos that the head is tested on; novel, unless the training photos include them."""

    def row_of(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.label_set.labels)}


def is_novel(synset: str) -> bool:
    return hashlib.sha256(synset.encode()).digest()[0] < NOVEL_PHOTOS


def all_words(photos: Photos, sounds: Sounds, names: tuple[str, ...], tested: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Every word that a composed clip may have, and the tested words."""
    return tuple(dict.fromkeys([*photos.words, *sounds.words, *names, *MOTION_WORDS, *tested]))


class ComposedTrainee:
    """The trainee for `training.train.loop`: its items are photos; each step adds other sounds and motions to them."""

    branches: Mapping[str, float] = BRANCHES

    def __init__(self, parts: ClipParts, shape: FusionShape, seed: int) -> None:
        torch.manual_seed(seed)
        self.network: nn.Module = MovFusion(shape)
        self._sides = {name: Side(parts.label_set, name) for name in shape.dims}
        self._photos = torch.from_numpy(parts.photos.tokens)
        self._sounds = torch.from_numpy(parts.sounds.scores)
        self._motions = torch.from_numpy(parts.motions.tokens)
        self._concepts = torch.from_numpy(parts.concepts)
        row_of = parts.row_of()
        self._photo_rows = torch.tensor([row_of[word] for word in parts.photos.words])
        self._sound_rows = torch.tensor([row_of[word] for word in parts.sounds.words])
        self._name_rows = torch.tensor([row_of[name] for name in parts.names])
        self._motion_rows = torch.tensor([row_of[word] for word in MOTION_WORDS])
        self._truth = torch.from_numpy(parts.motions.truth[:, : len(MOTION_WORDS)] > 0)
        novel_photo = torch.tensor([is_novel(synset) for synset in parts.photos.synsets])
        novel_sound = torch.tensor([word in NOVEL_SOUNDS for word in parts.sounds.words])
        kept_back = torch.tensor([hashlib.sha256(file.encode()).digest()[1] < 26 for file in parts.sounds.files])
        self._learnt = (~novel_photo).nonzero()[:, 0]
        self._learnt_sounds = (~novel_sound & ~kept_back).nonzero()[:, 0]
        rows, counts = self._sound_rows[self._learnt_sounds].unique(return_counts=True)
        per_word = torch.zeros(len(row_of)).scatter(0, rows, 1 / counts)  # some words have ten times as many
        self._sound_weights = per_word[self._sound_rows[self._learnt_sounds]]
        self._virtual = _far_from_novel(parts, row_of)
        self._near = _near(parts, row_of)
        base = torch.cat([self._photo_rows[self._learnt], self._sound_rows[self._learnt_sounds]])
        virtual = self._name_rows[self._virtual]
        self._known = torch.cat([base, virtual, self._motion_rows]).unique()
        self._checks = {
            "base": self._check(self._learnt, (~novel_sound & kept_back).nonzero()[:, 0], 1),
            "novel": self._check(novel_photo.nonzero()[:, 0], novel_sound.nonzero()[:, 0], 2),
        }
        self.base_words = tuple(parts.label_set.labels[row] for row in self._known)

    @property
    def items(self) -> int:
        return len(self._learnt)

    def frozen(self) -> Mapping[str, Tensor]:
        gates = ((name, weight) for name, weight in self.network.named_parameters() if name.endswith(".gate"))
        return {name: torch.zeros_like(weight) for name, weight in gates}

    def losses(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        batch = self._compose(self._learnt[rows])
        others = self._known[torch.randint(len(self._known), (OTHER_WORDS,))]
        right = torch.stack(batch.right, 1)
        words = torch.cat([right[right >= 0], others]).unique()
        targets = (right[:, :, None] == words).any(1).float()
        unsure = (self._near[right][:, :, words] & (right >= 0)[:, :, None]).any(1) & (targets == 0)
        targets = targets / targets.sum(1, keepdim=True)
        fused = network(**batch.tokens, masks=batch.masks)
        odds = {name: self._sides[name].log_odds(vectors, words) for name, vectors in fused.items()}
        pooled = pool(odds, self._weights(batch))
        against = functional.cross_entropy(pooled.masked_fill(unsure, MASKED), targets)
        losses = {"together": against, "level": _level(pooled, targets > 0, (targets == 0) & ~unsure)}
        losses["stay"] = sum((_distance(batch, name, vectors) for name, vectors in fused.items()), torch.zeros(()))
        for name, z in odds.items():
            own = (right[:, OWN[name], None] == words).any(1).float()
            has_word = own.any(1)  # some motions have no word
            z = z.masked_fill(unsure, MASKED)
            losses[name] = functional.cross_entropy(z[has_word], own[has_word] / own[has_word].sum(1, keepdim=True))
        return losses

    def _compose(self, photos: Tensor) -> Batch:
        """Photos with sounds and motions drawn by torch's random generator."""
        count = len(photos)
        chosen = self._learnt_sounds[torch.multinomial(self._sound_weights, count, replacement=True)]
        scores, sound_rows = self._exchanged(self._sounds[chosen], self._sound_rows[chosen])
        moved = torch.randint(len(self._motions), (count,))
        heard, moving = torch.rand(count) > MISSING, torch.rand(count) > MISSING
        frames = LENGTHS[int(torch.randint(len(LENGTHS), ()))]
        shown = self._photos[photos][:, torch.arange(frames) * self._photos.shape[1] // frames]
        tokens = {"image": shown, "motion": self._motions[moved], "audio": scores @ self._concepts}
        masks = {name: torch.ones(each.shape[:2], dtype=torch.bool) for name, each in tokens.items()}
        masks["audio"] &= heard[:, None]
        masks["motion"] &= moving[:, None]
        motion_rows = torch.where(self._truth[moved] & moving[:, None], self._motion_rows, -1)
        right = [self._photo_rows[photos], torch.where(heard, sound_rows, -1), *motion_rows.T]
        return Batch(tokens, masks, right)

    def _exchanged(self, scores: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Some sounds with the scores of their strongest name and another name swapped; the other is then right."""
        scores, rows = scores.clone(), rows.clone()
        loudest = (scores.mean(1) * self._concepts.norm(dim=1)).argmax(1)
        others = self._virtual[torch.randint(len(self._virtual), (len(rows),))]
        for clip in (torch.rand(len(rows)) < EXCHANGED).nonzero()[:, 0].tolist():
            pair, swapped = [int(loudest[clip]), int(others[clip])], [int(others[clip]), int(loudest[clip])]
            scores[clip][:, pair] = scores[clip][:, swapped]
            rows[clip] = self._name_rows[others[clip]]
        return scores, rows

    def _weights(self, batch: Batch) -> dict[str, Tensor]:
        """How far to trust each modality, from the frozen towers' embeddings; 0 if it is missing."""
        with torch.no_grad():
            return {
                name: self._sides[name].weight(_mean(tokens, batch.masks[name])) * batch.masks[name].any(1)
                for name, tokens in batch.tokens.items()
            }

    # -- checks: base words with held-out sounds, and novel words ----------------------------------------------------

    def _check(self, photos: Tensor, sounds: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Pairs of a photo and a sound with different words, from a few photo words, as a user would give."""
        random = torch.Generator().manual_seed(seed)
        words = self._photo_rows[photos].unique()
        words = words[torch.randperm(len(words), generator=random)[:CHECK_WORDS]]
        photos = photos[torch.isin(self._photo_rows[photos], words)]
        a = photos[torch.randint(len(photos), (CHECK_CLIPS,), generator=random)]
        b = sounds[torch.randint(len(sounds), (CHECK_CLIPS,), generator=random)]
        differ = self._photo_rows[a] != self._sound_rows[b]
        return a[differ], b[differ]

    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        """Percent of the check clips whose photo word and sound word are the top two; base and novel words."""
        shares = {"base": 0.65, "novel": 0.35}
        return {name: 100 * self.both_right(network, name, shares[name]) for name in self._checks}

    @torch.inference_mode()
    def level(self, network: nn.Module, check: str, head_share: float) -> tuple[float, float]:
        """Mean probability of the right words and of the wrong words of a check's clips."""
        odds, right = self._answers(network, check, head_share)
        shares = odds.sigmoid()
        return float(shares[right].mean()), float(shares[~right].mean())

    @torch.inference_mode()
    def both_right(self, network: nn.Module, check: str, head_share: float) -> float:
        """Share of a check's clips whose two words are the top two; `head_share` is the weight of the head's scores."""
        odds, right = self._answers(network, check, head_share)
        first = odds.topk(2).indices
        return float(right.gather(1, first).all(1).float().mean())

    def _answers(self, network: nn.Module, check: str, head_share: float) -> tuple[Tensor, Tensor]:
        """Pooled log-odds of a check's clips and words, and whether each is right: "N C" both."""
        photos, sounds = self._checks[check]
        tokens = {"image": self._photos[photos], "audio": self._sounds[sounds] @ self._concepts}
        masks = {name: torch.ones(each.shape[:2], dtype=torch.bool) for name, each in tokens.items()}
        rows = torch.stack([self._photo_rows[photos], self._sound_rows[sounds]], 1)
        words = rows.unique()
        fused = network(**tokens, masks=masks)
        odds = {}
        for name, each in tokens.items():
            frozen = self._sides[name].log_odds(_mean(each, masks[name]), words)
            odds[name] = frozen + head_share * (self._sides[name].log_odds(fused[name], words) - frozen)
        return pool(odds, self._weights(Batch(tokens, masks, []))), (rows[:, :, None] == words).any(1)


OWN = {"image": [0], "audio": [1], "motion": list(range(2, 2 + len(MOTION_WORDS)))}
"""The entries of `Batch.right` that belong to each modality's own branch."""


def _level(odds: Tensor, is_right: Tensor, is_wrong: Tensor) -> Tensor:
    """Logistic loss of log-odds "B C"; wrong words have ten times the weight of right ones, as in calibration."""
    right = functional.binary_cross_entropy_with_logits(odds[is_right], torch.ones(()).expand(int(is_right.sum())))
    wrong = functional.binary_cross_entropy_with_logits(odds[is_wrong], torch.zeros(()).expand(int(is_wrong.sum())))
    return (right + 10 * wrong) / 11


def _near(parts: ClipParts, row_of: Mapping[str, int]) -> Tensor:
    """Whether two words may be true of the same clip: bool "C C", from their vectors and from the kinds."""
    near = torch.zeros(len(row_of), len(row_of), dtype=torch.bool)
    for name in ("image", "audio"):
        vectors = torch.as_tensor(parts.label_set.sides[name].labels, dtype=torch.float32)
        near |= vectors @ vectors.T > UNSURE
    for word, kinds in parts.kinds.items():
        for kind in kinds:
            if kind in row_of:
                near[row_of[word], row_of[kind]] = near[row_of[kind], row_of[word]] = True
    return near


def _distance(batch: Batch, name: str, fused: Tensor) -> Tensor:
    """Mean squared distance of a branch's embeddings from the frozen tower's, over clips that have the modality."""
    there = batch.masks[name].any(1)
    frozen = _mean(batch.tokens[name], batch.masks[name])
    return (fused - frozen)[there].square().sum(1).mean()


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    kept = mask[..., None]
    return functional.normalize((tokens * kept).sum(1) / kept.sum(1).clamp(min=1), dim=1)


def _far_from_novel(parts: ClipParts, row_of: Mapping[str, int]) -> Tensor:
    """Indices of the informative AudioSet names that are not close to a novel word."""
    photos = parts.photos
    learnt = {word for word, synset in zip(photos.words, photos.synsets, strict=True) if not is_novel(synset)}
    novel = [row_of[word] for word in {*NOVEL_SOUNDS, *photos.words, *parts.tested} - learnt]
    names = [row_of[name] for name in parts.names]
    is_near = np.zeros(len(names), bool)
    for side in ("image", "audio"):
        vectors = np.asarray(parts.label_set.sides[side].labels, np.float32)
        is_near |= (vectors[names] @ vectors[novel].T).max(1) >= TOO_NEAR
    is_informative = np.linalg.norm(parts.concepts, axis=1) > 0
    return torch.from_numpy(np.flatnonzero(~is_near & is_informative))
