"""Words as vectors of a tower's text space: put into templates or described, averaged, centred and normalised."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from stages.words import scoring
from stages.words.adapted import adapted, learnt
from stages.words.descriptions import Described, plain, read_descriptions
from stages.words.kinds import are_kinds, nearer_to_kinds
from stages.words.label_side import LabelSide
from stages.words.templates import MODEL, OWN_POOL, STREAM, Templates, read_templates, templates_of
from stages.words.text_cache import OpenTower, TextCache
from stages.words.vocabulary import known_words
from stages.words.word import Word, background_words, words_of

ONE_TEMPLATE_ABOVE = 1000
"""With more labels than this, only the first of the model's own prompt templates is used for them."""

LEAST_KNOWN = 0.01
"""A tower knows every label at least so far: alone, it still puts them in an order."""
FAR = 0.2
"""A description is far from its name below this text cosine, relative to the background's mean."""
SHOWN = 5

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
        self._warned: set[str] = set()
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
        kept = np.where(self._are_rivals, scoring.competing(labels, background), np.float32(0))
        if self.starts is not None:  # a word that means the same as one synonym competes with none of them
            kept = np.minimum.reduceat(kept, self.starts, axis=0)
        nearer = self._nearer_to_kinds(modality, labels, background)
        moved = self._moved(modality, nearer)
        known = self._known(modality, nearer, background, np.any(moved != nearer, axis=1))
        return LabelSide(
            moved, background, kept, tower.temperature, tower.bias, self.starts, tower.knows_stillness, known
        )

    def _known(self, modality: str, labels: Array, background: Array, is_learnt: Array) -> Array | None:
        """How far a tower of few words knows each label, "C": those near one of its words, and those learnt since."""
        tower = self.spec.towers()[modality]
        if not tower.speaks_of:
            return None
        low, high = tower.speaks_of
        near = self._nearest(modality, labels, background, known_words(self.spec, modality))
        known = np.clip((near - low) / (high - low), LEAST_KNOWN, 1.0)
        if tower.silent_on:
            known[self._nearest(modality, labels, background, tower.silent_on) > near] = LEAST_KNOWN
        known = np.where(is_learnt, 1.0, known)
        return known if self.starts is None else np.maximum.reduceat(known, self.starts)

    def _nearest(self, modality: str, labels: Array, background: Array, words: Sequence[str]) -> Array:
        """Cosine of each label with the nearest of these words, relative to the background's mean, "S"."""
        theirs = scoring.relative(self.vectors(modality, words), background)
        nearest: Array = (scoring.relative(labels, background) @ theirs.T).max(axis=1)
        return nearest

    def moved(self, modality: str, labels: Array, background: Array) -> Array:
        """Vectors of all synonyms "S D", nearer to their kinds, and moved for words that were learnt from examples."""
        return self._moved(modality, self._nearer_to_kinds(modality, labels, background))

    def _moved(self, modality: str, labels: Array) -> Array:
        """As words were learnt with the tower, then as `percept adapt` has learnt labels."""
        return adapted(self.spec, modality, self.names, learnt(self.spec, modality, self.names, labels))

    def _nearer_to_kinds(self, modality: str, labels: Array, background: Array) -> Array:
        return nearer_to_kinds(labels, background, self._kinds, self.spec.towers()[modality].kinds_share)

    @cached_property
    def _are_rivals(self) -> Array:
        """Which background words compete with each synonym, bool "S V"."""
        rivals: Array = ~are_kinds(self.names, self.background, and_others=True)
        return rivals

    @cached_property
    def _kinds(self) -> Array:
        """Which background words are kinds of each synonym, bool "S V"."""
        return are_kinds(self.names, self.background)

    def label_stack(self, modality: str, templates: Templates) -> Array:
        """Every synonym in every template, "P S D", not centred.

        Of unit length, except for described ones: with these, the mean of the sentences is mixed in each template, by
        `description_weight`. The name stays in, because a sentence alone may fit its label less well.
        """
        stack = self._stack(modality, templates.texts, self.names)
        described = self._described.get(modality, {})
        rows = [(row, described[plain(name)]) for row, name in enumerate(self.names) if plain(name) in described]
        if rows:
            sentences = [sentence for _, of_name in rows for sentence in of_name]
            vectors = self._cache(modality).vectors(sentences, self._report).astype(np.float64)
            ends = np.cumsum([len(of_name) for _, of_name in rows])[:-1]
            described_by = {row: own.mean(axis=0) for (row, _), own in zip(rows, np.split(vectors, ends), strict=True)}
            self._warn_of_far(modality, templates, stack, described_by)
            weight = self.run.description_weight
            for row, own in described_by.items():
                stack[:, row] = (1.0 - weight) * stack[:, row] + weight * own
        return stack

    def _warn_of_far(self, modality: str, templates: Templates, stack: Array, described: Mapping[int, Array]) -> None:
        """Warn of descriptions, "D" by row, that are far from their names, relative to the background."""
        if modality in self._warned:
            return
        self._warned.add(modality)
        mean = self.background_stack(modality, Templates.equal(templates.texts[:1])).mean(axis=(0, 1))
        far = []
        for row, own in described.items():
            name = stack[:, row].mean(axis=0) - mean
            cosine = float(name @ (own - mean) / max(np.linalg.norm(name) * np.linalg.norm(own - mean), 1e-12))
            if cosine < FAR:
                far.append((cosine, self.names[row]))
        if far:
            worst = ", ".join(f"{name!r} ({cosine:.2f})" for cosine, name in sorted(far)[:SHOWN])
            more = f" and {len(far) - SHOWN} more" if len(far) > SHOWN else ""
            log.warning(
                f"--descriptions: for the {modality} tower, the sentences are far from the names of {worst}{more}: "
                f"cosine below {FAR:g}, relative to everyday words. If they describe something else, correct them. If "
                "the names are codes that no model knows, set labels.description_weight = 1"
            )

    def vectors(self, modality: str, words: Sequence[str]) -> Array:
        """Vectors of any words in the model's own first template, as label vectors: unit "N D", centred."""
        templates = Templates.equal(templates_of(MODEL, self.spec, modality).texts[:1])
        stack = self._stack(modality, templates.texts, words)
        return mixed(stack, np.array(templates.weights), center_of(self.spec, modality))

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
