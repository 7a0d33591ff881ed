"""Made-up answers, without a model."""

from collections.abc import Sequence

from training.data.example import Example
from training.evaluate.answers import Answer, Answered


def answer(labels: int, right: int, given: int, probability: float = 0.5, rank: int | None = None) -> Answer:
    """An answer whose best label is `given`. Otherwise the right label has `rank`, by default 1."""
    top = tuple(dict.fromkeys([given, right, *range(labels)]))[:5]
    place = 0 if right == given else 1 if rank is None else rank
    return Answer(place, top, probability, probability, probability / 2, place, place)


def answered(labels: int, right: int, number: int = 0, probability: float = 0.5, **given: int) -> Answered:
    """An example whose answers are given by view."""
    views = {name: answer(labels, right, label, probability) for name, label in given.items()}
    return Answered(Example(f"clip{number}.mp4", f"label {right}"), right, views)


def many(labels: int, truths: Sequence[int], answers: Sequence[int]) -> list[Answered]:
    return [
        answered(labels, right, number, image=given, pooled=given)
        for number, (right, given) in enumerate(zip(truths, answers, strict=True))
    ]
