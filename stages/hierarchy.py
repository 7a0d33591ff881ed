"""Labels that form a hierarchy: which node of it a clip is surely in."""

from dataclasses import dataclass
from typing import Any

from pipeline.arrays import Array


@dataclass(frozen=True)
class Hierarchy:
    """A forest over labels: each node with its parent, leaves are labels."""

    nodes: tuple[str, ...]
    parents: tuple[int, ...]
    """Index of each node's parent, -1 at the top."""
    least_share: float = 0.6

    def category(self, labels: tuple[str, ...], share: Array) -> dict[str, Any]:
        """The deepest node whose leaves together have `least_share`."""
        raise NotImplementedError
