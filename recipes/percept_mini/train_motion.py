"""Train the motion tower of percept-mini on animated real photos.

    python -m recipes.percept_mini.train_motion --data ../shared/data                  make clips and train (1 h)
    python -m recipes.percept_mini.train_motion --data ../shared/data --read-out-only  write the concepts again
    python -m recipes.percept_mini.train_motion --data ../shared/data --evaluate       print the model card's figures

Then `recipes.percept_mini.train_people` teaches it what people do. Progress goes to stderr and
`recipes/runs/motion/log.txt`. Training resumes from the checkpoint in that folder, if there is one.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.networks.motion import PICTURES, ConceptMotion
from pipeline.arrays import Array
from recipes.percept_mini.motion_data import RUNS, load, make, splits
from recipes.percept_mini.motion_read_out import as_input, save_tower, scores, write_read_out
from recipes.percept_mini.motion_words import (
    BACKWARDS,
    BUNDLED,
    KIND_WORDS,
    MIRRORED,
    MOTION_WORDS,
    TURNED,
    UPSIDE_DOWN,
    exchanged,
)
from recipes.percept_mini.train_sound import keep, restore

log = logging.getLogger("train_motion")
Clips = tuple[Array, Array, Array]


@dataclass(frozen=True)
class MotionPlan:
    """The settings that, with the data, determine the result."""

    clips: int = 7_000
    steps: int = 1_400
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    steps_per_round: int = 100
    seed: int = 0


def augmented(pictures: Tensor, truth: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch mirrored, transposed and reversed in random ways that map words to words, and with random gaps.

    Pictures "B T 3 S S" in [-1, 1], truth "B W". Except for the gaps, all clips of a batch are changed the same way.
    """
    yes = (torch.rand(4, generator=random) < 0.5).tolist()
    if yes[0]:
        pictures, truth = _turned_sign(pictures.flip(-1), (0,)), truth[:, exchanged(MIRRORED)]
    if yes[1]:
        pictures, truth = _turned_sign(pictures.flip(-2), (1,)), truth[:, exchanged(UPSIDE_DOWN)]
    if yes[2]:
        pictures, truth = pictures.transpose(-1, -2)[:, :, [1, 0, 2]], truth[:, exchanged(TURNED)]
    if yes[3]:
        pictures, truth = _turned_sign(pictures.flip(1), (0, 1)), truth[:, exchanged(BACKWARDS)]
    return _with_gaps(pictures.clone(), random), truth


def _turned_sign(pictures: Tensor, channels: tuple[int, ...]) -> Tensor:
    sign = torch.ones(3)
    sign[list(channels)] = -1
    return pictures * sign[:, None, None]


def _with_gaps(pictures: Tensor, random: torch.Generator) -> Tensor:
    """In place: one clip in ten gets a scene cut with unknown motion, and one in ten gets few pairs, repeated."""
    for clip, chance in zip(pictures, torch.rand(len(pictures), generator=random).tolist(), strict=True):
        if chance < 0.1:
            clip[int(torch.randint(PICTURES, (), generator=random))] = torch.tensor([0.0, 0.0, -1.0])[:, None, None]
        elif chance < 0.2:
            few = int(torch.randint(1, PICTURES, (), generator=random))
            clip[:] = clip[(torch.arange(PICTURES) * few // PICTURES)]
    return pictures


def loss_of(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of the words that are true or false, summed per clip; truth "B W", -1 for undecided."""
    known = truth >= 0
    each = F.binary_cross_entropy_with_logits(logits, truth.clamp(min=0).float(), reduction="none")
    return (each * known).sum(1).mean()


def first_right(found: Tensor, truth: Array) -> Array:
    """Whether the top word of the kinds of motion is true: bool, one per clip for which one of them is true."""
    kinds = len(KIND_WORDS)
    has_word = (truth[:, :kinds] == 1).any(1)
    best = found[:, :kinds].argmax(1).numpy()
    right: Array = (truth[np.arange(len(truth)), best] == 1)[has_word]
    return right


def train(data: Path, runs: Path, plan: MotionPlan) -> None:
    """Make the missing clips, then `fit` the network to them."""
    for name, (maker, count) in splits(data, plan.clips).items():
        make(runs, name, maker, count)
    fit(load(runs, "train"), load(runs, "check"), runs, plan)


def fit(clips: Clips, checked: Clips, runs: Path, plan: MotionPlan) -> None:
    """Train, or resume from the last checkpoint, and write the network to `runs`, still without a read-out.

    clips and checked: pictures uint8 "N T 3 S S", truth int8 "N W", speeds "N".
    """
    torch.manual_seed(plan.seed)
    pictures, truth, _ = clips
    log.info("%d clips, %d to check on", len(pictures), len(checked[0]))
    network = ConceptMotion(actions=0)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, plan.steps, pct_start=0.1)
    parts: dict[str, Any] = {"network": network, "optimiser": optimiser, "schedule": schedule}
    step, started_s, losses = restore(runs / "checkpoint.pt", parts, plan.steps), time.monotonic(), []
    while step < plan.steps:
        random = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
        rows = torch.randint(len(pictures), (plan.batch,), generator=random).numpy()
        seen, right = augmented(as_input(pictures[rows]), torch.from_numpy(truth[rows]), random)
        loss = loss_of(network.logits(seen), right[:, : len(MOTION_WORDS)])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        step += 1
        if step % plan.steps_per_round == 0 or step == plan.steps:
            spent_s = time.monotonic() - started_s
            log.info(
                "step %d of %d, %.0f s, loss %.3f, %s",
                step,
                plan.steps,
                spent_s,
                np.mean(losses),
                check(network, checked),
            )
            losses.clear()
            keep(runs / "checkpoint.pt", parts, step, plan.steps)
            save_tower(network, runs)


def check(network: ConceptMotion, clips: Clips) -> str:
    network.eval()
    found = scores(network, clips[0])
    network.train()
    loss = loss_of(found.logit(1e-6), torch.from_numpy(clips[1][:, : len(MOTION_WORDS)]))
    return f"check loss {loss:.3f}, first word right {first_right(found, clips[1]).mean():.1%}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.percept_mini.train_motion", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with images/")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder for clips, checkpoints and the log")
    parser.add_argument("--clips", type=int, default=MotionPlan.clips, help="training clips (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=MotionPlan.steps, help="training steps (default: %(default)s)")
    parser.add_argument("--read-out-only", action="store_true", help="only write the text tower's concept vectors")
    parser.add_argument("--evaluate", action="store_true", help="only print the figures")
    options = parser.parse_args(arguments)
    options.runs.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(sys.stderr), logging.FileHandler(options.runs / "log.txt")],
    )
    if not (options.read_out_only or options.evaluate):
        train(options.data, options.runs, MotionPlan(clips=options.clips, steps=options.steps))
        write_read_out(options.runs)
    if options.read_out_only:
        write_read_out(BUNDLED)
    from recipes.percept_mini.motion_figures import evaluate

    print(evaluate(options.data, options.runs))


if __name__ == "__main__":
    main()
