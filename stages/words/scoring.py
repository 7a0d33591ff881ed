"""From embeddings and label vectors to probabilities: pure functions on numpy arrays, float64 inside.

Every formula uses one label and the model's fixed background vocabulary, never the other labels. So another label
changes no odds, and the order of labels does not matter. Only `shares` compares labels with each other.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Array

Floats = NDArray[np.float64]

SAME_MEANING = (0.4, 0.7)
"""Text cosine at which a background word begins to stop competing with a label, and at which it has stopped."""
LEAST_WEIGHT = 1e-3
"""Replaces every weight if all are 0: all labels are then improbable, but still ordered."""


def log_odds(similarity: Array, background_similarity: Array, kept: Array, temperature: float, bias: float) -> Floats:
    """Log-odds of each label against the background vocabulary: "N C", "N V", "C V" -> "N C".

    A label's logit is cosine / temperature. The log-sum-exp of the background's logits, weighted by `kept`, is
    subtracted, then `bias` is added; `kept` in [0, 1] is how far background word v competes with label c. The sigmoid
    of the result is a probability.
    """
    logits = np.asarray(background_similarity, np.float64) / temperature
    top = logits.max(axis=1, keepdims=True)
    competing = np.exp(logits - top) @ np.asarray(kept, np.float64).T
    tiny = np.finfo(np.float64).tiny
    result: Floats = np.asarray(similarity, np.float64) / temperature - top - np.log(np.maximum(competing, tiny)) + bias
    return result


def capped(odds: Array, known: Array | None) -> Floats:
    """Log-odds of known * p, for log-odds "... C" of p and `known` in (0, 1], "C"; None leaves them as they are.

    A tower that was made to know few words says little about all others, however well one of them fits by chance.
    """
    z = np.asarray(odds, np.float64)
    if known is None:
        return z
    log_yes = np.log(known) - np.logaddexp(0.0, -z)
    with np.errstate(divide="ignore"):  # where all is known, z itself is taken
        result: Floats = np.where(np.asarray(known) < 1.0, log_yes - np.log1p(-np.exp(log_yes)), z)
    return result


def log_sum(background_similarity: Array, temperature: float) -> Floats:
    """log of the sum of exp(cosine / temperature) over all background words: "N V" -> "N"."""
    logits = np.asarray(background_similarity, np.float64) / temperature
    top = logits.max(axis=1)
    result: Floats = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return result


def competing(label_vectors: Array, background_vectors: Array) -> NDArray[np.float32]:
    """How far each background word competes with each label: unit "C D", "V D" -> "C V" in [0, 1].

    1 for words of another meaning, 0 for the label's own synonyms, a smooth step between the cosines `SAME_MEANING`.
    Cosines are relative to the background's mean, because some text towers put all words into a narrow cone.
    """
    low, high = SAME_MEANING
    labels, background = np.asarray(label_vectors, np.float64), np.asarray(background_vectors, np.float64)
    mean = background.mean(axis=0) if len(background) > 1 else np.zeros(background.shape[1])
    x = np.clip((high - _unit(labels - mean) @ _unit(background - mean).T) / (high - low), 0.0, 1.0)
    result: NDArray[np.float32] = (x * x * (3.0 - 2.0 * x)).astype(np.float32)
    return result


def relative(vectors: Array, background_vectors: Array) -> Floats:
    """Unit vectors "N D" relative to the mean of the background, "V D"."""
    return _unit(np.asarray(vectors, np.float64) - np.asarray(background_vectors, np.float64).mean(axis=0))


def _unit(vectors: Floats) -> Floats:
    result: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return result


def sigmoid(x: Array) -> Floats:
    """1 / (1 + exp(-x)) without overflow."""
    result: Floats = np.exp(-np.logaddexp(0.0, -np.asarray(x, np.float64)))
    return result


def peakedness(background_similarity: Array, temperature: float) -> float:
    """How decided one embedding is among the background words, "V" -> [0, 1].

    1 minus the entropy of their softmax over its largest value: 0 if all words fit equally, 1 if only one fits.
    """
    logits = np.asarray(background_similarity, np.float64) / temperature
    if logits.size < 2:
        return 1.0
    logits = logits - logits.max()
    shares = np.exp(logits)
    total = float(shares.sum())
    entropy = math.log(total) - float(shares @ logits) / total
    return min(1.0, max(0.0, 1.0 - entropy / math.log(logits.size)))


def ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`, linear in between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def pool(log_odds_of: Mapping[str, Array], weights: Mapping[str, float]) -> Floats:
    """Log-odds that a label is seen or heard: "C" per modality and a weight in [0, 1] each -> "C".

    Noisy-or: p = 1 - product over modalities of (1 - weight * p_m). A modality with weight 0 changes nothing, and one
    that does not hear a label does not lower the probability from one that sees it.
    """
    weights = applied({name: weights[name] for name in log_odds_of})
    return noisy_or([(z, weights[name]) for name, z in log_odds_of.items() if weights[name] > 0])


def noisy_or(terms: Sequence[tuple[Array, Array | float]]) -> Floats:
    """The log-odds of `pool` from log-odds and weights of shapes that fit each other, such as "N C" and "N 1"."""
    log_yes, log_no = _one(*terms[0])
    for one_yes, one_no in (_one(*term) for term in terms[1:]):
        # yes = yes_a + no_a * yes_b; no = no_a * no_b
        log_yes, log_no = np.logaddexp(log_yes, log_no + one_yes), log_no + one_no
    result: Floats = log_yes - log_no
    return result


def applied(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights that `pool` multiplies with: as given, or `LEAST_WEIGHT` for each if all are 0."""
    return dict(weights) if any(weight > 0 for weight in weights.values()) else dict.fromkeys(weights, LEAST_WEIGHT)


def _one(odds: Array, weight: Array | float) -> tuple[Floats, Floats]:
    """log(weight * p) and log(1 - weight * p) for p = sigmoid(odds)."""
    z = np.asarray(odds, np.float64)
    log_p, log_not_p = -np.logaddexp(0.0, -z), -np.logaddexp(0.0, z)
    with np.errstate(divide="ignore"):  # the log of 0 is -inf, which is right here
        log_weight, log_rest = np.log(weight), np.log1p(-np.asarray(weight, np.float64))
    return log_p + log_weight, np.logaddexp(log_rest, log_weight + log_not_p)


def shares(log_odds_of_labels: Array) -> Floats:
    """Softmax of the pooled log-odds over the given labels, "C" -> "C": for exclusive classes."""
    z = np.asarray(log_odds_of_labels, np.float64)
    e = np.exp(z - z.max())
    result: Floats = e / e.sum()
    return result
