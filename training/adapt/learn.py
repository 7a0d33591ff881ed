"""Learns label vectors from a few examples, on frozen embeddings.

ConES (Kan et al. 2023, arXiv 2305.14993) learns e_c = norm(t_c + delta_c) by cross-entropy and pull * |delta|^2. A
further term protects other labels: each example is scored again with the original word vector of its own label, and
must still win. So adapted labels learn not to win clips of labels that have only word vectors.
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
"""Weight of an example scored with the original vector of its label, relative to that with the learnt vector."""
MOST_STEPS = 60


class Choice(msgspec.Struct, frozen=True):
    """How far vectors may move from those of the words."""

    pull: float = 10.0
    """Weight of |delta|^2, mean over labels. Higher values keep vectors nearer."""
    share: float = 1.0
    """Factor of the learnt delta; 0 keeps the vectors of the words."""


@dataclass(frozen=True)
class Problem:
    """One modality of all examples, and the labels: first those to learn, then rivals, which do not move.

    embeddings: "N D" of unit length. offset: "N L", added to cosine / temperature to get log-odds. words: "L D".
    right: "N", index of each example's label.
    """

    embeddings: Array
    offset: Array
    words: Array
    temperature: float
    right: Array

    @classmethod
    def of(cls, side: LabelSide, embeddings: Array, right: Array) -> "Problem":
        """The problem for one side of the labels, without synonyms."""
        vectors = np.asarray(embeddings, np.float64)
        background = vectors @ np.asarray(side.background, np.float64).T
        nothing = np.zeros((len(vectors), len(side.labels)))
        offset = scoring.log_odds(nothing, background, side.kept, side.temperature, side.bias)
        return cls(vectors, offset, np.asarray(side.labels, np.float64), side.temperature, right)

    def odds(self, deltas: Array, rows: Array) -> Array:
        """Log-odds "n L" of the examples in `rows`, with label vectors moved by `deltas`, "L D"."""
        vectors = moved(self.words, deltas)
        result: Array = self.embeddings[rows] @ vectors.T / self.temperature + self.offset[rows]
        return result


def loss_of(odds: Array, right: Array) -> Array:
    """Cross-entropy of each example, "N L", "N" -> "N", among the labels and the background, whose log-odds are 0."""
    every = np.concatenate([odds, np.zeros((len(odds), 1))], axis=1)
    top = every.max(axis=1)
    result: Array = np.log(np.exp(every - top[:, None]).sum(axis=1)) + top - every[np.arange(len(odds)), right]
    return result


def learn(problem: Problem, rows: Array, columns: Array, pull: float) -> Array:
    """Deltas "L D" learnt from the examples in `rows`: 0 except for their labels, which compete with `columns`."""
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
    fixed = torch.cat([as_words[:, len(active) :], torch.zeros(len(rows), 1, dtype=torch.float64)], dim=1)
    own = functional.one_hot(right, len(active)).bool()
    found = torch.zeros_like(words, requires_grad=True)
    optimiser = torch.optim.LBFGS([found], max_iter=MOST_STEPS, line_search_fn="strong_wolfe")

    def step() -> "torch.Tensor":
        optimiser.zero_grad()
        learnt = seen @ functional.normalize(words + found, dim=1).T / problem.temperature + offset[:, : len(active)]
        kept = torch.where(own, as_words[:, : len(active)], learnt)
        loss = functional.cross_entropy(torch.cat([learnt, fixed], 1), right)
        loss = loss + KEEP_OTHERS * functional.cross_entropy(torch.cat([kept, fixed], 1), right)
        loss = loss + pull * found.square().sum() / len(active)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with one_thread():
        optimiser.step(step)  # type: ignore[no-untyped-call]
    deltas[active] = found.detach().numpy()
    return deltas


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread in torch: in thousands of small steps, threads would only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def learnt(problem: Problem, rows: Array, columns: Array, choice: Choice) -> Array:
    """Deltas "L D" to store: those of `learn`, scaled by `choice.share`."""
    if not choice.share:
        return np.zeros_like(problem.words)
    result: Array = choice.share * learn(problem, rows, columns, choice.pull)
    return result
