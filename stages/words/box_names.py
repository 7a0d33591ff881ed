"""What the box of a track may be called, and which name fits its looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.kinds import are_kinds
from stages.words.label_side import LabelSide
from stages.words.things import are_things
from stages.words.word import Word

BOX_NAMES = "box_names"
"""Begins the keys of their arrays in a file."""
FITS_BETTER = 1.0
"""In logits: a label of the run gives way to an everyday word that fits the looks by this much better."""


@dataclass(frozen=True)
class BoxNames:
    """Names of things: those among the labels of the run, then everyday words of the background vocabulary.

    A label that names an action, a place or a sound is no name for a box.
    """

    names: tuple[str, ...]
    own: int
    """The first ones are labels of the run."""
    side: LabelSide
    """Their vectors, in the text space of the image tower."""

    def name(self, looks: Array, least: float, least_everyday: float) -> tuple[str, float] | None:
        """The name for a box with this unit embedding "D", and its probability; None if none is probable.

        A label of the run is preferred, if its probability is `least` and no everyday word fits clearly better that
        speaks against it. An everyday word needs the probability `least_everyday`.
        """
        if not self.names:
            return None
        similarity, _, odds = self.side.compare(looks[None])
        logits, probability = similarity[0] / self.side.temperature, scoring.sigmoid(odds[0])
        everyday = self._best(probability[self.own :], self.own)
        mine = self._best(probability[: self.own], 0)
        for index, lowest in ((mine, least), (everyday, least_everyday)):
            gives_way = index is not None and index == mine and self._gives_way(index, probability, logits)
            if index is not None and probability[index] >= lowest and not gives_way:
                return self.names[index], float(probability[index])
        return None

    def _gives_way(self, label: int, probability: Array, logits: Array) -> bool:
        """Whether the best of the everyday words that speak against a label fits clearly better."""
        against = self.own + np.flatnonzero(~self._also_true[label])
        return len(against) > 0 and bool(logits[against[probability[against].argmax()]] > logits[label] + FITS_BETTER)

    @cached_property
    def _also_true(self) -> Array:
        """Which everyday words do not speak against each label, bool "O E": "person" of "man", "dog" of "animal"."""
        return go_together(self.names[: self.own], self.names[self.own :])

    def similarity(self, name: str, looks: Array) -> float | None:
        """Cosine of a unit embedding "D" with a name; None if it is none of `names`."""
        if name not in self.names:
            return None
        return float(self.side.compare(looks[None])[0][0, self.names.index(name)])

    def _best(self, probability: Array, first: int) -> int | None:
        return first + int(probability.argmax()) if len(probability) else None

    def arrays(self) -> dict[str, Any]:
        """The arrays to store by key."""
        return self.side.arrays(BOX_NAMES)

    @classmethod
    def of_arrays(cls, stored: Mapping[str, Array], names: list[str], own: int) -> "BoxNames":
        return cls(tuple(names), own, LabelSide.of_arrays(stored, BOX_NAMES))


def go_together(labels: Sequence[str], words: Sequence[str]) -> Array:
    """Which words are right of the same things as which label, bool "N W": the label itself too.

    Kinds of it, what it is a kind of, and the noun at its end: "bus" of "red bus".
    """
    folded = [f" {word.casefold()}" for word in words]
    ends = [[end.endswith(word) for word in folded] for end in (f" {label.casefold()}" for label in labels)]
    wider, narrower = are_kinds(words, labels).T, are_kinds(labels, words, and_others=True)
    together: Array = wider | narrower | np.array(ends, bool).reshape(len(labels), len(words))
    return together


def box_names(
    words: tuple[Word, ...], background: tuple[str, ...], side: LabelSide, all_things: bool = False
) -> BoxNames:
    """The things among the labels of a run and among its background words.

    side: that of the image tower. all_things: whether the words are things without being asked.
    """
    names = tuple(name for word in words for name in word.names)
    things = are_things(names, side.labels, background, side.background)
    starts = np.arange(len(words)) if side.starts is None else side.starts
    if all_things:
        things = np.ones(len(names), bool)
    own = np.flatnonzero(np.logical_and.reduceat(things, starts))
    shown = {words[index].name.casefold() for index in own}
    known = are_things(background, side.background, background, side.background)
    everyday = [index for index in np.flatnonzero(known) if background[index].casefold() not in shown]
    counts = np.array([len(words[index].names) for index in own] + [1] * len(everyday), np.int64)
    rows = [starts[index] + number for index in own for number in range(len(words[index].names))]
    labels = np.concatenate([side.labels[rows], side.background[everyday]])
    is_rival = ~go_together([words[index].name for index in own], background)
    kept = np.concatenate([side.kept[own] * is_rival, scoring.competing(side.background[everyday], side.background)])
    of_names = np.cumsum(counts) - counts if (counts > 1).any() else None
    return BoxNames(
        (*(words[index].name for index in own), *(background[index] for index in everyday)),
        len(own),
        replace(side, labels=labels, kept=kept, known=None, starts=of_names),
    )
