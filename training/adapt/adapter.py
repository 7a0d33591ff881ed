"""Adapts all modalities together: learns deltas from examples, and classifies examples with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.head_share import mixed
from stages.words.label_side import LabelSide
from stages.words.reliability import reliability
from training.adapt.choose import choose
from training.adapt.examples import Examples
from training.adapt.learn import Choice, Problem, learnt


@dataclass(frozen=True)
class Learnt:
    """Deltas "L D" and the choices they were learnt with, by modality."""

    deltas: Mapping[str, Array]
    choices: Mapping[str, Choice]


@dataclass(frozen=True)
class Adapter:
    """Examples and their labels: first those to learn, then `rivals`, whose vectors do not move.

    sides: all these labels, without synonyms, before learning. head_share: that of the fusion head in each label's
    score, "C"; None without a head. The vectors are learnt from the towers' embeddings, and apply to those after the
    head too, so examples are classified with it, as in a run.
    """

    examples: Examples
    labels: tuple[str, ...]
    sides: Mapping[str, LabelSide]
    first_rival: int
    head_share: Array | None = None

    @cached_property
    def right(self) -> Array:
        return self.examples.right(self.labels)

    @cached_property
    def problems(self) -> dict[str, Problem]:
        return {
            name: Problem.of(side, self.examples.embeddings[name], self.right)
            for name, side in self.sides.items()
            if name in self.examples.embeddings
        }

    @cached_property
    def fused(self) -> dict[str, Problem]:
        """The problems after the fusion head."""
        names = [name for name in self.problems if self.head_share is not None and name in self.examples.fused]
        return {name: Problem.of(self.sides[name], self.examples.fused[name], self.right) for name in names}

    @cached_property
    def rivals(self) -> Array:
        return np.arange(self.first_rival, len(self.labels))

    @cached_property
    def groups(self) -> list[str]:
        return [each.group for each in self.examples.kept]

    def learn(self, rows: Array, labels: Array, choices: Mapping[str, Choice] | None = None) -> Learnt:
        """Learn `labels` from the examples in `rows`. Without `choices`, `choose` selects them."""
        deltas, made = {}, {}
        for name, problem in self.problems.items():
            having = rows[self.examples.present(name)[rows] & np.isin(self.right[rows], labels)]
            made[name] = choices[name] if choices else choose(problem, having, self.groups, self.rivals)
            deltas[name] = learnt(problem, having, np.concatenate([labels, self.rivals]), made[name])
        return Learnt(deltas, made)

    def nothing(self) -> Learnt:
        """Deltas of zero: the words alone."""
        return Learnt({name: np.zeros_like(of.words) for name, of in self.problems.items()}, {})

    def best(self, given: Learnt, rows: Array) -> Array:
        """Index of the best label of each example in `rows`, from all modalities pooled: "n"."""
        odds = {name: self._odds(name, given, rows) for name in self.problems}
        found = []
        for place, row in enumerate(rows.tolist()):
            present = {name: z[place] for name, z in odds.items() if self._weights[name][row] is not None}
            weights = {name: self._weights[name][row] or 0.0 for name in present}
            found.append(self._first(scoring.pool(present, weights)))
        return np.array(found, np.int64)

    def _odds(self, name: str, given: Learnt, rows: Array) -> Array:
        """Log-odds "n L" of one modality, with the head where it changes an example."""
        odds = self.problems[name].odds(given.deltas[name], rows)
        if name not in self.fused or self.head_share is None:
            return odds
        changed = np.any(self.examples.fused[name][rows] != 0, axis=1)[:, None]
        head = self.fused[name].odds(given.deltas[name], rows)
        return np.where(changed, mixed(odds, head, self.head_share), odds)

    def _first(self, pooled: Array) -> int:
        """Index of the best label. Ties are broken by name, as in a run."""
        tied: Sequence[int] = np.flatnonzero(pooled == pooled.max()).tolist()
        return min(tied, key=lambda index: self.labels[index])

    @cached_property
    def _weights(self) -> dict[str, list[float | None]]:
        """How far each modality of each example is trusted; None if the example lacks it."""
        found = {}
        for name, problem in self.problems.items():
            side = self.sides[name]
            background = problem.embeddings @ np.asarray(side.background, np.float64).T
            found[name] = [
                reliability(name, each.signals, scoring.peakedness(near, side.temperature), side.knows_stillness)
                if present
                else None
                for each, near, present in zip(self.examples.kept, background, self.examples.present(name), strict=True)
            ]
        return found
