"""Words as vectors of a tower's text space: put into templates or described, averaged, centred and normalised."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from stages.words import scoring
from stages.words.adapted import adapted
from stages.words.descriptions import Described, plain, read_descriptions
from stages.words.label_side import LabelSide
from stages.words.templates import MODEL, OWN_POOL, STREAM, Templates, read_templates, templates_of
from stages.words.text_cache import OpenTower, TextCache
from stages.words.word import Word, background_words, words_of

ONE_TEMPLATE_ABOVE = 1000
"""With more labels than this, only the first of the model's own prompt templates is used for them."""

log = logging.getLogger("percept.labels")

Report = Callable[[str], None]


def check_prompts(labels: Sequence[str], templates: str, descriptions: str) -> None:
    """Check files of templates and of descriptions before anything starts. Raises: ConfigError: one cannot be used."""
    if templates.removeprefix(f"{STREAM}:") not in (MODEL, OWN_POOL, STREAM):
        read_templates(templates.removeprefix(f"{STREAM}:"))
    if descriptions:
        read_descriptions(descriptions, words_of(labels))


def fill(prompts: Iterable[str], words: Iterable[str]) -> list[str]:
    """Every prompt template with every word in place of {}: all words of the first template, then of the next."""
    words = list(words)
    return [prompt.replace("{}", word) for prompt in prompts for word in words]


def mixed(vectors: Array, weights: Array, center: Array | None) -> NDArray[np.float32]:
    """Weighted mean over the templates, with the centre subtracted, unit length: "P C D", "P" -> "C D"."""
    mean = np.tensordot(np.asarray(weights, np.float64), np.asarray(vectors, np.float64), axes=1)
    if center is not None:
        mean = mean - center
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    result: NDArray[np.float32] = (mean / np.maximum(length, 1e-12)).astype(np.float32)
    return result


class SideBuilder:
    """Makes the label side of each tower of a model for the words of a run."""

    def __init__(
        self,
        spec: ModelSpec,
        words: tuple[Word, ...],
        run: RunSettings,
        report: Report,
        open_tower: OpenTower,
    ) -> None:
        self.spec, self.words, self.run = spec, words, run
        self._report, self._open_tower = report, open_tower
        self._caches: dict[str, TextCache] = {}
        self.names = tuple(name for word in words for name in word.names)
        """All synonyms, grouped by label."""
        self.background = background_words(spec)

    @cached_property
    def _described(self) -> dict[str, Described]:
        if not self.run.descriptions:
            return {}
        described, left_out = read_descriptions(self.run.descriptions, self.words)
        if left_out:
            log.warning(left_out)
        return described

    @cached_property
    def starts(self) -> Array | None:
        """Where in `names` each label begins, "C"; None if no label has synonyms."""
        if len(self.names) == len(self.words):
            return None
        starts: Array = np.cumsum([0, *(len(word.names) for word in self.words[:-1])])
        return starts

    def side(self, modality: str) -> LabelSide:
        tower, center = self.spec.towers()[modality], center_of(self.spec, modality)
        templates = templates_of(self.run.templates, self.spec, modality)
        for_labels = templates
        if self.run.templates == MODEL and len(self.names) > ONE_TEMPLATE_ABOVE:
            for_labels = Templates.equal(templates.texts[:1])
        labels = mixed(self.label_stack(modality, for_labels), np.array(for_labels.weights), center)
        background = mixed(self.background_stack(modality, templates), np.array(templates.weights), center)
        kept = scoring.competing(labels, background)
        if self.starts is not None:  # a word that means the same as one synonym competes with none of them
            kept = np.minimum.reduceat(kept, self.starts, axis=0)
        labels = adapted(self.spec, modality, self.names, labels)
        return LabelSide(labels, background, kept, tower.temperature, tower.bias, self.starts, tower.knows_stillness)

    def adapted(self, modality: str, labels: Array) -> Array:
        """Vectors of all synonyms "S D", moved for labels that were learnt from examples."""
        return adapted(self.spec, modality, self.names, labels)

    def label_stack(self, modality: str, templates: Templates) -> Array:
        """Every synonym in every template, "P S D"; a described one has the mean of its sentences in each.

        Unit length except for the described ones, not centred.
        """
        stack = self._stack(modality, templates.texts, self.names)
        described = self._described.get(modality, {})
        rows = [(row, described[plain(name)]) for row, name in enumerate(self.names) if plain(name) in described]
        if rows:
            sentences = [sentence for _, of_name in rows for sentence in of_name]
            vectors = self._cache(modality).vectors(sentences, self._report).astype(np.float64)
            ends = np.cumsum([len(of_name) for _, of_name in rows])[:-1]
            for (row, _), own in zip(rows, np.split(vectors, ends), strict=True):
                stack[:, row] = own.mean(axis=0)
        return stack

    def background_stack(self, modality: str, templates: Templates) -> Array:
        """Every background word in every template, "P V D"."""
        return self._stack(modality, templates.texts, self.background)

    def _stack(self, modality: str, texts: Sequence[str], names: Sequence[str]) -> Array:
        vectors = self._cache(modality).vectors(fill(texts, names), self._report)
        return vectors.reshape(len(texts), len(names), -1)

    def _cache(self, modality: str) -> TextCache:
        space = self.spec.towers()[modality].space
        if space not in self._caches:
            self._caches[space] = TextCache(self.spec, space, self.run, self._open_tower)
        return self._caches[space]


def center_of(spec: ModelSpec, modality: str) -> Array | None:
    """The centre that is subtracted from a tower's label vectors, "D"; None if the tower has none."""
    tower = spec.towers()[modality]
    if not tower.center:
        return None
    from engines.models.checkpoint import center_of as read

    return read(spec, tower)
