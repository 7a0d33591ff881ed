"""How two things stand to each other: one way for a pair, the most telling one that boxes are sure of.

The geometry is that of `percept find`. What boxes cannot tell is left to words: what overlaps a sofa is on it, and what
overlaps a bus is before or behind it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipeline.arrays import Array
from stages.phrase.geometry import HOLDS
from stages.phrase.lexicon import HOLDERS, SUPPORTS
from stages.relations.pair import Pair, noun

WORDS = {"inside": "in", "on": "on", "front": "in front of", "above": "above", "left": "left of", "beside": "next to"}
"""By the geometry, what is told. Below, behind and right of are the same with the things turned round."""


class Held(NamedTuple):
    """kind: of the geometry. pair: in the order that is told. scores: "T", in [0, 1]."""

    kind: str
    pair: Pair
    scores: Array


def standing(pair: Pair, least: float) -> Iterator[Held]:
    """What is told of a pair: a way, and that they are next to each other, if they are side by side.

    least: of the mean score over all moments; a relation also has to hold in more than half of them.
    """
    way = next((held for held in _ways(pair) if is_sure(held, least)), None)
    if way is None:
        return
    yield way
    if way.kind == "left" and is_sure(beside := _held("beside", way.pair), least):
        yield beside


def _ways(pair: Pair) -> Iterator[Held]:
    """The ways that are possible, the most telling ones first; of above and left, the clearer one."""
    both = pair, pair.turned
    nouns = {noun(track.label or "") for track in (pair.one, pair.other)}
    for kind, able in (("inside", HOLDERS), ("on", SUPPORTS)):
        yield from (_held(kind, each) for each in both if len(nouns) == 2 and noun(each.other.label or "") in able)
    if not nouns & (HOLDERS | SUPPORTS):
        touching = _held("touching", pair).scores
        for front in (_held("front", each) for each in both):
            yield front._replace(scores=np.minimum(front.scores, touching))
    yield from sorted(
        (_held(kind, each) for kind in ("above", "left") for each in both), key=lambda held: -held.scores.mean()
    )


def _held(kind: str, pair: Pair) -> Held:
    return Held(kind, pair, np.diagonal(HOLDS[kind](pair.ones, pair.others)))


def is_sure(held: Held, least: float) -> bool:
    return bool(held.scores.mean() >= least and (held.scores >= 0.5).mean() > 0.5)
