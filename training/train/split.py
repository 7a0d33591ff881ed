"""The split of a training: base and novel labels, training and held-out clips."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError
from training.data.example import Dataset, Example
from training.data.split import base_novel, hold_out
from training.train.plan import USUAL, TrainingPlan

LEAST_LABELS = 2
LEAST_EXAMPLES = 2
"""Minimum number of training examples of each base label."""
ENOUGH_HELD = 50
"""With fewer held-out clips of a kind, its accuracy is uncertain by more than 14 percentage points (95 %)."""
SHOWN = 8
"""At most this many names are listed in a message."""


@dataclass(frozen=True)
class TrainingSplit:
    """Examples by their role. Those in `train` and `held_base` have base labels, those in `held_novel` novel ones."""

    base: tuple[str, ...]
    novel: tuple[str, ...]
    train: tuple[Example, ...]
    held_base: tuple[Example, ...]
    held_novel: tuple[Example, ...]
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        return self.base + self.novel

    @property
    def held_out(self) -> tuple[Example, ...]:
        return self.held_base + self.held_novel

    def fingerprint(self) -> str:
        """A hash of every example and its role. It changes with the content of the media."""
        digest = hashlib.sha256("\n".join((*self.base, "", *self.novel)).encode())
        for part in (self.train, self.held_base, self.held_novel):
            digest.update("\n".join(sorted(f"{example.key} {example.label}" for example in part)).encode() + b"\0")
        return digest.hexdigest()[:16]


def divide(dataset: Dataset, plan: TrainingPlan) -> TrainingSplit:
    """The split of a data set, determined by the seed.

    Novel labels are never trained on. Whole groups of the base labels are held out. A clip of a novel label is skipped
    if its group is trained on, because it would not be new.

    Raises:
        ConfigError: too few labels or clips; the message names them.
    """
    labels = sorted({example.label for example in dataset.examples})
    if several := [label for label in labels if "|" in label]:
        raise ConfigError(
            f"{dataset.name}: labels with synonyms cannot be trained on: {_list(several)}. Use one word per label."
        )
    if len(labels) < LEAST_LABELS:
        raise ConfigError(f"{dataset.name}: {len(labels)} label ({_list(labels)}); expected at least {LEAST_LABELS}")
    base, novel = base_novel(labels, plan.seed, plan.novel_share) if plan.novel_share > 0 else (tuple(labels), ())
    if len(base) < LEAST_LABELS:
        raise ConfigError(
            f"{dataset.name}: only {_list(base)} of {len(labels)} labels would be trained on; expected at least "
            f"{LEAST_LABELS}. Give clips of more labels, or use --base-novel 0 to train on all."
        )
    chosen, kept_back = hold_out(dataset, plan.held_out_share, plan.seed)
    known = set(base)
    train = tuple(dataset.examples[index] for index in chosen if dataset.examples[index].label in known)
    held = tuple(dataset.examples[index] for index in kept_back if dataset.examples[index].label in known)
    seen = {example.group for example in train if example.group}
    unseen = [example for example in dataset.examples if example.label not in known and example.group not in seen]
    _refuse_few(dataset.name, base, train)
    if not held:
        raise ConfigError(
            f"{dataset.name}: no clip of a base label can be held out; expected clips of at least two groups"
        )
    return TrainingSplit(base, novel, train, held, tuple(unseen), _notes(base, novel, held, unseen))


def _refuse_few(name: str, base: Sequence[str], train: Sequence[Example]) -> None:
    counts = Counter(example.label for example in train)
    few = [f"{label} ({counts[label]})" for label in base if counts[label] < LEAST_EXAMPLES]
    if few:
        raise ConfigError(
            f"{name}: too few clips to train on: {_list(few)}; expected at least {LEAST_EXAMPLES} of each label, not "
            "counting held-out ones. Add clips, or remove these labels; for a few clips per label, use percept adapt."
        )


def _notes(
    base: Sequence[str], novel: Sequence[str], held: Sequence[Example], unseen: Sequence[Example]
) -> tuple[str, ...]:
    notes = []
    if missing := _without(base, held):
        notes.append(f"not measured, because all clips are of one group: {_list(missing)}")
    if missing := _without(novel, unseen):
        notes.append(f"not measured, because their groups are trained on: {_list(missing)}")
    return tuple(notes)


def warnings(split: TrainingSplit, what: str) -> tuple[str, ...]:
    """What the number of clips is too small for, before anything is encoded: learning, and measuring."""
    usual, counts = USUAL[what], Counter(example.label for example in split.train)
    found = []
    few = sorted((label for label in split.base if counts[label] < usual.enough_of_each), key=lambda one: counts[one])
    if few:
        listed = _list([f"{label} ({counts[label]})" for label in few])
        found.append(
            f"few clips to train on: {listed}; --what {what} needs about {usual.enough_of_each} of each label. Add "
            "clips, or use percept adapt, which learns from 1 to 16 of each"
        )
    if len(split.train) < usual.enough:
        found.append(
            f"few clips to train on: {len(split.train)} in all; --what {what} needs about {usual.enough}. With fewer, "
            "the result often gets worse for other clips; compare before and after at the end"
        )
    for name, held in (("base", split.held_base), ("novel", split.held_novel)):
        if 0 < len(held) < ENOUGH_HELD:
            width = 100.0 / len(held) ** 0.5
            found.append(
                f"few clips to measure on: {len(held)} of {name} labels, so the figures are uncertain by about "
                f"{width:.0f} percentage points; {ENOUGH_HELD} would be enough for {100.0 / ENOUGH_HELD**0.5:.0f}"
            )
    return tuple(found)


def _without(labels: Sequence[str], examples: Iterable[Example]) -> list[str]:
    found = {example.label for example in examples}
    return [label for label in labels if label not in found]


def sided(labels: Iterable[str]) -> list[str]:
    """The labels that mirroring would make wrong."""
    return [label for label in labels if re.search(r"\b(left|right|(counter|anti)?-?clockwise)", label.casefold())]


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
