"""Encoded examples: embeddings, signals and labels, stored together with the vectors learnt from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.clip import MODALITIES

EXAMPLES, FUSED = ".examples", ".fused"


class Kept(msgspec.Struct, frozen=True):
    """One example, without its embeddings."""

    key: str
    """See `Example.key`. The same example counts once."""
    label: str
    file: str
    """Name of its file, for display."""
    group: str = ""
    signals: dict[str, dict[str, float]] = {}


@dataclass(frozen=True)
class Examples:
    """embeddings: float32 "N D" of unit length by modality, zeros if an example lacks it.

    fused: the same after the model's fusion head, zeros for examples that it does not change.
    """

    kept: tuple[Kept, ...]
    embeddings: Mapping[str, Array]
    fused: Mapping[str, Array] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Each label once, in order of appearance."""
        return tuple(dict.fromkeys(each.label for each in self.kept))

    def present(self, modality: str) -> Array:
        """Whether each example has the modality, bool "N"."""
        found: Array = np.any(self.embeddings[modality] != 0, axis=1)
        return found

    def right(self, labels: Sequence[str]) -> Array:
        """Index of each example's label, "N"."""
        place = {label: index for index, label in enumerate(labels)}
        return np.array([place[each.label] for each in self.kept], np.int64)

    def take(self, rows: Iterable[int]) -> "Examples":
        rows = list(rows)
        own, fused = ({name: of[rows] for name, of in each.items()} for each in (self.embeddings, self.fused))
        return Examples(tuple(self.kept[row] for row in rows), own, fused)

    def ordered(self) -> "Examples":
        """Sorted by label and key, so that the result does not depend on the order of examples."""
        return self.take(sorted(range(len(self.kept)), key=lambda row: (self.kept[row].label, self.kept[row].key)))

    def with_more(self, more: "Examples") -> "Examples":
        """Both together. An example that is in both is taken from `more`."""
        known = {each.key for each in more.kept}
        before = self.take(row for row, each in enumerate(self.kept) if each.key not in known)
        if not before.kept:
            return more
        counts = len(before.kept), len(more.kept)
        embeddings = _joined((before.embeddings, more.embeddings), counts)
        return Examples(before.kept + more.kept, embeddings, _joined((before.fused, more.fused), counts))

    def tensors(self) -> dict[str, Array]:
        """The tensors to store in a file, next to `about`."""
        tensors = {f"{name}{EXAMPLES}": of.astype(np.float32) for name, of in self.embeddings.items()}
        return tensors | {f"{name}{FUSED}": of.astype(np.float32) for name, of in self.fused.items()}

    def about(self) -> list[Any]:
        return [msgspec.to_builtins(each) for each in self.kept]

    @classmethod
    def read(cls, about: Mapping[str, Any], tensors: Mapping[str, Array]) -> "Examples":
        """From the result of `stages.words.adapted.read_adapted`; empty if the vectors were trained elsewhere."""
        kept = tuple(msgspec.convert(each, Kept) for each in about.get("examples", []))
        own, fused = (
            {str(name): tensors[f"{name}{kind}"] for name in MODALITIES if f"{name}{kind}" in tensors}
            for kind in (EXAMPLES, FUSED)
        )
        return cls(kept, own, fused)


def of_features(
    kept: Sequence[Kept], embeddings: Sequence[Mapping[str, Array]], fused: Sequence[Mapping[str, Array]] = ()
) -> Examples:
    """Examples from the embeddings of each: "D" by modality. fused: of each, empty if the head does not change it."""
    return Examples(tuple(kept), _stacked(embeddings), _stacked(fused))


def _stacked(each: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """ "D" by modality of each -> "N D" by modality."""
    together: dict[str, Array] = {}
    for name in MODALITIES:
        size = next((len(of[name]) for of in each if name in of), 0)
        if size:
            nothing = np.zeros(size, np.float32)
            together[name] = np.stack([of.get(name, nothing) for of in each]).astype(np.float32)
    return together


def _joined(sides: Sequence[Mapping[str, Array]], counts: Sequence[int]) -> dict[str, Array]:
    """Both sides' rows together; zeros for a side without the modality. counts: the rows of each."""
    found = {}
    for name in (name for name in MODALITIES if any(name in side for side in sides)):
        size = next(side[name].shape[1] for side in sides if name in side)
        nothing = (np.zeros((count, size), np.float32) for count in counts)
        found[str(name)] = np.concatenate([side.get(name, none) for side, none in zip(sides, nothing, strict=True)])
    return found
