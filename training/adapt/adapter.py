"""Adaptation of all modalities together: what is learnt from some examples, and what labels they then get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.reliability import reliability
from training.adapt.choose import choose
from training.adapt.examples import Examples
from training.adapt.learn import Choice, Problem, learnt


@dataclass(frozen=True)
class Learnt:
    """Deltas "L D" and what was chosen, by modality."""

    deltas: Mapping[str, Array]
    choices: Mapping[str, Choice]


@dataclass(frozen=True)
class Adapter:
    """Examples and the labels to tell them by: those that are learnt first, then `rivals` that stay as words.

    sides: of all these labels as the model's words put them, without synonyms.
    """

    examples: Examples
    labels: tuple[str, ...]
    sides: Mapping[str, LabelSide]
    first_rival: int

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
    def rivals(self) -> Array:
        return np.arange(self.first_rival, len(self.labels))

    @cached_property
    def groups(self) -> list[str]:
        return [each.group for each in self.examples.kept]

    def learn(self, rows: Array, labels: Array, choices: Mapping[str, Choice] | None = None) -> Learnt:
        """From the examples in `rows`; `labels` are those that may be learnt. Without choices, they are made."""
        deltas, made = {}, {}
        for name, problem in self.problems.items():
            having = rows[self.examples.there(name)[rows] & np.isin(self.right[rows], labels)]
            made[name] = choices[name] if choices else choose(problem, having, self.groups, self.rivals)
            deltas[name] = learnt(problem, having, np.concatenate([labels, self.rivals]), made[name])
        return Learnt(deltas, made)

    def nothing(self) -> Learnt:
        """The words alone."""
        return Learnt({name: np.zeros_like(of.words) for name, of in self.problems.items()}, {})

    def best(self, given: Learnt, rows: Array) -> Array:
        """Index of the best label of each example, all modalities pooled: "n"."""
        odds = {name: of.odds(given.deltas[name], rows) for name, of in self.problems.items()}
        found = []
        for place, row in enumerate(rows.tolist()):
            present = {name: z[place] for name, z in odds.items() if self._weights[name][row] is not None}
            weights = {name: self._weights[name][row] or 0.0 for name in present}
            found.append(self._first(scoring.pool(present, weights)))
        return np.array(found, np.int64)

    def _first(self, pooled: Array) -> int:
        """Equals by name, as in a run."""
        alike: Sequence[int] = np.flatnonzero(pooled == pooled.max()).tolist()
        return min(alike, key=lambda index: self.labels[index])

    @cached_property
    def _weights(self) -> dict[str, list[float | None]]:
        """How far each modality of each example is trusted; None where it has none."""
        found = {}
        for name, problem in self.problems.items():
            side = self.sides[name]
            background = problem.embeddings @ np.asarray(side.background, np.float64).T
            found[name] = [
                reliability(name, each.signals, scoring.peakedness(near, side.temperature), side.knows_stillness)
                if there
                else None
                for each, near, there in zip(self.examples.kept, background, self.examples.there(name), strict=True)
            ]
        return found
