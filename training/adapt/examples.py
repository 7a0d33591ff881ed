"""Encoded examples: embeddings, signals and labels, stored together with the vectors learnt from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.clip import MODALITIES

EXAMPLES = ".examples"


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
    """embeddings: float32 "N D" of unit length by modality, zeros if an example lacks it."""

    kept: tuple[Kept, ...]
    embeddings: Mapping[str, Array]

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
        return Examples(tuple(self.kept[row] for row in rows), {name: of[rows] for name, of in self.embeddings.items()})

    def ordered(self) -> "Examples":
        """Sorted by label and key, so that the result does not depend on the order of examples."""
        return self.take(sorted(range(len(self.kept)), key=lambda row: (self.kept[row].label, self.kept[row].key)))

    def with_more(self, more: "Examples") -> "Examples":
        """Both together. An example that is in both is taken from `more`."""
        known = {each.key for each in more.kept}
        before = self.take(row for row, each in enumerate(self.kept) if each.key not in known)
        if not before.kept:
            return more
        sides = (before, more)
        names: list[str] = [name for name in MODALITIES if any(name in side.embeddings for side in sides)]
        embeddings = {
            name: np.concatenate([side.embeddings.get(name, self._none(name, side, sides)) for side in sides])
            for name in names
        }
        return Examples(before.kept + more.kept, embeddings)

    @staticmethod
    def _none(name: str, side: "Examples", sides: Iterable["Examples"]) -> Array:
        size = next(other.embeddings[name].shape[1] for other in sides if name in other.embeddings)
        return np.zeros((len(side.kept), size), np.float32)

    def tensors(self) -> dict[str, Array]:
        """The tensors to store in a file, next to `about`."""
        return {f"{name}{EXAMPLES}": of.astype(np.float32) for name, of in self.embeddings.items()}

    def about(self) -> list[Any]:
        return [msgspec.to_builtins(each) for each in self.kept]

    @classmethod
    def read(cls, about: Mapping[str, Any], tensors: Mapping[str, Array]) -> "Examples":
        """From the result of `stages.words.adapted.read_adapted`; empty if the vectors were trained elsewhere."""
        kept = tuple(msgspec.convert(each, Kept) for each in about.get("examples", []))
        found = {name.removesuffix(EXAMPLES): tensor for name, tensor in tensors.items() if name.endswith(EXAMPLES)}
        return cls(kept, {name: found[name] for name in MODALITIES if name in found})


def of_features(kept: Sequence[Kept], embeddings: Sequence[Mapping[str, Array]]) -> Examples:
    """Examples from the embeddings of each: "D" by modality."""
    together: dict[str, Array] = {}
    for name in MODALITIES:
        size = next((len(each[name]) for each in embeddings if name in each), 0)
        if size:
            nothing = np.zeros(size, np.float32)
            together[name] = np.stack([each.get(name, nothing) for each in embeddings]).astype(np.float32)
    return Examples(tuple(kept), together)
