"""The labels of a run as vectors, computed once for all workers of the run."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from stages.phrase.lexicon import COLOURS
from stages.words import open_set
from stages.words.box_names import BOX_NAMES, BoxNames, box_names
from stages.words.head_share import head_shares
from stages.words.hierarchy import Hierarchy, hierarchy_of
from stages.words.label_side import LabelSide
from stages.words.label_vectors import SideBuilder
from stages.words.mapped import mapped_arrays, save_arrays
from stages.words.open_set import OpenSetScore
from stages.words.relations import things_to_find
from stages.words.text_cache import OpenTower, open_text_tower
from stages.words.things import known
from stages.words.word import SYNONYM, words_of

log = logging.getLogger("percept.labels")

LABELS_FILE = "labels.safetensors"
"""Name of the label set in the run's directory."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class LabelSet:
    """The labels of a run with a `LabelSide` for every modality that can score them."""

    labels: tuple[str, ...]
    """As shown in results: the first of each label's synonyms."""
    sides: dict[str, LabelSide]
    background: tuple[str, ...] = ()
    head_share: Array | None = None
    """Share of the fusion head in each label's score, "C"; None if the model has no head."""
    hierarchy: Hierarchy | None = None
    open_set: OpenSetScore | None = None
    box_names: BoxNames | None = None
    """What tracks may be called: what the run is to find, or else its labels; None without an image tower."""
    find: tuple[str, ...] = ()
    """What is to be found."""

    def save(self, path: Path) -> None:
        """Write one file, complete or not at all, for processes that map it."""
        text = {
            "labels": self.labels,
            "background": self.background,
            "hierarchy": self.hierarchy.to_json() if self.hierarchy else "",
            "open_set": self.open_set.to_json() if self.open_set else "",
            "find": self.find,
            "box_names": [self.box_names.names, self.box_names.own] if self.box_names else [],
        }
        arrays: dict[str, Any] = {"text": np.frombuffer(json.dumps(text).encode(), np.uint8)}
        if self.head_share is not None:
            arrays["head_share"] = self.head_share
        for name, side in self.sides.items():
            arrays |= side.arrays(name)
        if self.box_names is not None:
            arrays |= self.box_names.arrays()
        save_arrays(path, arrays)

    @classmethod
    def load(cls, path: Path) -> "LabelSet":
        """Read a file that `save` wrote.

        Raises:
            FileNotFoundError: `prepare` of the classify stage has not run for this directory.
        """
        arrays = mapped_arrays(path)
        text = json.loads(arrays["text"].tobytes())
        names = [name.removesuffix(".scale") for name in arrays if name.endswith(".scale")]
        names = [name for name in names if name != BOX_NAMES]
        return cls(
            tuple(text["labels"]),
            {name: LabelSide.of_arrays(arrays, name) for name in names},
            tuple(text["background"]),
            arrays.get("head_share"),
            Hierarchy.from_json(text["hierarchy"]) if text["hierarchy"] else None,
            OpenSetScore.from_json(text["open_set"]) if text["open_set"] else None,
            BoxNames.of_arrays(arrays, *text["box_names"]) if text["box_names"] else None,
            tuple(text["find"]),
        )


def _warn_of_colours(names: Sequence[str]) -> None:
    """Warn of colours that are not measured, as in "red and white bus", which for a picture tower fits a green one."""
    coloured = [name for name in names if not (COLOURS.keys().isdisjoint(name.casefold().split()[:-1]) or known(name))]
    if coloured:
        log.warning(
            f"--find {coloured[0]!r}: tracks are named by what they are, and hardly by these colours: others may be "
            "among them. One colour is measured before the name of a thing, such as 'red bus', or in 'person in red'"
        )


def build_label_set(
    spec: ModelSpec, labels: tuple[str, ...], run: RunSettings, report: Report, open_tower: OpenTower = open_text_tower
) -> LabelSet:
    """Vectors of the labels and of the background vocabulary for every tower of the model that the run uses.

    labels: as returned by `parse_labels`, with synonyms and parents. Text vectors come from the disk cache; missing
    ones are computed with the model's text tower and stored.
    """
    words = words_of(labels)
    builder = SideBuilder(spec, words, run, report, open_tower)
    shares = head_shares(spec.fusion, tuple(SYNONYM.join(word.names) for word in words))
    sides = {name: builder.side(name) for name in spec.towers() if name in run.modalities}
    names = words
    side = sides.get("image")
    if run.find and side is not None:
        names = things_to_find(run.find)
        _warn_of_colours([word.name for word in names])
        side = SideBuilder(spec, names, run, report, open_tower).side("image")
    return LabelSet(
        tuple(word.name for word in words),
        sides,
        builder.background,
        shares,
        hierarchy_of(words),
        open_set.load(spec, sides, shares),
        None if side is None else box_names(names, builder.background, side, all_things=bool(run.find)),
        run.find,
    )
