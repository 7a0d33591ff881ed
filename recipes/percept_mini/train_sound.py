"""Train the sound tower of percept-mini to reproduce YAMNet's scores.

    python -m recipes.percept_mini.train_sound --data ../shared/data                  train (1 h on one core)
    python -m recipes.percept_mini.train_sound --data ../shared/data --from-bundled   train the bundled network further
    python -m recipes.percept_mini.train_sound --data ../shared/data --read-out-only  write the concepts again
    python -m recipes.percept_mini.train_sound --data ../shared/data --evaluate       print the model card's figures

Progress goes to stderr and `recipes/runs/sound/log.txt`. Training resumes from the checkpoint in that folder, if there
is one.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from engines.networks.sound import CLASSES, ConceptSound, load_sound
from recipes.percept_mini.sound_data import PATCH, Augmenter, Recording, Teacher, applauding, as_float, recordings
from recipes.percept_mini.sound_read_out import BUNDLED, class_names, evaluate, save_tower, surprise, write_read_out

log = logging.getLogger("train_sound")


@dataclass(frozen=True)
class SoundPlan:
    """The settings that, with the data, determine the result."""

    steps: int = 4_160
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    steps_per_round: int = 160
    new_per_round: int = 2_048  # patches made between two rounds
    first_rounds: int = 4  # rounds' worth of patches made before the first step
    pool_rounds: int = 12  # rounds' worth of patches kept; the oldest are replaced first
    averaged: float = 0.998
    """Decay per step of the running mean of the weights: its window is about 500 steps."""
    seed: int = 0


FURTHER = SoundPlan(steps=1_920, learning_rate=6e-4, seed=1)
"""For training that starts from the bundled weights: a lower learning rate and other sounds."""


@dataclass
class Pool:
    """Patches and the teacher's outputs for them, row by row."""

    log_mel: Tensor  # float16 "N 96 64"
    scores: Tensor  # float16 "N 521"
    features: Tensor  # float16 "N 1024"

    @classmethod
    def empty(cls, size: int) -> Pool:
        return cls(*(torch.zeros(size, *shape, dtype=torch.float16) for shape in ((96, 64), (CLASSES,), (1_024,))))

    def put(self, row: int, outputs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        for column, value in zip((self.log_mel, self.scores, self.features), outputs, strict=True):
            column[row] = torch.from_numpy(value)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.log_mel[rows].float(), self.scores[rows].float(), self.features[rows].float()


class Supply:
    """A pool that is renewed round by round; a round always gets the same patches."""

    def __init__(self, plan: SoundPlan, augment: Augmenter, teacher: Teacher) -> None:
        self._plan, self._augment, self._teacher = plan, augment, teacher
        self._pool = Pool.empty(plan.new_per_round * plan.pool_rounds)
        self._made = 0  # rounds

    def batches(self, current: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The batches of round `current`."""
        plan = self._plan
        last = current + plan.first_rounds
        for made in range(max(self._made, last - plan.pool_rounds), last):
            self._make(made)
        self._made = last
        random = torch.Generator().manual_seed(plan.seed * 1_000_003 + current)
        size = min(last, plan.pool_rounds) * plan.new_per_round
        for _ in range(plan.steps_per_round):
            yield self._pool.take(torch.randint(size, (plan.batch,), generator=random))

    def _make(self, number: int) -> None:
        random = np.random.default_rng((self._plan.seed, number))
        first = number % self._plan.pool_rounds * self._plan.new_per_round
        for row in range(first, first + self._plan.new_per_round):
            self._pool.put(row, self._teacher(self._augment(random)))


def names_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """Cross-entropy of each name, and the divergence of their normalised scores, which the read-out averages over."""
    each = F.binary_cross_entropy_with_logits(logits, scores, reduction="none").sum(-1).mean()
    shares = (scores + 1e-7) / (scores + 1e-7).sum(-1, keepdim=True)
    return 0.3 * each + F.kl_div(F.log_softmax(F.logsigmoid(logits), -1), shares, reduction="batchmean")


def loss_of(network: ConceptSound, log_mel: Tensor, scores: Tensor, features: Tensor) -> Tensor:
    """Distance of the scores and of the features from the teacher's, whose mean squared feature is 0.15."""
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
        own = network.features(log_mel)
        logits = network.classify(own)
    return names_loss(logits.float(), scores) + F.mse_loss(own.float(), features) / 0.15


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware; otherwise float32 is faster."""
    info = Path("/proc/cpuinfo")
    return info.is_file() and "amx_bf16" in info.read_text()


def unchanged_patches(sounds: list[Recording], teacher: Teacher, seed: int) -> Pool:
    """Four unchanged patches of every recording."""
    random = np.random.default_rng(seed)
    pool = Pool.empty(4 * len(sounds))
    for number, sound in enumerate(sounds):
        samples = np.pad(as_float(sound.samples), (0, max(0, PATCH - len(sound.samples))))
        for k, start in enumerate(random.integers(0, len(samples) - PATCH + 1, 4)):
            pool.put(4 * number + k, teacher(samples[start : start + PATCH]))
    return pool


@torch.inference_mode()
def validate(network: ConceptSound, pool: Pool) -> tuple[float, str]:
    """The loss on the held-out patches, and a log line about it."""
    network.eval()
    log_mel, scores, _ = pool.take(torch.arange(len(pool.scores)))
    logits = torch.cat([network.logits(part) for part in log_mel.split(256)])
    agreed = (logits.argmax(-1) == scores.argmax(-1)).float().mean()
    network.train()
    loss = float(names_loss(logits, scores))
    return loss, f"validation loss {loss:.3f}, same first name {agreed:.3f}"


def train(data: Path, runs: Path, plan: SoundPlan, sounds: list[Recording], start: Path | None = None) -> None:
    """Train, or resume from the last checkpoint, and write the network to `runs`, still without a read-out.

    Sounds that are held out are validated on, and applause is added. The written weights are the running mean with the
    lowest held-out loss. `start` is a model directory whose network is trained further.
    """
    torch.manual_seed(plan.seed)
    teacher = Teacher(data / "weights" / "yamnet.tflite")
    sounds = [*sounds, *applauding(teacher, class_names(data))]
    learnt = [sound for sound in sounds if not sound.held_out]
    supply = Supply(plan, Augmenter(learnt), teacher)
    held_out = unchanged_patches([sound for sound in sounds if sound.held_out], teacher, seed=1)
    log.info("%d recordings, %d patches to validate on", len(sounds), len(held_out.scores))

    network = (load_sound(start).train() if start else ConceptSound()).to(memory_format=torch.channels_last)
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(plan.averaged), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, plan.steps, pct_start=0.08)
    parts = {"network": network, "mean": mean, "optimiser": optimiser, "schedule": schedule}
    checkpoint = runs / "checkpoint.pt"
    step = restore(checkpoint, parts, plan.steps)
    often = surprise(unchanged_patches(learnt, teacher, seed=2).scores.float(), class_names(data))
    averaged: ConceptSound = mean.module
    least, line = validate(averaged, held_out) if start or step else (math.inf, "from scratch")
    log.info("step %d: %s", step, line)
    if step == 0:
        save_tower(averaged, runs)

    started_s = time.monotonic()
    while step < plan.steps:
        losses = []
        for log_mel, scores, features in supply.batches(step // plan.steps_per_round):
            if step == plan.steps:
                break
            loss = loss_of(network, log_mel, scores, features)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            mean.update_parameters(network)
            losses.append(loss.item())
            step += 1
        held_out_loss, line = validate(averaged, held_out)
        taken_s, now = time.monotonic() - started_s, validate(network, held_out)[1]
        log.info("step %d of %d, %.0f s, loss %.3f, %s; now %s", step, plan.steps, taken_s, np.mean(losses), line, now)
        keep(checkpoint, parts, step, plan.steps)
        if held_out_loss < least:
            least, averaged.surprise = held_out_loss, often
            save_tower(averaged, runs)


def keep(checkpoint: Path, parts: dict[str, torch.nn.Module], step: int, steps: int) -> None:
    """Write everything that training needs to resume; a reader sees the old file or the new one."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    new = checkpoint.with_suffix(".new")
    torch.save({name: part.state_dict() for name, part in parts.items()} | {"step": step, "steps": steps}, new)
    new.replace(checkpoint)


def restore(checkpoint: Path, parts: dict[str, torch.nn.Module], steps: int) -> int:
    """Load a checkpoint into `parts` and return its step; 0 if there is none.

    Raises:
        ValueError: the checkpoint is from a training of another length, with another learning rate schedule.
    """
    if not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    if state["steps"] != steps:
        raise ValueError(
            f"{checkpoint}: from a training of {state['steps']} steps; expected {steps}. "
            f"Resume with --steps {state['steps']}, or start again with another --runs"
        )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    log.info("resuming from step %d (%s)", state["step"], checkpoint)
    return int(state["step"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.percept_mini.train_sound", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with audio/ and weights/yamnet.tflite")
    parser.add_argument(
        "--runs", type=Path, default=Path("recipes/runs/sound"), help="folder for checkpoints and the log"
    )
    parser.add_argument("--from-bundled", action="store_true", help="train the bundled weights further at a lower rate")
    parser.add_argument("--steps", type=int, default=0, help="training steps; 0 for the plan's")
    parser.add_argument("--no-speech", action="store_true", help="train without speech, if espeak-ng is not installed")
    parser.add_argument("--no-urban", action="store_true", help="train without UrbanSound8K, which is non-commercial")
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
        plan = FURTHER if options.from_bundled else SoundPlan()
        start = BUNDLED if options.from_bundled else None
        sounds = recordings(options.data, not options.no_speech, not options.no_urban)
        train(options.data, options.runs, replace(plan, steps=options.steps or plan.steps), sounds, start)
        write_read_out(options.data, options.runs)
    if options.read_out_only:
        write_read_out(options.data, BUNDLED)
    print(evaluate(options.data))


if __name__ == "__main__":
    main()
