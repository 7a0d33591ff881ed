"""A head trained on toy clips beats the frozen towers alone, and is not worse on classes not seen in training."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engines.networks.fusion import MovFusion
from engines.networks.fusion_shape import FusionShape
from pipeline.arrays import Array
from stages.classify import score_all
from stages.encode import pool
from stages.words import scoring
from stages.words.labels import LabelSet, LabelSide

DIM = 32
BASE, NOVEL, BACKGROUND = 60, 20, 40
TEMPERATURE = 0.1
CLEAR = {"image": {"contrast": 0.2, "corrupt_share": 0.0}, "motion": {"energy": 0.5}, "audio": {"loudness_dbfs": -20.0}}


class Toys(NamedTuple):
    """Clips of known classes "N": image tokens "N 8 D", motion "N 5 D" and sound "N 3 D", and their masks."""

    tokens: dict[str, Tensor]
    masks: dict[str, Tensor]
    classes: Tensor

    def clip(self, number: int) -> dict[str, Tensor]:
        """Tokens "1 n D" of one clip, without padding and without the modalities that it lacks."""
        real = {name: each[number][self.masks[name][number]][None] for name, each in self.tokens.items()}
        return {name: each for name, each in real.items() if each.shape[1]}


class World(NamedTuple):
    """Toy towers: tokens are a class's word vector plus noise, for motion and sound also under an unknown rotation.

    So the frozen picture is often right and the others contribute little, until a head has learnt the rotations.
    """

    words: Tensor
    turns: dict[str, Tensor]

    def clips(self, classes: Tensor, seed: int) -> Toys:
        own = torch.Generator().manual_seed(seed)
        tokens, masks = {}, {}
        for name, count, noise in (("image", 8, 1.0), ("motion", 5, 0.5), ("audio", 3, 0.5)):
            clean = self.words[classes] @ self.turns[name]
            # noise per clip, which averaging over its tokens does not remove, and noise per token
            clip = noise * torch.randn(len(classes), 1, DIM, generator=own) / DIM**0.5 * 2
            each = 0.3 * torch.randn(len(classes), count, DIM, generator=own) / DIM**0.5
            tokens[name] = 3 * (clean[:, None] + clip + each)
            lengths = torch.randint(1 if name == "image" else 0, count + 1, (len(classes), 1), generator=own)
            masks[name] = torch.arange(count) < lengths
        return Toys(tokens, masks, classes)


def make_world() -> World:
    own = torch.Generator().manual_seed(0)
    words = functional.normalize(torch.randn(BASE + NOVEL + BACKGROUND, DIM, generator=own), dim=-1)
    turns = {"image": torch.eye(DIM)}
    for name in ("motion", "audio"):
        turns[name] = torch.linalg.qr(torch.randn(DIM, DIM, generator=own))[0]
    return World(words, turns)


def trained(world: World, steps: int = 200) -> MovFusion:
    """A head trained with the cross-entropy of every modality over the base words."""
    torch.manual_seed(0)
    head = MovFusion(FusionShape(dims={"image": DIM, "motion": DIM, "audio": DIM}, width=32, hidden=64, dropout=0.1))
    optimiser = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.05)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    own = torch.Generator().manual_seed(1)
    for step in range(steps):
        batch = world.clips(torch.randint(BASE, (96,), generator=own), seed=1000 + step)
        fused = head.train()(**batch.tokens, masks=batch.masks)
        losses = []
        for name, each in fused.items():
            is_there = batch.masks[name].any(1)
            logits = each[is_there] @ world.words[:BASE].T / TEMPERATURE
            losses.append(functional.cross_entropy(logits, batch.classes[is_there]))
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()
        optimiser.step()
        plan.step()
    return head.requires_grad_(False).eval()


def label_set(world: World, classes: range, share: float | None) -> LabelSet:
    words, background = (part.numpy().astype(np.float64) for part in (world.words[classes], world.words[-BACKGROUND:]))
    side = LabelSide(words, background, scoring.competing(words, background).astype(np.float64), TEMPERATURE, 0.0)
    shares: Array | None = None if share is None else np.full(len(classes), share)
    names = tuple(f"word {number}" for number in classes)
    return LabelSet(names, dict.fromkeys(("image", "motion", "audio"), side), (), shares)


def right(world: World, head: MovFusion, classes: range, share: float, count: int = 300) -> dict[str, float]:
    """Share of clips whose best label is right: by the picture, by all frozen towers, and with the head."""
    own = torch.Generator().manual_seed(2)
    toys = world.clips(torch.randint(classes.start, classes.stop, (count,), generator=own), seed=3)
    frozen, mixed = label_set(world, classes, None), label_set(world, classes, share)
    hits = {"picture": 0, "frozen": 0, "fused": 0}
    for number, truth in enumerate((toys.classes - classes.start).tolist()):
        tokens = toys.clip(number)
        embeddings = {name: pool(each[0].numpy()) for name, each in tokens.items()}
        fused = {name: each[0].numpy() for name, each in head(**tokens).items()}
        picture = {"image": embeddings["image"]}
        hits["picture"] += int(score_all(frozen, picture, CLEAR).pooled.argmax() == truth)
        hits["frozen"] += int(score_all(frozen, embeddings, CLEAR).pooled.argmax() == truth)
        hits["fused"] += int(score_all(mixed, embeddings, CLEAR, fused).pooled.argmax() == truth)
    return {name: hit / count for name, hit in hits.items()}


@pytest.mark.minutes
def test_a_trained_head_beats_the_frozen_towers_and_is_no_worse_on_novel_classes() -> None:
    torch.set_num_threads(1)
    world = make_world()
    head = trained(world)
    base = right(world, head, range(BASE), 0.65)
    novel = right(world, head, range(BASE, BASE + NOVEL), 0.35)
    print(base, novel, head.gates())
    assert base["fused"] > max(base["frozen"], base["picture"]) + 0.1
    assert novel["fused"] >= max(novel["frozen"], novel["picture"])
    assert all(abs(gate) > 0.01 for gates in head.gates().values() for gate in gates)
