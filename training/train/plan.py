"""The settings that determine the result of a training, together with the data and the initial model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import msgspec

from pipeline.errors import ConfigError


class TrainingPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """With the same plan, data and base model, two trainings on one machine have exactly the same curve."""

    what: str
    """"head", "motion", "sound", "picture" or "labels"."""
    seed: int = 0
    novel_share: float = 0.25
    """Share of the labels that are never trained on, only measured."""
    held_out_share: float = 0.2
    """Share of the groups of clips that are never trained on, only measured."""
    steps: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.01
    warm_up_share: float = 0.05
    alpha: float = 0.5
    """Weight of a head's picture branch; the other branches share 1 - alpha."""
    label_smoothing: float
    """The temperatures of towers are fixed, so too much of it lowers the probabilities of right labels."""
    ema: float = 0.98
    """Decay per step of the exponential moving average of the weights."""
    frozen_ratio: float
    """Ratio r of the initial model in the final weights: r * initial + (1 - r) * trained."""
    level: float
    """Weight of the logistic loss of labels against the background words, added to the cross-entropy among labels."""
    pull: float
    """For heads and label vectors: weight of the squared distance from the initial model, to protect other labels."""
    augment: bool = True
    every_steps: int = 50
    """Steps between checkpoints. At each, the held-out clips are measured."""
    threads: int = 1
    """It affects the order in which numbers are added."""


@dataclass(frozen=True)
class Usual:
    """Defaults of one kind of training."""

    steps: int
    batch: int
    learning_rate: float
    frozen_ratio: float
    label_smoothing: float = 0.1
    level: float = 0.5
    pull: float = 0.0
    weight_decay: float = 0.01
    modality: str = ""
    enough_of_each: int = 20
    """With fewer training clips of a label, what is learnt about it is mostly about these clips."""
    enough: int = 200
    """The same for all training clips together: a rule of thumb, from the number of weights that are trained."""


USUAL: Mapping[str, Usual] = MappingProxyType(
    {
        "head": Usual(
            steps=400, batch=32, learning_rate=1e-3, frozen_ratio=0.0, level=0.0, pull=2.0, enough_of_each=10
        ),
        "motion": Usual(steps=200, batch=8, learning_rate=3e-5, frozen_ratio=0.5, modality="motion"),
        "sound": Usual(steps=200, batch=16, learning_rate=1e-4, frozen_ratio=0.5, modality="audio"),
        "picture": Usual(steps=200, batch=8, learning_rate=1e-5, frozen_ratio=0.5, modality="image"),
        "labels": Usual(
            steps=300,
            batch=32,
            learning_rate=2e-3,
            frozen_ratio=0.0,
            label_smoothing=0.0,
            pull=0.5,
            enough_of_each=5,
            enough=20,
        ),
    }
)


CAPTIONED: Mapping[str, Usual] = MappingProxyType(
    {what: replace(USUAL[what], batch=32, label_smoothing=0.0, level=0.0) for what in ("picture", "sound")}
)
"""The same for trainings on captions. Every other item of a batch is a wrong answer, so batches are larger."""
PROJECTION = replace(CAPTIONED["picture"], steps=300, batch=256, learning_rate=3e-3, weight_decay=0.05)
"""The same for a picture tower of which only a linear projection is trained."""
CAPTIONS_HELD_OUT = 1 / 3


def usual_plan(what: str) -> TrainingPlan:
    """The defaults of one kind of training."""
    return _plan(what, USUAL[what])


def captions_plan(what: str, is_projection: bool) -> TrainingPlan:
    """The defaults of a training on captions."""
    usual = PROJECTION if is_projection else CAPTIONED[what]
    return msgspec.structs.replace(_plan(what, usual), novel_share=0.0, held_out_share=CAPTIONS_HELD_OUT)


def _plan(what: str, usual: Usual) -> TrainingPlan:
    return TrainingPlan(
        what=what,
        steps=usual.steps,
        batch=usual.batch,
        learning_rate=usual.learning_rate,
        weight_decay=usual.weight_decay,
        label_smoothing=usual.label_smoothing,
        level=usual.level,
        pull=usual.pull,
        frozen_ratio=usual.frozen_ratio,
        augment=bool(usual.modality),
    )


def check(plan: TrainingPlan) -> None:
    """Raises:
    ConfigError: values are out of range; all of them are named.
    """
    shares = {"--base-novel": plan.novel_share, "--held-out": plan.held_out_share, "--alpha": plan.alpha}
    shares |= {"--ratio": plan.frozen_ratio, "--label-smoothing": plan.label_smoothing, "--ema": plan.ema}
    wrong = [f"{name} {value:g}: expected a share from 0 to 1" for name, value in shares.items() if not 0 <= value <= 1]
    weights = {"--level": plan.level, "--pull": plan.pull}
    counts = {"--steps": plan.steps, "--batch": plan.batch, "--every": plan.every_steps, "--threads": plan.threads}
    wrong += [f"{name} {value}: expected at least 1" for name, value in counts.items() if value < 1]
    wrong += [f"{name} {value:g}: expected 0 or more" for name, value in weights.items() if not 0 <= value < math.inf]
    wrong += [] if 0 < plan.learning_rate < math.inf else [f"--lr {plan.learning_rate:g}: expected more than 0"]
    wrong += [] if 0 < plan.held_out_share < 1 else ["--held-out: expected more than 0 and less than 1"]
    wrong += [] if plan.novel_share < 1 else ["--base-novel 1: nothing would be left to train on"]
    if wrong:
        raise ConfigError("; ".join(wrong))


def steps_of(epochs: float, items: int, batch: int) -> int:
    """Number of steps in which every item is seen `epochs` times."""
    return max(1, math.ceil(epochs * items / batch))
