"""Figures of an evaluation, each with its interval and its number of examples."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from training.evaluate.answers import FUSED, POOLED, VIEWS, Answer, Answered
from training.intervals import Share, bootstrap, harmonic_mean, harmonic_mean_95, share, wilson


class Mean(msgspec.Struct, frozen=True):
    """A figure that is not a simple share, with its 95 % bootstrap interval over examples."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:6.1%}   [{self.low:.1%}, {self.high:.1%}]   n = {self.count}"


class ViewFigures(msgspec.Struct, frozen=True):
    """The accuracy of one view, over the examples that have it."""

    view: str
    count: int
    top1: Share
    top5: Share
    mean_per_label: Mean
    """Mean over labels of each label's top-1 accuracy, for data in which some labels are frequent."""
    cosine_top1: Share | None = None
    """Top-1 by cosine alone, as in papers."""


class Sides(msgspec.Struct, frozen=True):
    """Top-1 of base and of novel labels, among the labels of their own side and among all labels."""

    view: str
    base: Share
    novel: Share
    harmonic_mean: Mean
    base_among_all: Share
    novel_among_all: Share
    harmonic_mean_among_all: Mean


class Together(msgspec.Struct, frozen=True):
    """How pooling all modalities changes the answers of one, over examples with at least two modalities."""

    modality: str
    count: int
    lost: Share
    """Right alone, wrong when pooled: modality confusion, mu in VGGSounder (Zverev et al. 2025)."""
    gained: Share
    """Wrong alone, right when pooled."""


class LabelFigures(msgspec.Struct, frozen=True):
    """The accuracy of one label, by the main view."""

    label: str
    side: str
    """"base", "novel", or "" if labels are not divided."""
    count: int
    top1: Share
    top5: Share
    taken_for: tuple[tuple[str, int], ...]
    """The labels that its examples were mistaken for, with counts, most frequent first."""


def main_view(answers: Sequence[Answered]) -> str:
    """The view that a run of the model shows: with the head if the model has one."""
    return FUSED if any(FUSED in answered.views for answered in answers) else POOLED


def by_view(answers: Sequence[Answered], seed: int) -> list[ViewFigures]:
    found = []
    for view in VIEWS:
        pairs = [(a.right, a.views[view]) for a in answers if view in a.views]
        if pairs:
            found.append(_view(view, pairs, seed))
    return found


def _view(view: str, pairs: Sequence[tuple[int, Answer]], seed: int) -> ViewFigures:
    ranks = [answer.rank for _, answer in pairs]
    by_cosine = [answer.cosine_rank for _, answer in pairs if answer.cosine_rank is not None]
    table = np.array([(right, answer.rank == 0) for right, answer in pairs])
    return ViewFigures(
        view=view,
        count=len(pairs),
        top1=share(rank == 0 for rank in ranks),
        top5=share(rank < 5 for rank in ranks),
        mean_per_label=estimated(table, mean_per_label, seed, rounds=500),
        cosine_top1=share(rank == 0 for rank in by_cosine) if by_cosine else None,
    )


def estimated(table: Array, statistic: Callable[[Array], float], seed: int, rounds: int) -> Mean:
    """`statistic` of "N 2" (group, right), with its bootstrap interval.

    If all answers are right or all are wrong, a bootstrap would show no variance; then it is the Wilson interval.
    """
    hits = int(table[:, 1].sum())
    if 0 < hits < len(table):
        low, high = bootstrap(table, statistic, seed, rounds)
    else:
        interval = wilson(hits, len(table))
        low, high = interval.low, interval.high
    return Mean(statistic(table), low, high, len(table))


def mean_per_label(table: Array) -> float:
    """Mean over labels of the accuracy of each, from "N 2" (label, right); nan for no rows."""
    labels, inverse = np.unique(table[:, 0], return_inverse=True)
    counts = np.bincount(inverse)
    return float((np.bincount(inverse, table[:, 1]) / counts).mean()) if len(labels) else float("nan")


def by_side(answers: Sequence[Answered], is_novel: Sequence[bool], seed: int) -> list[Sides]:
    """The figures of each view; empty if all examples are of one side."""
    novel = [is_novel[answered.right] for answered in answers]
    if not any(novel) or all(novel):
        return []
    found = []
    for view in VIEWS:
        pairs = [(is_novel[a.right], a.views[view]) for a in answers if view in a.views]
        if {side for side, _ in pairs} == {False, True}:
            own = np.array([(side, answer.own_rank == 0) for side, answer in pairs])
            among_all = np.array([(side, answer.rank == 0) for side, answer in pairs])
            found.append(Sides(view, *_side_figures(own, seed), *_side_figures(among_all, seed)))
    return found


def _side_figures(table: Array, seed: int) -> tuple[Share, Share, Mean]:
    base, novel = (share(table[table[:, 0] == side, 1]) for side in (0, 1))
    low, high = harmonic_mean_95(table, seed, rounds=1000)
    return base, novel, Mean(harmonic_mean(table), low, high, len(table))


def together(answers: Sequence[Answered], view: str) -> list[Together]:
    """Gains and losses by modality, and for "any": right with at least one modality alone, and the reverse."""
    several = [answered for answered in answers if len(answered.modalities) > 1]
    found = []
    for modality in (*MODALITIES, "any"):
        pairs = [pair for answered in several if (pair := _alone_and_together(answered, modality, view)) is not None]
        if pairs:
            lost = share(alone and not both for alone, both in pairs)
            gained = share(both and not alone for alone, both in pairs)
            found.append(Together(modality, len(pairs), lost, gained))
    return found


def _alone_and_together(answered: Answered, modality: str, view: str) -> tuple[bool, bool] | None:
    names = answered.modalities if modality == "any" else (modality,)
    if not set(names) <= set(answered.modalities):
        return None
    return any(answered.views[name].rank == 0 for name in names), answered.views[view].rank == 0


def by_label(
    answers: Iterable[Answered], names: Sequence[str], view: str, sides: Mapping[str, str]
) -> list[LabelFigures]:
    """Every label that has an example, worst first."""
    per_label: dict[int, list[Answer]] = {}
    for answered in answers:
        per_label.setdefault(answered.right, []).append(answered.views[view])
    found = []
    for right, given in per_label.items():
        wrong = Counter(names[answer.best] for answer in given if answer.rank)
        top1, top5 = (wilson(sum(answer.rank < k for answer in given), len(given)) for k in (1, 5))
        label = names[right]
        taken_for = tuple(sorted(wrong.items(), key=lambda item: (-item[1], item[0])))
        found.append(LabelFigures(label, sides.get(label, ""), len(given), top1, top5, taken_for))
    return sorted(found, key=lambda of: (of.top1.share, of.top5.share, of.label))
