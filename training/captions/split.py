"""The split of captioned items: those that are learnt from, and those that are only measured."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError
from training.captions.read import Captioned, CaptionList
from training.data.example import Dataset, counted
from training.data.split import hold_out
from training.train.plan import CAPTIONED, TrainingPlan
from training.train.split import ENOUGH_HELD

LEAST = 2
"""Minimum number of items, and of different captions, to learn from; and of those that are held out."""


@dataclass(frozen=True)
class CaptionSplit:
    """Captioned items by their role. No group is in both."""

    train: tuple[Captioned, ...]
    held: tuple[Captioned, ...]

    def fingerprint(self) -> str:
        """A hash of every item, its captions and its role, in order. It changes with the content of the media."""
        digest = hashlib.sha256()
        for part in (self.train, self.held):
            digest.update("\n".join(f"{item.example.key} {item.captions}" for item in part).encode() + b"\0")
        return digest.hexdigest()[:16]


def divide(listed: CaptionList, plan: TrainingPlan) -> CaptionSplit:
    """Hold out a share of the items, in whole groups chosen by the seed.

    Raises:
        ConfigError: too few items, or too few different captions.
    """
    dataset = Dataset(listed.name, tuple(item.example for item in listed.items), ("",))
    train, held = (
        tuple(listed.items[index] for index in part) for part in hold_out(dataset, plan.held_out_share, plan.seed)
    )
    refuse_few(listed.name, train, held)
    return CaptionSplit(train, held)


def refuse_few(name: str, train: Sequence[Captioned], held: Sequence[Captioned]) -> None:
    """Raises:
    ConfigError: so few items or different captions that nothing can be told apart.
    """
    for part, what in ((train, "to learn from"), (held, "held out")):
        different = {caption for item in part for caption in item.captions}
        for count, noun in ((len(part), "item"), (len(different), "different caption")):
            if count < LEAST:
                raise ConfigError(
                    f"{name}: {counted(count, noun)} {what}; expected at least {LEAST}. Add items of other groups, or "
                    "change --held-out"
                )


def warnings(split: CaptionSplit, what: str) -> tuple[str, ...]:
    """What the number of items is too small for, before anything is decoded: learning, and measuring."""
    enough, found = CAPTIONED[what].enough, []
    if len(split.train) < enough:
        found.append(
            f"few items to learn from: {len(split.train)}; --captions needs about {enough}. With fewer, the result "
            "often gets worse for others; compare before and after at the end"
        )
    if len(split.held) < ENOUGH_HELD:
        width = 100.0 / len(split.held) ** 0.5
        found.append(
            f"few items to measure on: {len(split.held)}, so the figures are uncertain by about {width:.0f} percentage "
            f"points; {ENOUGH_HELD} would be enough for {100.0 / ENOUGH_HELD**0.5:.0f}"
        )
    return tuple(found)
