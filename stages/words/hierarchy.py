"""Labels that form a hierarchy, and the most specific node that a clip certainly belongs to."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Array
from stages.words.word import Word

ROUNDING = 1e-9
"""Tolerance for rounding errors: three shares of 0.2 are not more than 0.6."""


@dataclass(frozen=True)
class Hierarchy:
    """A forest over labels: each node with its parent, which comes before it. Leaves are labels."""

    nodes: tuple[str, ...]
    parents: tuple[int, ...]
    """Index of each node's parent, -1 at the top."""
    leaves: tuple[int, ...]
    """Node of each label, in the labels' order."""
    least_share: float = 0.6

    def category(self, labels: tuple[str, ...], share: Array) -> dict[str, Any] | None:
        """The deepest node whose share is more than `least_share`, among the best label and its parents; None if none.

        A node's share is the sum of its leaves' shares "C". Only nodes that contain the best label are considered, so a
        category never contradicts it.
        """
        sums = self.sums(share)
        best = min(np.flatnonzero(share == np.max(share)).tolist(), key=lambda index: labels[index])
        node = self.leaves[best]
        while node >= 0 and sums[node] <= self.least_share + ROUNDING:
            node = self.parents[node]
        if node < 0:
            return None
        return {"label": self.nodes[node], "share": round(min(1.0, float(sums[node])), 6), "path": self.path(node)}

    def sums(self, share: Array) -> NDArray[np.float64]:
        """The share of every node, from those of the labels "C"."""
        sums = np.zeros(len(self.nodes))
        sums[list(self.leaves)] = share
        for node in range(len(self.nodes) - 1, -1, -1):
            if self.parents[node] >= 0:
                sums[self.parents[node]] += sums[node]
        return sums

    def path(self, node: int) -> list[str]:
        """Names from the topmost node down to this one."""
        names: list[str] = []
        while node >= 0:
            names.append(self.nodes[node])
            node = self.parents[node]
        return names[::-1]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Hierarchy":
        record = json.loads(text)
        lists = {name: tuple(record[name]) for name in ("nodes", "parents", "leaves")}
        return cls(**lists, least_share=record["least_share"])


def hierarchy_of(words: Sequence[Word]) -> Hierarchy | None:
    """The forest that the words' parents describe; None if no word has a parent."""
    if not any(word.above for word in words):
        return None
    node_at: dict[tuple[str, ...], int] = {}
    parents: list[int] = []
    for word in words:
        path = (*word.above, word.name)
        for depth in range(1, len(path) + 1):
            if path[:depth] not in node_at:
                node_at[path[:depth]] = len(parents)
                parents.append(node_at.get(path[: depth - 1], -1))
    leaves = tuple(node_at[*word.above, word.name] for word in words)
    return Hierarchy(tuple(path[-1] for path in node_at), tuple(parents), leaves)
