"""Chooses how far to move label vectors, by the loss on held-out clips and on held-out labels."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.arrays import Array
from training.adapt.folds import clip_folds, label_folds
from training.adapt.learn import Choice, Problem, learn, loss_of

PULLS = (3.0, 10.0, 30.0)
SHARES = (0.0, 0.5, 1.0)
INNER = 3
"""Number of folds of clips, and of labels."""
BLIND = Choice()
"""Used if no clip can be held out, because each label has a single clip or group."""


def choose(problem: Problem, rows: Array, groups: Sequence[str], rivals: Array) -> Choice:
    """The choice with the least loss on held-out clips plus that on clips of held-out labels.

    rivals: labels that compete but are never learnt. The words alone (share 0) are among the choices.
    """
    folds = clip_folds(problem.right[rows].tolist(), [groups[row] for row in rows], INNER)
    if not folds:
        return BLIND
    labels = np.unique(problem.right[rows])
    everything = np.concatenate([labels, rivals])
    loss: dict[Choice, float] = {}
    for pull in PULLS:
        for held, deltas, weight in _tries(problem, rows, [rows[fold] for fold in folds], rivals, pull):
            for share in SHARES:
                odds = problem.odds(share * deltas, held)[:, everything]
                right = np.searchsorted(labels, problem.right[held])
                choice = Choice(pull, share)
                loss[choice] = loss.get(choice, 0.0) + weight * float(loss_of(odds, right).sum())
    return min(loss, key=lambda choice: (loss[choice], choice.share, -choice.pull))


def _tries(
    problem: Problem, rows: Array, folds: Sequence[Array], rivals: Array, pull: float
) -> Iterator[tuple[Array, Array, float]]:
    """Held-out rows, the deltas learnt without them, and the weight of each of them."""
    labels = np.unique(problem.right[rows])
    for held in folds:
        known = np.setdiff1d(rows, held)
        seen = held[np.isin(problem.right[held], problem.right[known])]
        if len(seen):
            yield seen, learn(problem, known, np.concatenate([labels, rivals]), pull), 1 / len(rows)
    for out in label_folds(labels.tolist(), INNER):
        held = rows[np.isin(problem.right[rows], out)]
        kept = np.concatenate([np.setdiff1d(labels, out), rivals])
        yield held, learn(problem, np.setdiff1d(rows, held), kept, pull), 1 / len(rows)
