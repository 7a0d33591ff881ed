"""Label vectors from a few examples, on frozen embeddings.

ConES (Kan et al. 2023, arXiv 2305.14993) learns e_c = norm(t_c + delta_c) by cross-entropy and pull * |delta|^2. To it
comes a term that keeps other labels alive: each example is scored once more with its own label's vector left as the
words gave it, and must still win. So adapted labels learn to stay away from what only words describe.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.adapted import moved
from stages.words.label_side import LabelSide

KEEP_OTHERS = 10.0
"""Weight of an example with its label left as it was, against the example with the label learnt."""
MOST_STEPS = 60


class Choice(msgspec.Struct, frozen=True):
    """How far vectors may go from where the words put them."""

    pull: float = 10.0
    """Weight of |delta|^2, mean over labels: higher stays nearer."""
    share: float = 1.0
    """Of delta that is kept; 0 leaves the words alone."""


@dataclass(frozen=True)
class Problem:
    """One modality of all examples against the labels: those that are learnt first, then rivals that stay.

    embeddings: "N D" of unit length. offset: "N L", what goes to cosine / temperature to make log-odds. words: "L D".
    right: "N", index of each example's label.
    """

    embeddings: Array
    offset: Array
    words: Array
    temperature: float
    right: Array

    @classmethod
    def of(cls, side: LabelSide, embeddings: Array, right: Array) -> "Problem":
        """side: without synonyms."""
        vectors = np.asarray(embeddings, np.float64)
        background = vectors @ np.asarray(side.background, np.float64).T
        nothing = np.zeros((len(vectors), len(side.labels)))
        offset = scoring.log_odds(nothing, background, side.kept, side.temperature, side.bias)
        return cls(vectors, offset, np.asarray(side.labels, np.float64), side.temperature, right)

    def odds(self, deltas: Array, rows: Array) -> Array:
        """Log-odds "n L" of some examples, with label vectors moved by "L D"."""
        vectors = moved(self.words, deltas)
        result: Array = self.embeddings[rows] @ vectors.T / self.temperature + self.offset[rows]
        return result


def loss_of(odds: Array, right: Array) -> Array:
    """Cross-entropy of each example, "N L", "N" -> "N": labels against each other and the background words."""
    every = np.concatenate([odds, np.zeros((len(odds), 1))], axis=1)
    top = every.max(axis=1)
    result: Array = np.log(np.exp(every - top[:, None]).sum(axis=1)) + top - every[np.arange(len(odds)), right]
    return result


def learn(problem: Problem, rows: Array, columns: Array, pull: float) -> Array:
    """Deltas "L D" from the examples in `rows`: 0 but for their labels, which compete with `columns`."""
    import torch
    from torch.nn import functional

    deltas = np.zeros_like(problem.words)
    active = np.unique(problem.right[rows])
    rivals = np.setdiff1d(columns, active)
    if not len(active):
        return deltas
    place = {label: index for index, label in enumerate(active.tolist())}
    right = torch.tensor([place[label] for label in problem.right[rows].tolist()])
    order = np.concatenate([active, rivals])
    words, seen = torch.from_numpy(problem.words[active]), torch.from_numpy(problem.embeddings[rows])
    offset = torch.from_numpy(problem.offset[np.ix_(rows, order)])
    as_words = seen @ torch.from_numpy(problem.words[order]).T / problem.temperature + offset
    still = torch.cat([as_words[:, len(active) :], torch.zeros(len(rows), 1, dtype=torch.float64)], dim=1)
    own = functional.one_hot(right, len(active)).bool()
    found = torch.zeros_like(words, requires_grad=True)
    course = torch.optim.LBFGS([found], max_iter=MOST_STEPS, line_search_fn="strong_wolfe")

    def step() -> "torch.Tensor":
        course.zero_grad()
        learnt = seen @ functional.normalize(words + found, dim=1).T / problem.temperature + offset[:, : len(active)]
        kept = torch.where(own, as_words[:, : len(active)], learnt)
        loss = functional.cross_entropy(torch.cat([learnt, still], 1), right)
        loss = loss + KEEP_OTHERS * functional.cross_entropy(torch.cat([kept, still], 1), right)
        loss = loss + pull * found.square().sum() / len(active)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with one_thread():
        course.step(step)  # type: ignore[no-untyped-call]
    deltas[active] = found.detach().numpy()
    return deltas


@contextmanager
def one_thread() -> Iterator[None]:
    """Thousands of small steps, in which threads would only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def learnt(problem: Problem, rows: Array, columns: Array, choice: Choice) -> Array:
    """Deltas "L D" as they are stored."""
    if not choice.share:
        return np.zeros_like(problem.words)
    result: Array = choice.share * learn(problem, rows, columns, choice.pull)
    return result
