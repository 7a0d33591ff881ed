"""Queries by vectors: how near the clips are to an example, to words, or to a mixture of both."""

from collections.abc import Mapping

import numpy as np
import torch

from archive.search.query import NOTHING, Scale
from archive.search.rows import Block, Rows, exact
from pipeline.arrays import Array

MARGIN = 1e-5
"""Error of a cosine in 32-bit floats."""
LEAST_LENGTH = LEAST_TRUST = 1e-6


class VectorQuery:
    """Cosine with a unit vector "D" by modality; of several, the mean weighted by how far each is trusted in the clip.

    spans: orthonormal "R D" by modality: if given, only what the vectors have in this subspace counts.
    """

    scale: Scale = "similarity"

    def __init__(self, vectors: Mapping[str, Array], spans: Mapping[str, Array] | None = None) -> None:
        self._vectors, self._spans = dict(vectors), dict(spans or {})
        self._queries = {name: torch.from_numpy(self._query(name).astype(np.float32)) for name in vectors}

    def _query(self, name: str) -> Array:
        """What a clip's vector is multiplied with: the query "1 D", or the span "R D" behind the query in it."""
        vector = np.asarray(self._vectors[name], np.float64)
        if name not in self._spans:
            return vector[None]
        span = self._spans[name]
        inside = span.T @ (span @ vector)
        found: Array = np.concatenate([inside[None] / max(float(np.linalg.norm(inside)), 1e-12), span])
        return found

    def bound(self, block: Block) -> torch.Tensor:
        near = {name: self._near(block, name) for name in self._queries}
        if len(near) == 1:  # three operations on small blocks instead of ten
            return near.popitem()[1].nan_to_num(NOTHING) + self._margin
        total = weights = torch.zeros(block.size)
        for name, cosine in near.items():
            weight = torch.where(cosine.isnan(), 0.0, block.numbers(_weight(name)).clamp_min(LEAST_TRUST))
            total, weights = total + weight * cosine.nan_to_num(), weights + weight
        return torch.where(weights > 0, total / weights.clamp_min(1e-12) + self._margin, NOTHING)

    def _near(self, block: Block, name: str) -> torch.Tensor:
        """Cosine of each row, NaN where it has no such vector: a log-sum of NaN says so."""
        cosines = block.cosines(name, self._queries[name])
        near = cosines[0] / cosines[1:].norm(dim=0).clamp_min(LEAST_LENGTH) if len(cosines) > 1 else cosines[0]
        return torch.where(block.numbers(f"{name}_log_sum").isnan(), float("nan"), near)

    @property
    def _margin(self) -> float:
        """Cosines in a subspace are divided by lengths that may be small."""
        return 1e-3 if self._spans else MARGIN

    def exact(self, rows: Rows, where: Array) -> Array:
        total, weights = np.zeros(len(where)), np.zeros(len(where))
        for name in self._queries:
            query, vectors = self._query(name), exact(rows, name, where)
            cosines = vectors @ query.T
            lengths = np.maximum(np.linalg.norm(cosines[:, 1:], axis=1), LEAST_LENGTH) if len(query) > 1 else 1.0
            trust = np.maximum(exact(rows, _weight(name), where), LEAST_TRUST) if len(self._queries) > 1 else 1.0
            weight = np.where(np.isnan(exact(rows, f"{name}_log_sum", where)), 0.0, trust)
            total, weights = total + weight * cosines[:, 0] / lengths, weights + weight
        found: Array = np.where(weights > 0, total / np.maximum(weights, 1e-12), NOTHING)
        return found

    def needles(self) -> dict[str, Array]:
        return {name: unit(self._query(name)[0])[None] for name in self._queries}

    def evidence(self, rows: Rows, row: int) -> dict[str, float]:
        """The cosine of each modality alone; those that the clip has."""
        where = np.array([row])
        one = {name: VectorQuery({name: vector}, self._span(name)) for name, vector in self._vectors.items()}
        found = {name: float(query.exact(rows, where)[0]) for name, query in one.items()}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def _span(self, name: str) -> dict[str, Array]:
        return {name: self._spans[name]} if name in self._spans else {}


def _weight(name: str) -> str:
    return f"{name.removeprefix('fused_')}_weight"


def unit(vector: Array) -> Array:
    """A vector of length 1; zeros stay zeros."""
    found: Array = np.asarray(vector, np.float64) / max(float(np.linalg.norm(vector)), 1e-12)
    return found


def mixture(parts: list[tuple[float, Array]]) -> Array:
    """The weighted sum of unit vectors, at unit length: image and words in one query as in ALIGN (Jia et al. 2021,
    arXiv 2102.05918, section 5.3). Weights may be negative.
    """
    return unit(np.sum([weight * unit(vector) for weight, vector in parts], axis=0))


def span_of(words: Array) -> Array:
    """An orthonormal basis "R D" of what the vectors of an aspect's words "W D" differ in."""
    words = np.asarray(words, np.float64)
    _, sizes, basis = np.linalg.svd(words - words.mean(axis=0), full_matrices=False)
    found: Array = basis[sizes > 1e-6 * max(float(sizes[0]), 1e-12)]
    return found
