"""Scores a labelled example with each modality alone, with all modalities pooled, and with the fusion head."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.classify import score_all
from stages.words import scoring
from stages.words.labels import LabelSet, build_label_set
from stages.words.word import words_of
from training.data.example import Example
from training.evaluate.head import fused_embeddings, opened_head
from training.features import Features

POOLED, FUSED = "pooled", "fused"
VIEWS = (*MODALITIES, POOLED, FUSED)
"""One modality alone; all modalities pooled; all modalities with the model's fusion head."""
TOP = 5

Report = Callable[[str], None]


@dataclass(frozen=True)
class Answer:
    """The scores of one view of one example. Labels are given by index; ranks count from 0."""

    rank: int
    """Rank of the right label."""
    top: tuple[int, ...]
    """The best labels, best first."""
    probability: float
    """Probability of the best label."""
    share: float
    """Share of the best label among all labels."""
    right_probability: float
    """Probability of the right label."""
    own_rank: int
    """Rank of the right label among the labels of its own side, base or novel."""
    cosine_rank: int | None = None
    """Rank of the right label by cosine alone, as in papers; None for pooled views."""

    @property
    def best(self) -> int:
        return self.top[0]


@dataclass(frozen=True)
class Answered:
    """One example with its answers, by view. A view is missing if the example lacks its modality."""

    example: Example
    right: int
    views: Mapping[str, Answer]

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(name for name in MODALITIES if name in self.views)


@dataclass
class Judge:
    """Scores features against a list of labels. Call `open` before, `close` after.

    novel: the labels that count as novel, for ranks within each side.
    """

    run: RunSettings
    labels: Sequence[str]
    novel: frozenset[str] = frozenset()
    spec: ModelSpec = field(init=False)

    def open(self, report: Report) -> None:
        self.spec = read_model(self.run.model, self.run.audio_model)
        self.label_set: LabelSet = build_label_set(self.spec, tuple(self.labels), self.run, report)
        self.names = self.label_set.labels
        self.place = places(self.labels)
        self._by_name = np.argsort(np.argsort(np.array(self.names)))
        self._is_novel = np.array([name in self.novel for name in self.names], bool)
        self._opened = ExitStack()
        self._head = self._opened.enter_context(opened_head(self.spec, self.run, report))

    def close(self) -> None:
        self._opened.close()

    def answer(self, example: Example, features: Features) -> Answered | None:
        """The answers of all views; None if the model has no tower for any modality of the example."""
        embeddings = {name: e for name, e in features.embeddings.items() if name in self.label_set.sides}
        if not embeddings:
            return None
        right = self.place[plain(example.label)]
        scores = score_all(self.label_set, embeddings, features.signals)
        views: dict[str, Answer] = {
            name: self._answer(scores.alone[name], right, scores.similarity[name])
            for name in MODALITIES
            if name in embeddings
        }
        views[POOLED] = self._answer(scores.pooled, right)
        if self._head is not None:
            fused = fused_embeddings(self._head, features, embeddings)
            with_head = score_all(self.label_set, embeddings, features.signals, fused)
            views[FUSED] = self._answer(with_head.pooled, right)
        return Answered(example, right, views)

    def _answer(self, odds: Array, right: int, similarity: Array | None = None) -> Answer:
        return answer_of(odds, right, self._by_name, self._is_novel, similarity)


def answer_of(odds: Array, right: int, by_name: Array, is_novel: Array, similarity: Array | None = None) -> Answer:
    """The answer that follows from the log-odds of all labels, "C".

    by_name: int "C", the alphabetical position of each label, which breaks ties. is_novel: bool "C". similarity: "C".
    """
    order = np.lexsort((by_name, -odds))
    top = tuple(int(index) for index in order[:TOP])
    own = order[is_novel[order] == is_novel[right]]
    return Answer(
        rank=int(np.flatnonzero(order == right)[0]),
        top=top,
        probability=float(scoring.sigmoid(odds[top[0]])),
        share=float(scoring.shares(odds)[top[0]]),
        right_probability=float(scoring.sigmoid(odds[right])),
        own_rank=int(np.flatnonzero(own == right)[0]),
        cosine_rank=None if similarity is None else int((similarity > similarity[right]).sum()),
    )


def places(labels: Iterable[str]) -> dict[str, int]:
    """Index of each label by each of its synonyms, as `plain` writes them."""
    found: dict[str, int] = {}
    for index, word in enumerate(words_of(labels)):
        for name in word.names:
            found.setdefault(plain(name), index)
    return found


def plain(label: str) -> str:
    """The label in lower case, without underscores and hyphens."""
    return " ".join(label.casefold().replace("_", " ").replace("-", " ").split())


def known_labels(examples: Sequence[Example], labels: Sequence[str]) -> tuple[list[Example], list[Example]]:
    """The examples whose label is among `labels`, and the others.

    Raises:
        ConfigError: no example has one of the labels.
    """
    place = places(labels)
    known = [example for example in examples if plain(example.label) in place]
    if not known:
        words = sorted({example.label for example in examples})
        some = f"{', '.join(words[:5])}{', ...' if words[5:] else ''}"
        raise ConfigError(
            f"--labels: contains none of the data's labels ({some}); expected the words that the examples are labelled "
            "with"
        )
    return known, [example for example in examples if plain(example.label) not in place]
