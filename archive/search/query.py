"""What a search asks of each clip."""

from typing import Literal, Protocol

import torch

from archive.search.rows import Block, Rows
from pipeline.arrays import Array

Scale = Literal["probability", "similarity", "confidence"]
"""What a score is: calibrated, a cosine, or what a reader of text says of itself."""
NOTHING = float("-inf")
"""The score of a clip that has nothing to compare."""


class Query(Protocol):
    """Scores of clips, first roughly for all of them, then exactly for those that may be among the best."""

    scale: Scale

    def bound(self, block: Block) -> torch.Tensor:
        """A score of each row that its exact one does not exceed, float32 "B"."""

    def exact(self, rows: Rows, where: Array) -> Array:
        """Scores of some rows, float64 "N"."""

    def needles(self) -> dict[str, Array]:
        """Unit vectors "Q D" by column that the vectors of good hits are near to."""
