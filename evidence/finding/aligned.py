"""How the words of a phrase and the places of a picture fit each other, one by one: re-rankers for boxes."""

import numpy as np

from pipeline.arrays import Array
from stages.encode import unit

BETA = 0.15
"""Weight of the words beside the whole phrase. No tower here was trained for it, so it may move boxes against each
other, but not their level."""
SMOOTH = 0.05
"""Entropy of a plan, in cosines: with less, words spread over fewer places."""
ROUNDS = 30


def late_interaction(words: Array, patches: Array, spoken: Array | None = None) -> Array:
    """The mean over words of each one's best cosine with a place: "m D", "... P D" -> "..." in [-1, 1].

    From text to picture in FILIP (Yao et al. 2021, arXiv 2111.07783, equations 4 and 5). spoken: bool "m", for padded
    words, of which it takes no notice.
    """
    score: Array = _cosines(words if spoken is None else words[spoken], patches).max(axis=-1).mean(axis=-1)
    return score


def transported(words: Array, patches: Array, smooth: float = SMOOTH) -> Array:
    """The mean cosine of words and places, if every word goes to as many places, and every place takes as much."""
    cosines = _cosines(words, patches)
    score: Array = (sinkhorn(1 - cosines, smooth) * cosines).sum(axis=(-2, -1))
    return score


def _cosines(words: Array, patches: Array) -> Array:
    """ "m D", "... P D" -> "... m P"."""
    length = np.maximum(np.linalg.norm(patches, axis=-1, keepdims=True), 1e-12)
    cosines: Array = unit(words) @ np.swapaxes(patches / length, -1, -2)
    return cosines


def sinkhorn(cost: Array, smooth: float, rounds: int = ROUNDS) -> Array:
    """The plans "... m n" of least cost that sum to 1 / m in rows and 1 / n in columns, with an entropy of weight
    `smooth`.

    Sinkhorn's iteration in logarithms (Cuturi 2013, arXiv 1306.0895).
    """
    rows, columns = cost.shape[-2:]
    level = -np.asarray(cost, np.float64) / smooth
    one, other = np.zeros((*cost.shape[:-1], 1)), np.zeros((*cost.shape[:-2], 1, columns))
    for _ in range(rounds):
        one = -np.log(rows) - _log_sum(level + other, axis=-1)
        other = -np.log(columns) - _log_sum(level + one, axis=-2)
    plan: Array = np.exp(level + one + other)
    return plan


def _log_sum(values: Array, axis: int) -> Array:
    top = values.max(axis=axis, keepdims=True)
    total: Array = np.log(np.exp(values - top).sum(axis=axis, keepdims=True)) + top
    return total


def moved(cosines: Array, words: Array, patches: Array) -> Array:
    """By how much words move the cosine of each box with a phrase: "N", "m D", "N P D" -> "N", of mean 0.

    (1 - beta) cosine + beta score, the score being the mean of `late_interaction` and `transported`.
    """
    if not len(patches):
        return np.zeros(0)
    scores = (late_interaction(words, patches) + transported(words, patches)) / 2
    change = BETA * (scores - cosines)
    level: Array = change - change.mean()
    return level
