"""Composed clips: a photo, a motion and a sound that have nothing to do with each other, and the words of all three.

The fusion head learns to tell all words that are true of a clip. Some photos' and sounds' words are novel: no clip
with them is learnt from, and their words are never answers.
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
from recipes.percept_mini.motion_words import WORDS as MOTION_WORDS
from stages.words.labels import LabelSet

NOVEL_SOUNDS = (
    *("rooster", "chainsaw", "clock tick", "sea waves", "person sneeze"),
    *("cow", "frog", "monkey", "cello", "saxophone"),
)
"""Half of ESC-10's words and half of the rest: no clip with them is learnt from."""
NOVEL_PHOTOS = 64
"""Of 256: synsets whose words are novel."""
TOO_NEAR = 0.5
"""Cosine at which an AudioSet name is taken for another name of a novel sound."""
EXCHANGED = 0.85
"""Share of sounds whose clearest name is exchanged for another, so that the head learns of 500 sounds and not of 20."""
MISSING = 0.2
"""Share of clips without motion, and of clips without sound."""
LENGTHS = (1, 2, 4, 8)
"""Pictures of a clip; one number per step."""
OTHER_WORDS = 150
"""Wrong answers per step."""
UNSURE = 0.4
"""Cosine from which a word may be true of a clip beside the right one; then it is neither asked for nor wrong."""
UNASKED = -1e4
BRANCHES = {"together": 1.0, "level": 20.0, "image": 0.3, "audio": 0.3, "motion": 0.15, "stay": 2.0}
"""Weights of the losses: of the pooled answer against other words, and for itself, so that a probability stays one; of
each branch alone; and of the squared distance from what the frozen towers say."""
CHECK_CLIPS = 600
CHECK_WORDS = 40


class Batch(NamedTuple):
    tokens: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    right: list[Tensor]
    """Rows of the true words, "B" each; -1 where a clip lacks the modality or nothing more is true."""


@dataclass(frozen=True)
class ClipParts:
    """Everything that clips are composed of, and the words it is told by."""

    photos: Photos
    sounds: Sounds
    motions: Motions
    label_set: LabelSet
    concepts: Array
    """Of the AudioSet names, "521 D", each times its surprise."""
    names: tuple[str, ...]
    """The AudioSet names."""
    kinds: Mapping[str, tuple[str, ...]]
    """What the thing of a photo's word is a kind of: ("golden retriever": "dog", "animal")."""
    tested: tuple[str, ...] = ()
    """Words of photos that the head is tested on; novel, unless another collection has photos of them."""

    def row_of(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.label_set.labels)}


def is_novel(synset: str) -> bool:
    return hashlib.sha256(synset.encode()).digest()[0] < NOVEL_PHOTOS


def all_words(photos: Photos, sounds: Sounds, names: tuple[str, ...], tested: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Every word that a composed clip may have, and those that are tested."""
    return tuple(dict.fromkeys([*photos.words, *sounds.words, *names, *MOTION_WORDS, *tested]))


class ComposedTrainee:
    """What `training.train.loop` trains: items are photos, and each step gives them other sounds and motions."""

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
        self._truth = torch.from_numpy(parts.motions.truth > 0)
        novel_photo = torch.tensor([is_novel(synset) for synset in parts.photos.synsets])
        novel_sound = torch.tensor([word in NOVEL_SOUNDS for word in parts.sounds.words])
        kept_back = torch.tensor([hashlib.sha256(file.encode()).digest()[1] < 26 for file in parts.sounds.files])
        self._learnt = (~novel_photo).nonzero()[:, 0]
        self._learnt_sounds = (~novel_sound & ~kept_back).nonzero()[:, 0]
        rows, counts = self._sound_rows[self._learnt_sounds].unique(return_counts=True)
        per_word = torch.zeros(len(row_of)).scatter(0, rows, 1 / counts)  # of some there are ten times as many
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
        against = functional.cross_entropy(pooled.masked_fill(unsure, UNASKED), targets)
        losses = {"together": against, "level": _level(pooled, targets > 0, (targets == 0) & ~unsure)}
        losses["stay"] = sum((_distance(batch, name, vectors) for name, vectors in fused.items()), torch.zeros(()))
        for name, z in odds.items():
            own = (right[:, OWN[name], None] == words).any(1).float()
            asked = own.any(1)  # not all motions have a word
            z = z.masked_fill(unsure, UNASKED)
            losses[name] = functional.cross_entropy(z[asked], own[asked] / own[asked].sum(1, keepdim=True))
        return losses

    def _compose(self, photos: Tensor) -> Batch:
        """Photos with sounds and motions drawn from torch's generator."""
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
        """Some sounds with the name that is heard clearest exchanged for another name, which then is right."""
        scores, rows = scores.clone(), rows.clone()
        loudest = (scores.mean(1) * self._concepts.norm(dim=1)).argmax(1)
        others = self._virtual[torch.randint(len(self._virtual), (len(rows),))]
        for clip in (torch.rand(len(rows)) < EXCHANGED).nonzero()[:, 0].tolist():
            pair, swapped = [int(loudest[clip]), int(others[clip])], [int(others[clip]), int(loudest[clip])]
            scores[clip][:, pair] = scores[clip][:, swapped]
            rows[clip] = self._name_rows[others[clip]]
        return scores, rows

    def _weights(self, batch: Batch) -> dict[str, Tensor]:
        """How far each modality is believed, from what the frozen towers say; 0 where it is missing."""
        with torch.no_grad():
            return {
                name: self._sides[name].weight(_mean(tokens, batch.masks[name])) * batch.masks[name].any(1)
                for name, tokens in batch.tokens.items()
            }

    # -- the check, on photos and sounds that are not learnt from, or on words that are not -------------------------

    def _check(self, photos: Tensor, sounds: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Pairs of photo and sound with words of their own, of few photo words, as a user would give."""
        random = torch.Generator().manual_seed(seed)
        words = self._photo_rows[photos].unique()
        words = words[torch.randperm(len(words), generator=random)[:CHECK_WORDS]]
        photos = photos[torch.isin(self._photo_rows[photos], words)]
        a = photos[torch.randint(len(photos), (CHECK_CLIPS,), generator=random)]
        b = sounds[torch.randint(len(sounds), (CHECK_CLIPS,), generator=random)]
        differ = self._photo_rows[a] != self._sound_rows[b]
        return a[differ], b[differ]

    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        """Percent of the clips of which photo word and sound word are the first two; base and novel words."""
        shares = {"base": 0.65, "novel": 0.35}
        return {name: 100 * self.both_right(network, name, shares[name]) for name in self._checks}

    @torch.inference_mode()
    def level(self, network: nn.Module, check: str, head_share: float) -> tuple[float, float]:
        """Mean probability of the right words of a check's clips, and of the wrong ones."""
        odds, right = self._answers(network, check, head_share)
        shares = odds.sigmoid()
        return float(shares[right].mean()), float(shares[~right].mean())

    @torch.inference_mode()
    def both_right(self, network: nn.Module, check: str, head_share: float) -> float:
        """Share of a check's clips of which both words come first, with the head's share in the scores."""
        odds, right = self._answers(network, check, head_share)
        first = odds.topk(2).indices
        return float(right.gather(1, first).all(1).float().mean())

    def _answers(self, network: nn.Module, check: str, head_share: float) -> tuple[Tensor, Tensor]:
        """Pooled log-odds of a check's clips and words, and which are right: "N C" both."""
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
"""Which of a batch's right words a modality's own branch is asked for."""


def _level(odds: Tensor, is_right: Tensor, is_wrong: Tensor) -> Tensor:
    """Logistic loss of log-odds "B C", ten wrong words counting for each right one, as temperatures are fitted."""
    right = functional.binary_cross_entropy_with_logits(odds[is_right], torch.ones(()).expand(int(is_right.sum())))
    wrong = functional.binary_cross_entropy_with_logits(odds[is_wrong], torch.zeros(()).expand(int(is_wrong.sum())))
    return (right + 10 * wrong) / 11


def _near(parts: ClipParts, row_of: Mapping[str, int]) -> Tensor:
    """Which words may be true beside which: bool "C C", by their vectors, and by what is a kind of what."""
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
    """Mean squared distance of a branch's embeddings from the frozen tower's, where there is something to see."""
    there = batch.masks[name].any(1)
    frozen = _mean(batch.tokens[name], batch.masks[name])
    return (fused - frozen)[there].square().sum(1).mean()


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    kept = mask[..., None]
    return functional.normalize((tokens * kept).sum(1) / kept.sum(1).clamp(min=1), dim=1)


def _far_from_novel(parts: ClipParts, row_of: Mapping[str, int]) -> Tensor:
    """AudioSet names that say something and are no other name of a novel word: indices into the names."""
    photos = parts.photos
    learnt = {word for word, synset in zip(photos.words, photos.synsets, strict=True) if not is_novel(synset)}
    novel = [row_of[word] for word in {*NOVEL_SOUNDS, *photos.words, *parts.tested} - learnt]
    names = [row_of[name] for name in parts.names]
    is_near = np.zeros(len(names), bool)
    for side in ("image", "audio"):
        vectors = np.asarray(parts.label_set.sides[side].labels, np.float32)
        is_near |= (vectors[names] @ vectors[novel].T).max(1) >= TOO_NEAR
    says_something = np.linalg.norm(parts.concepts, axis=1) > 0
    return torch.from_numpy(np.flatnonzero(~is_near & says_something))
