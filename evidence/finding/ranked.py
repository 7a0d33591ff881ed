"""Which boxes fit all parts of a phrase together best: one box for each thing, ranked for the thing that is asked for.

Every thing weighs its context, and all contexts are tried (the variational context of Zhang, Niu and Chang 2018, arXiv
1712.01892, with the largest in place of their sum): a search in beams, which is exact for two or three things.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Array

BEAMS = 48
"""Partial answers that are kept for each box of the thing that is asked for."""
LEAST = 0.02
"""A part's score is at least this, so that no single one decides alone."""


@dataclass(frozen=True)
class Term:
    """A score in [0, 1] of a part for the boxes of its things: an array with an axis for each of `things`."""

    things: tuple[int, ...]
    scores: Array


@dataclass(frozen=True)
class Chosen:
    """One box for each thing, and the geometric mean of the scores of all parts."""

    boxes: tuple[int, ...]
    score: float


def ranked(
    asked: int, counts: Sequence[int], terms: Sequence[Term], apart: Mapping[tuple[int, int], Array]
) -> list[Chosen]:
    """For each box of the thing that is asked for, the best choice for all others; best first.

    counts: of boxes for each thing. apart: for pairs of things, bool "N M": which boxes are not both possible, as they
    are around the same thing. Empty if a thing has no box.
    """
    if not min(counts, default=0) or not terms:
        return []
    order = _order(asked, len(counts), terms)
    best = [_completed(box, order, counts, terms, apart) for box in range(counts[asked])]
    made = [Chosen(*each) for each in best if each is not None]
    return sorted(made, key=lambda each: -each.score)


def _order(asked: int, count: int, terms: Sequence[Term]) -> list[int]:
    """The things, each beside one that it is related to, if possible."""
    order = [asked]
    while len(order) < count:
        rest = [number for number in range(count) if number not in order]
        near = [
            number for number in rest if any(number in term.things and set(term.things) & set(order) for term in terms)
        ]
        order.append((near or rest)[0])
    return order


def _completed(
    box: int, order: Sequence[int], counts: Sequence[int], terms: Sequence[Term], apart: Mapping[tuple[int, int], Array]
) -> tuple[tuple[int, ...], float] | None:
    logs = [(term.things, np.log(np.clip(term.scores, LEAST, 1.0))) for term in terms]
    beams: list[tuple[float, dict[int, int]]] = [(0.0, {order[0]: box})]
    for step, thing in enumerate(order):
        known = set(order[: step + 1])
        ready = [each for each in logs if thing in each[0] and known.issuperset(each[0])]
        grown = []
        for score, chosen in beams:
            for number in [box] if step == 0 else range(counts[thing]):
                if step and not _is_possible(thing, number, chosen, apart):
                    continue
                now = chosen | {thing: number}
                more = sum(float(values[tuple(now[each] for each in things)]) for things, values in ready)
                grown.append((score + more, now))
        beams = sorted(grown, key=lambda each: -each[0])[:BEAMS]
    if not beams:
        return None
    score, chosen = beams[0]
    return tuple(chosen[number] for number in range(len(counts))), float(np.exp(score / len(terms)))


def _is_possible(thing: int, number: int, chosen: Mapping[int, int], apart: Mapping[tuple[int, int], Array]) -> bool:
    for other, at in chosen.items():
        if (table := apart.get((thing, other))) is not None and table[number, at]:
            return False
    return True
