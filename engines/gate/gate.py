"""The gate: an engine is used only if it computes what the fp32 reference computes, on a fixed golden batch.

Plain cosine is not enough: embeddings of one network all point in a similar direction, so a broken engine may reach
0.98. The gate therefore uses the *centred* cosine, after subtracting the mean embedding, and which label wins.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np

from engines.engine import Engine
from engines.gate.golden import SEED
from pipeline.arrays import Array

NOT_FINITE = 1e9
"""Error reported for outputs that contain NaN or infinity."""
GATE_VERSION = 3
"""Part of every engine's cache key: raise it when limits, golden batch or comparison change, to gate all again."""
SMALLEST_BATCH_RUNS = 8
"""Number of golden samples that are also run one by one."""
LABELS = 256
"""Size of the substitute label set when there are no words: fixed random directions."""
MAX_LABEL_DIM = 4_096
"""Outputs longer than this are pictures, not embeddings; labels do not apply."""


class Limits(msgspec.Struct, frozen=True):
    """Limits for an engine of one precision. Errors are relative to the length of the reference's vector."""

    max_abs: float
    mean_abs: float
    cosine: float
    centred_cosine: float
    top1: float


NEAR_TIE = 0.003
"""Cosine by which a label may be behind the best one and still count as the same: of few samples, one tie that falls
the other way would be a large share."""
LIMITS = {
    "fp32": Limits(max_abs=5e-5, mean_abs=5e-6, cosine=0.999999, centred_cosine=0.9999999, top1=0.99),
    "bf16": Limits(max_abs=2e-2, mean_abs=2e-3, cosine=0.999, centred_cosine=0.97, top1=0.80),
    "fp16": Limits(max_abs=1e-2, mean_abs=1e-3, cosine=0.9995, centred_cosine=0.99, top1=0.90),
    "int8": Limits(max_abs=1e-1, mean_abs=2e-2, cosine=0.995, centred_cosine=0.90, top1=0.70),
}
"""By precision."""


class Figures(msgspec.Struct, frozen=True):
    """How far one output of an engine is from the reference at one batch size."""

    output: str
    batch: int
    max_abs: float
    mean_abs: float
    cosine: float
    """The smallest of all samples."""
    centred_cosine: float
    """Over all samples together, after subtracting the reference's mean from both sides."""
    top1: float | None
    """Share of samples for which the same label wins; None for outputs that are pictures."""


class GateReport(msgspec.Struct, frozen=True):
    """Outcome of the gate, as stored in `meta.json`."""

    passed: bool
    precision: str
    faults: tuple[str, ...]
    figures: tuple[Figures, ...]
    label_set: Literal["words", "directions"]

    @property
    def is_pending(self) -> bool:
        """Whether the engine was built for a device that is not present: the gate runs on first use there."""
        return not self.figures

    @property
    def refusal(self) -> str:
        """Why the engine is not used."""
        return self.text if self.is_pending else f"failed its gate: {self.text}"

    @property
    def worst(self) -> Figures:
        return min(self.figures, key=lambda each: each.centred_cosine)

    @property
    def text(self) -> str:
        """`centred cosine 0.9921, top-1 98 %`, or the first fault."""
        if not self.passed:
            first, *more = self.faults
            return first + (f" (and {len(more)} more)" if more else "")
        top1 = "" if self.worst.top1 is None else f", top-1 {100 * min(f.top1 or 0 for f in self.figures):.0f} %"
        return f"centred cosine {self.worst.centred_cosine:.4f}{top1}"


def joined(reports: Mapping[str, GateReport]) -> GateReport:
    """Combine reports by the sizes they were made at ("T 16, M 3"; "" for the usual sizes): all must pass."""
    first = next(iter(reports.values()))
    faults = tuple(
        f"{fault} at {about}" if about else fault for about, each in reports.items() for fault in each.faults
    )
    figures = tuple(figure for each in reports.values() for figure in each.figures)
    return msgspec.structs.replace(first, passed=not faults, faults=faults, figures=figures)


def pending(precision: str, device: str) -> GateReport:
    why = f"built for {device}, which is not present here; its gate runs on first use there"
    return GateReport(False, precision, (why,), (), "directions")


def gate(
    reference: Engine, candidate: Engine, feeds: Mapping[str, Array], typical_batch: int, labels: Array | None = None
) -> GateReport:
    """Compare two open engines on the golden batch: one by one, in typical batches, and all at once.

    labels: float32 "L D", for the top-1 comparison; without them, fixed random directions are used.
    """
    count = len(next(iter(feeds.values())))
    if labels is not None and not any(port.dims.split()[1:] == [str(labels.shape[1])] for port in reference.outputs):
        labels = None
    wanted = _in_batches(reference, feeds, min(count, max(1, typical_batch)), count)
    figures: list[Figures] = []
    for batch in sorted({1, min(typical_batch, count), count}):
        upto = min(count, SMALLEST_BATCH_RUNS) if batch == 1 else count
        got = _in_batches(candidate, feeds, batch, upto)
        figures += [_figures(port.name, batch, wanted[port.name], got[port.name], labels) for port in reference.outputs]
    faults = tuple(fault for each in figures for fault in _faults(each, LIMITS[candidate.precision]))
    label_set: Any = "directions" if labels is None else "words"
    return GateReport(not faults, candidate.precision, faults, tuple(figures), label_set)


def _in_batches(engine: Engine, feeds: Mapping[str, Array], size: int, count: int) -> dict[str, Array]:
    parts = [
        engine.run({name: feed[begin : min(begin + size, count)] for name, feed in feeds.items()})
        for begin in range(0, count, size)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _figures(output: str, batch: int, wanted: Array, got: Array, labels: Array | None) -> Figures:
    """Figures of one output. wanted: all golden samples; got: the first of them, perhaps fewer."""
    a = wanted.reshape(len(wanted), -1).astype(np.float64)
    b = got.reshape(len(got), -1).astype(np.float64)
    mean = a.mean(axis=0)
    a = a[: len(b)]
    if not np.isfinite(b).all():
        return Figures(output, batch, NOT_FINITE, NOT_FINITE, 0.0, 0.0, 0.0)
    length = np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)
    error = np.abs(a - b) / length
    return Figures(
        output,
        batch,
        max_abs=float(error.max()),
        mean_abs=float(error.mean()),
        cosine=float(_cosine(a, b).min()),
        centred_cosine=float(_cosine((a - mean).reshape(1, -1), (b - mean).reshape(1, -1))[0]),
        top1=_same_winner(a - mean, b - mean, labels),
    )


def _cosine(a: Array, b: Array) -> Array:
    """Cosine of each pair of rows; 0 if one row is all zeros, 1 if both are."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine: Array = (a * b).sum(axis=1) / np.maximum(lengths, 1e-30)
    return np.where(a.any(axis=1) | b.any(axis=1), cosine, 1.0)


def _same_winner(a: Array, b: Array, labels: Array | None) -> float | None:
    """Share of rows with the same best label, or one nearly as good by `a`. None for outputs that are pictures."""
    if a.shape[1] > MAX_LABEL_DIM:
        return None
    if labels is None or labels.shape[1] != a.shape[1]:
        labels = np.random.default_rng(SEED).standard_normal((LABELS, a.shape[1]))
    centred = labels - labels.mean(axis=0)
    centred = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    cosines = a @ centred.T / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)
    winner = (b @ centred.T).argmax(axis=1)
    return float((cosines[np.arange(len(a)), winner] >= cosines.max(axis=1) - NEAR_TIE).mean())


def _faults(figures: Figures, limits: Limits) -> list[str]:
    """One message per figure that is beyond its limit."""
    found = []
    for name in ("max_abs", "mean_abs"):
        value, limit = getattr(figures, name), getattr(limits, name)
        if not value <= limit:
            found.append(f"{name} {value:.2g} above {limit:g}")
    for name in ("cosine", "centred_cosine", "top1"):
        value, limit = getattr(figures, name), getattr(limits, name)
        if value is not None and not value >= limit:
            found.append(f"{name} {value:.4f} below {limit:g}")
    return [f"{figures.output} at batch {figures.batch}: {fault.replace('_', ' ')}" for fault in found]
