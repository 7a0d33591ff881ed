"""The label vectors of one tower, and how embeddings are compared with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.arrays import Array
from stages.words import scoring


@dataclass(frozen=True)
class LabelSide:
    """The label vectors of one tower.

    labels: float32 "S D" and background: float32 "V D" are unit length, with the tower's centre subtracted. S is the
        number of labels C, or of all their synonyms, grouped by label.
    kept: float32 "C V", how far each background word competes with each label (see `scoring.competing`).
    starts: int64 "C", where in `labels` each label's synonyms begin; None if no label has any.
    knows_stillness: see `TowerSpec.knows_stillness`.
    known: float64 "C" in (0, 1], how far the tower knows each label (`TowerSpec.speaks_of`): no label is more probable
        than that. None if it knows all.
    """

    labels: Array
    background: Array
    kept: Array
    temperature: float
    bias: float
    starts: Array | None = None
    knows_stillness: bool = False
    known: Array | None = None

    def compare(self, embeddings: Array) -> tuple[Array, Array, Array]:
        """Unit "N D" -> cosine with labels "N C", cosine with the background "N V", log-odds of labels "N C".

        A label's cosine is that of its nearest synonym (OpenSeg, Ghiasi et al. 2022, arXiv 2112.12143).
        """
        vectors = np.asarray(embeddings, np.float64)
        similarity, background = vectors @ self.labels.T, vectors @ self.background.T
        if self.starts is not None:
            similarity = np.maximum.reduceat(similarity, self.starts, axis=1)
        odds = scoring.log_odds(similarity, background, self.kept, self.temperature, self.bias)
        return similarity, background, scoring.capped(odds, self.known)

    def synonyms(self, row: int) -> Array:
        """The vectors of the names of a label, "S D"."""
        if self.starts is None:
            return self.labels[row : row + 1]
        ends = [*self.starts[1:].tolist(), len(self.labels)]
        return self.labels[int(self.starts[row]) : ends[row]]

    def only(self, rows: Sequence[int]) -> "LabelSide":
        """Some of the labels alone, in this order."""
        names = [self.synonyms(row) for row in rows]
        starts = np.cumsum([0, *(len(each) for each in names)])[:-1]
        known = None if self.known is None else self.known[list(rows)]
        return replace(self, labels=np.concatenate(names), kept=self.kept[list(rows)], starts=starts, known=known)

    def arrays(self, name: str) -> dict[str, Any]:
        """The arrays to store, by key; float64 once here is faster than a conversion in every clip."""
        vectors = {"labels": self.labels, "background": self.background, "kept": self.kept}
        found = {f"{name}.{key}": value.astype(np.float64) for key, value in vectors.items()}
        found[f"{name}.scale"] = np.array([self.temperature, self.bias, self.knows_stillness], np.float64)
        optional = {"starts": self.starts, "known": self.known}
        return found | {f"{name}.{key}": value for key, value in optional.items() if value is not None}

    @classmethod
    def of_arrays(cls, stored: Mapping[str, Array], name: str) -> "LabelSide":
        temperature, bias, stillness = stored[f"{name}.scale"].tolist()
        labels, background, kept = (stored[f"{name}.{part}"] for part in ("labels", "background", "kept"))
        starts, known = stored.get(f"{name}.starts"), stored.get(f"{name}.known")
        return cls(labels, background, kept, temperature, bias, starts, bool(stillness), known)
