"""Words of a query as vectors in the text spaces of the model that an archive was labelled with."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from archive.search.rows import Rows, exact
from archive.search.vectors import span_of, unit
from engines.models.checkpoint import BUNDLED, read_model
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.words.label_side import LabelSide
from stages.words.labels import LabelSet, build_label_set
from stages.words.scoring import log_sum
from stages.words.word import clean_labels, parse_labels

ASPECTS = Path(__file__).with_name("aspects.toml")
NEAR = 0.02
"""Difference of log-sums up to which the background vocabulary counts as the same: 16-bit vectors differ by less."""
CHECKED_ROWS = 4096


class Words:
    """The text side of an archive's model. `run`: model, prompt templates and cache as for labelling.

    Raises: ConfigError: the archive was labelled with another model.
    """

    def __init__(self, model: str, run: RunSettings, report: Callable[[str], None] = lambda text: None) -> None:
        self._run, self._report = run, report
        self._spec = read_model(run.model, run.audio_model)
        if model and self._spec.id != model:
            raise ConfigError(
                f"--model {run.model}: is {self._spec.id}, but the archive was labelled with {model}. Give that model."
            )

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(name for name in self._spec.towers() if name in self._run.modalities)

    def labels(self, texts: Sequence[str], where: str = "the query") -> LabelSet:
        """Vectors of some texts, each a label with its synonyms, in every tower's space."""
        return build_label_set(self._spec, clean_labels(texts, where), self._run, self._report)

    def aspect(self, given: str) -> dict[str, Array]:
        """An orthonormal basis "R D" by modality of what an aspect's words differ in."""
        words = aspect_words(given)
        sides = self.labels(words, "--aspect").sides
        return {name: span_of(side.labels) for name, side in sides.items()}


def model_of(model: str) -> str:
    """The bundled model that an archive names, such as percept-mini@3; "" if it is none."""
    name = model.partition("@")[0]
    return name if name and "/" not in name and (BUNDLED / name).is_dir() else ""


def aspect_words(given: str) -> tuple[str, ...]:
    """The words of a named aspect, of "beach, street", or of the file of "@words.txt".

    Raises: ConfigError: there are fewer than two.
    """
    known = tomllib.loads(ASPECTS.read_text(encoding="utf-8"))
    words = tuple(known[given]) if given in known else parse_labels(given)
    if len(words) < 2:
        raise ConfigError(
            f"--aspect {given!r}: is one word; expected one of {', '.join(known)}, or words that differ in the aspect, "
            "such as 'beach, street, kitchen' or @words.txt"
        )
    return words


def through_words(vector: Array, own: LabelSide, other: LabelSide) -> Array:
    """A vector of one tower's space in the space of another: the background words that it is near, mixed as it is.

    Both sides have the same background words, so a sound becomes the pictures of what is heard.
    """
    logits = own.background @ unit(vector) / own.temperature
    shares = np.exp(logits - logits.max())
    return unit((shares / shares.sum()) @ other.background)


def check_background(rows: Rows, sides: Mapping[str, LabelSide]) -> None:
    """Raises: ConfigError: the archive's sums are those of other background words or prompt templates."""
    for name, side in sides.items():
        if not rows.has(name):
            continue
        stored = rows.column(f"{name}_log_sum")[:CHECKED_ROWS]
        known = np.flatnonzero(~np.isnan(stored))[:1]
        for row in known:
            own = log_sum(exact(rows, name, [row]) @ side.background.T, side.temperature)[0]
            if abs(own - stored[row]) > NEAR:
                raise ConfigError(
                    f"the archive's probabilities of {name} were computed with other prompt templates or another "
                    "background vocabulary. Give the settings of that run (--templates, -c), or label it again."
                )
