"""Scores of a block of clips as the columns `labels`, `category` and `open_set` of an archive."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow

from archive.relabel_scores import BlockScores
from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from pipeline.sinks.parquet import table_schema
from stages.words.hierarchy import ROUNDING, Hierarchy
from stages.words.labels import LabelSet
from stages.words.near_synonyms import LEAST_PROBABILITY, near_synonyms

DIGITS = 6
"""Significant digits of scores, as in all results."""


class ColumnMaker:
    """Makes columns for one label set."""

    def __init__(self, label_set: LabelSet) -> None:
        names = label_set.labels
        self._labels = label_set
        self._names = pyarrow.array(names, pyarrow.string())
        self._tree = None if label_set.hierarchy is None else _Tree(label_set.hierarchy)
        number = {name: place for place, name in enumerate(names)}
        self._near = np.zeros((len(names), len(names)), bool)
        for name, others in near_synonyms(names, range(len(names)), label_set.sides).items():
            self._near[number[name], [number[other] for other in others]] = True
        self._has_near = bool(self._near.any())

    def columns(self, scores: BlockScores) -> Mapping[str, Any]:
        """One array per column, with null for clips without any modality that scores."""
        is_scored: Array = np.any(scores.present, axis=0)
        return {
            "labels": self._label_rows(scores, is_scored),
            "category": self._category(scores, is_scored),
            "open_set": self._open_set(scores, is_scored),
        }

    def _label_rows(self, scores: BlockScores, is_scored: Array) -> Any:
        kind = type_of("labels")
        each = scores.best.shape[1]
        kept = np.repeat(is_scored, each)
        fields = {
            "label": self._names.take(pyarrow.array(scores.best.reshape(-1)[kept])),
            "probability": _numbers(scores.probability, kept),
            "share": _numbers(scores.share, kept),
            "evidence": _evidence(kind.value_type.field("evidence").type, scores, kept),
            "near": self._near_rows(scores, kept),
            "base_log_odds": _numbers(np.repeat(scores.base, each), kept),
        }
        rows = pyarrow.StructArray.from_arrays(
            [fields[field.name] for field in kind.value_type], fields=list(kind.value_type)
        )
        return _lists(np.where(is_scored, each, 0), rows, kind, is_scored)

    def _near_rows(self, scores: BlockScores, kept: Array) -> Any:
        """For each row of a label, the other probable labels of the clip that mean nearly the same."""
        kind, best = type_of("labels").value_type.field("near").type, scores.best
        probable = scores.probability >= LEAST_PROBABILITY
        most = int(probable.sum(axis=1).max(initial=0))
        counts = np.zeros(best.shape, np.int64)
        others = np.zeros(0, np.int64)
        if self._has_near and most > 1:
            first, both = best[:, :most], probable[:, :most]
            pairs = self._near[first[:, :, None], first[:, None, :]] & both[:, :, None] & both[:, None, :]
            pairs[:, range(most), range(most)] = False
            counts[:, :most] = pairs.sum(axis=2)
            clips, _, columns = np.nonzero(pairs)
            others = best[clips, columns]
        flat = counts.reshape(-1)[kept]
        return _lists(flat, self._names.take(pyarrow.array(others)), kind, flat > 0)

    def _category(self, scores: BlockScores, is_scored: Array) -> Any:
        kind = type_of("category")
        if self._tree is None:
            return pyarrow.nulls(len(is_scored), kind)
        nodes, shares = self._tree.categories(np.nan_to_num(scores.shares_of_all), scores.best[:, 0])
        is_known = is_scored & (nodes >= 0)
        numbers = pyarrow.array(np.where(is_known, nodes, 0))
        values = {
            "label": self._tree.names.take(numbers),
            "share": pyarrow.array(np.round(np.minimum(1.0, shares), 6)),
            "path": self._tree.paths.take(numbers),
        }
        return _struct(kind, values, is_known)

    def _open_set(self, scores: BlockScores, is_scored: Array) -> Any:
        kind, judge = type_of("open_set"), self._labels.open_set
        if judge is None:
            return pyarrow.nulls(len(is_scored), kind)
        values = {
            "score": pyarrow.array(scores.unknown),
            "threshold": pyarrow.array(np.full(len(is_scored), judge.threshold)),
            "none_of_these": pyarrow.array(scores.unknown > judge.threshold),
        }
        return _struct(kind, values, is_scored)


class _Tree:
    """A hierarchy as arrays."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        nodes = len(hierarchy.nodes)
        self._parents = np.array(hierarchy.parents)
        self._leaves = np.array(hierarchy.leaves)
        self._least = hierarchy.least_share + ROUNDING
        self._above = np.stack([hierarchy.sums(row) for row in np.eye(len(hierarchy.leaves))])
        """Which nodes hold each label: float64 "C nodes"."""
        self.names = pyarrow.array(hierarchy.nodes, pyarrow.string())
        self.paths = pyarrow.array(
            [hierarchy.path(node) for node in range(nodes)], type_of("category").field("path").type
        )

    def categories(self, shares: Array, best: Array) -> tuple[Array, Array]:
        """Shares "N C" and the best label "N" -> node "N", -1 where none is certain, and its share "N"."""
        sums = shares @ self._above
        rows, nodes = np.arange(len(best)), self._leaves[best]
        while True:
            is_small = (nodes >= 0) & (sums[rows, nodes] <= self._least)
            if not is_small.any():
                return nodes, sums[rows, nodes]
            nodes = np.where(is_small, self._parents[nodes], nodes)


def type_of(column: str) -> Any:
    return table_schema().field(column).type


def short(values: Array) -> Array:
    """Rounded to six significant digits."""
    sizes = np.abs(values)
    digits = DIGITS - 1 - np.floor(np.log10(np.where(sizes > 0, sizes, 1.0)))
    scale = 10.0 ** np.clip(digits, 0, 300)
    rounded: Array = np.round(values * scale) / scale
    return rounded


def _numbers(values: Array, kept: Array) -> Any:
    return pyarrow.array(short(values.reshape(-1)[kept]))


def _evidence(kind: Any, scores: BlockScores, kept: Array) -> Any:
    """One struct per row of a label; null for modalities that the clip does not have."""
    each = scores.best.shape[1]
    by_name = {}
    for place, name in enumerate(scores.modalities):
        values = {
            "probability": _numbers(scores.evidence[place], kept),
            "similarity": _numbers(scores.similarity[place], kept),
            "weight": _numbers(np.repeat(scores.weight[place], each), kept),
            "contribution": _numbers(scores.contribution[place], kept),
        }
        by_name[name] = _struct(kind.field(name).type, values, np.repeat(scores.present[place], each)[kept])
    absent = [pyarrow.nulls(int(kept.sum()), kind.field(name).type) for name in MODALITIES]
    arrays = [by_name.get(name, nothing) for name, nothing in zip(MODALITIES, absent, strict=True)]
    return pyarrow.StructArray.from_arrays(arrays, fields=list(kind))


def _struct(kind: Any, values: Mapping[str, Any], is_there: Array) -> Any:
    arrays = [values[field.name] for field in kind]
    return pyarrow.StructArray.from_arrays(arrays, fields=list(kind), mask=pyarrow.array(~is_there))


def _lists(counts: Array, values: Any, kind: Any, is_there: Array) -> Any:
    """Lists of so many of the values each; null where there is none."""
    ends = np.cumsum(np.concatenate([[0], counts])).astype(np.int32)
    return pyarrow.ListArray.from_arrays(
        pyarrow.array(ends), values, type=kind, mask=pyarrow.array(~np.asarray(is_there, bool))
    )
