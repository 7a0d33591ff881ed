"""Which prompt templates suit a tower and the clips at hand, found from unlabelled clips.

ZPE, Allingham et al. 2023 (arXiv 2302.06235): a template is weighted by how decided its scores are, once its expected
scores are subtracted. Classes are the model's background vocabulary, so that the labels of a run do not affect each
other through their templates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Array

Floats = NDArray[np.float64]

CLIPS = 200
"""The average is over this many clips; a stream gradually forgets older ones."""
SHARPNESS = 2.0
"""Factor in the softmax over robust z-scores: a template one spread below the median has a seventh of its weight."""
LEAST_SPREAD = 0.05
"""Share of the median score: smaller differences between templates count as chance."""
ABOVE = 0.5
"""Median absolute deviations above the median at which a template is selected."""


def decided(embeddings: Array, vectors: Array, expected: Array, temperature: float) -> Floats:
    """How decided each template's scores are in each clip, in logits: unit "N D", unit "P V D", "D" -> "N P".

    A score is the logit of a clip and a word minus that of the `expected` embedding: scores are linear in the
    embedding, so the mean of scores is the score of the mean. A template is as decided as its best word.
    """
    above = np.asarray(embeddings, vectors.dtype) - np.asarray(expected, vectors.dtype)
    templates, words, dim = vectors.shape
    logits = above @ vectors.reshape(-1, dim).T / temperature
    result: Floats = logits.reshape(len(above), templates, words).max(axis=2).astype(np.float64)
    return result


def expectation(seen: Array, usual: Array | None) -> Array:
    """The mean embedding "D" of the clips, averaged with that of the training clips (`usual`) if the model has it."""
    return seen if usual is None else (seen + usual) / 2.0


def template_scores(embeddings: Array, vectors: Array, temperature: float, usual: Array | None = None) -> Floats:
    """Score of each template over all clips at once: unit "N D", unit "P V D" -> "P"."""
    expected = expectation(np.asarray(embeddings).mean(axis=0), usual)
    result: Floats = decided(embeddings, vectors, expected, temperature).mean(axis=0)
    return result


def softmax_weights(scores: Array) -> Floats:
    """Scores "P" -> weights "P" that sum to 1: softmax of their robust z-scores, at any tower temperature."""
    median = np.median(scores)
    spread = max(1.4826 * float(np.median(np.abs(scores - median))), LEAST_SPREAD * abs(float(median)), 1e-9)
    z = SHARPNESS * (np.asarray(scores, np.float64) - median) / spread
    weights = np.exp(z - z.max())
    result: Floats = weights / weights.sum()
    return result


def selected_weights(scores: Array) -> Floats:
    """Scores "P" -> the same weight for every template well above the median, 0 for the others; sum 1."""
    distance = np.asarray(scores, np.float64) - np.median(scores)
    chosen = distance > ABOVE * np.median(np.abs(distance))
    if not chosen.any():
        chosen[:] = True
    result: Floats = chosen / chosen.sum()
    return result


def blended(scores: Array, clips: int) -> Floats:
    """Weights after this many clips: equal at first, by score alone from `CLIPS` clips."""
    share = min(1.0, clips / CLIPS)
    result: Floats = (1.0 - share) / len(scores) + share * softmax_weights(scores)
    return result


@dataclass(frozen=True)
class Running:
    """The running scores of one tower's templates over a stream of clips."""

    clips: int
    mean: Floats
    """Mean embedding, "D"."""
    scores: Floats
    """Scores of the templates, "P"."""

    @classmethod
    def start(cls, dim: int, templates: int) -> "Running":
        return cls(0, np.zeros(dim), np.zeros(templates))

    def after(self, embedding: Array, vectors: Array, temperature: float, usual: Array | None = None) -> "Running":
        """With one more clip, "D"; averages over all clips up to `CLIPS`, then over about the last `CLIPS`."""
        rate = 1.0 / min(self.clips + 1, CLIPS)
        mean = self.mean + rate * (np.asarray(embedding, np.float64) - self.mean)
        new = decided(embedding[None], vectors, expectation(mean, usual), temperature)[0]
        return Running(self.clips + 1, mean, self.scores + rate * (new - self.scores))

    @property
    def weights(self) -> Floats:
        return blended(self.scores, self.clips)


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    clips: int
    mean: bytes
    scores: bytes


_decoder = msgspec.msgpack.Decoder(dict[str, _Stored])


def encode_state(running: Mapping[str, Running]) -> bytes:
    """The running scores by modality, as plain data."""
    stored = {name: _Stored(one.clips, one.mean.tobytes(), one.scores.tobytes()) for name, one in running.items()}
    return msgspec.msgpack.encode(stored)


def decode_state(state: bytes) -> dict[str, Running]:
    """The running scores from `encode_state`; none from b""."""
    stored = _decoder.decode(state) if state else {}
    return {
        name: Running(one.clips, np.frombuffer(one.mean), np.frombuffer(one.scores)) for name, one in stored.items()
    }
