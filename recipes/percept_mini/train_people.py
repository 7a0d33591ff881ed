"""Teach the motion tower what people do, from films of figures; what it knows of cameras and things stays as it is.

    python -m recipes.percept_mini.train_people --data ../shared/data

After `train_motion`. Clips take 20 minutes of two cores, once; training takes a minute, because the convolutions on
pictures are not trained again: only those along time are (`engines.networks.motion.AlongTime`), from those for motions.
The steps were chosen on the split "people-check".
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engines.networks.motion import AlongTime, ConceptMotion, load_motion
from pipeline.arrays import Array
from recipes.percept_mini.figure_data import people_splits
from recipes.percept_mini.motion_data import RUNS, load, make, splits
from recipes.percept_mini.motion_read_out import as_input, save_tower, tower_concepts
from recipes.percept_mini.motion_words import ACTION_WORDS, BUNDLED, MOTION_WORDS, TOWER_WORDS
from recipes.percept_mini.train_motion import MotionPlan, loss_of

log = logging.getLogger("train_people")
STEPS, LEARNING_RATE, WEIGHT_DECAY = 1_000, 2e-3, 0.05
THINGS, PEOPLE = 64, 128
"""Clips in a step."""
DROPOUT = 0.3
Clips = tuple[Tensor, Tensor]
"""Numbers of each picture, float16 "N 8 W", and truth of the actions, int8 "N A"."""


def numbers(tower: ConceptMotion, pictures: Array, mirrored: bool = False) -> Tensor:
    """What the convolutions on pictures tell of clips uint8 "N 8 3 S S": float16 "N 8 W"."""
    found = []
    sign = torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    with torch.inference_mode():
        for first in range(0, len(pictures), 64):
            given = as_input(pictures[first : first + 64])
            found.append(tower.each_picture(given.flip(-1) * sign if mirrored else given).half())
    return torch.cat(found)


def known(tower: ConceptMotion, runs: Path, name: str, mirrored: bool = False) -> Clips:
    pictures, truth, _ = load(runs, name)
    return numbers(tower, pictures, mirrored), torch.from_numpy(truth[:, len(MOTION_WORDS) :])


def fit(start: ConceptMotion, things: Clips, people: Clips, steps: int = STEPS, seed: int = 0) -> AlongTime:
    """Train the actions' convolutions along time, from those that `start` has for motions."""
    torch.manual_seed(seed)
    branch = AlongTime(start.embed.out_features, len(ACTION_WORDS))
    for part in ("along1", "along2", "embed"):
        getattr(branch, part).load_state_dict(getattr(start, part).state_dict())
    optimiser = torch.optim.AdamW(branch.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps, pct_start=0.1)
    random, drop = torch.Generator().manual_seed(seed), nn.Dropout(DROPOUT)
    for step in range(steps):
        parts = [_drawn(clips, count, random) for clips, count in ((things, THINGS), (people, PEOPLE))]
        each, truth = (torch.cat(both) for both in zip(*parts, strict=True))
        loss = loss_of(branch.classify(drop(branch.features(each.float()))), truth)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if (step + 1) % 200 == 0:
            log.info("step %d of %d, loss %.3f", step + 1, steps, loss.item())
    return branch.eval()


def _drawn(clips: Clips, count: int, random: torch.Generator) -> Clips:
    rows = torch.randint(len(clips[0]), (count,), generator=random)
    return clips[0][rows], clips[1][rows]


def with_people(tower: ConceptMotion, branch: AlongTime) -> ConceptMotion:
    """The tower with this branch, as far as the tower's words go: the others only helped to learn."""
    found = ConceptMotion(dimensions=tower.concepts.shape[1])
    state = {name: value for name, value in tower.state_dict().items() if not name.startswith(("people.", "concepts"))}
    found.load_state_dict(state, strict=False)
    assert found.people is not None
    rows = [ACTION_WORDS.index(word) for word in TOWER_WORDS[len(MOTION_WORDS) :]]
    kept = {"classify.weight": branch.classify.weight[rows], "classify.bias": branch.classify.bias[rows]}
    found.people.load_state_dict(branch.state_dict() | kept)
    found.concepts, found.center = tower_concepts(len(TOWER_WORDS))
    return found.eval()


def check(branch: AlongTime, clips: Clips) -> str:
    with torch.inference_mode():
        scores = branch(clips[0].float()).sigmoid().numpy()
    truth = clips[1].numpy()
    named = (truth == 1).any(1)
    right = (truth[np.arange(len(truth)), scores.argmax(1)] == 1)[named].mean()
    idle = (scores >= 0.5).any(1)[~named].mean()
    return f"first of {len(ACTION_WORDS)} right {right:.1%}; of clips without a word {idle:.1%} get one"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.percept_mini.train_people", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with images/")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder for clips")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    for name, (maker, count) in {**splits(options.data, MotionPlan.clips), **people_splits(options.data)}.items():
        make(options.runs, name, maker, count)
    tower = load_motion(BUNDLED)
    things = known(tower, options.runs, "train")
    both = [known(tower, options.runs, "people-train", mirrored) for mirrored in (False, True)]
    people = torch.cat([part[0] for part in both]), torch.cat([part[1] for part in both])
    branch = fit(tower, things, people)
    log.info("people: %s", check(branch, known(tower, options.runs, "people-check")))
    save_tower(with_people(tower, branch), BUNDLED)


if __name__ == "__main__":
    main()
