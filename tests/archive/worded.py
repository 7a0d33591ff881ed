"""Label sets made for tests, and clips that they score."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.hierarchy import hierarchy_of
from stages.words.label_side import LabelSide
from stages.words.labels import LabelSet
from stages.words.open_set import OpenSetScore, Usual
from stages.words.word import words_of
from tests.archive.made import unit


def side_of(
    random: np.random.Generator,
    labels: int,
    background: int = 40,
    size: int = 16,
    temperature: float = 0.1,
    near: float = 0.3,
) -> LabelSide:
    """Background words at random, and each label near one of them, which therefore does not compete with it."""
    words = unit(random.standard_normal((background, size))).astype(np.float32)
    vectors = unit(words[:labels] + near * random.standard_normal((labels, size))).astype(np.float32)
    return LabelSide(vectors, words, scoring.competing(vectors, words), temperature, 1.5)


def label_set(
    random: np.random.Generator,
    labels: Sequence[str],
    modalities: Sequence[str] = ("image", "audio"),
    has_head: bool = False,
    has_open_set: bool = False,
    size: int = 16,
) -> LabelSet:
    """labels: as `parse_labels` gives them, with parents but without synonyms."""
    words, count = words_of(tuple(labels)), len(labels)
    usual = Usual(random.standard_normal(count), 1 + random.random(count))
    return LabelSet(
        tuple(word.name for word in words),
        {name: side_of(random, count, size=size) for name in modalities},
        head_share=random.random(count) if has_head else None,
        hierarchy=hierarchy_of(words),
        open_set=OpenSetScore(0.2, {"image": usual, "audio+image": usual}) if has_open_set else None,
    )


def clips_of(
    random: np.random.Generator, count: int, modalities: Sequence[str], absent: float = 0.2, size: int = 16
) -> list[dict[str, Array]]:
    """Unit embeddings by modality, exact in 16 bits; a share of them is absent."""
    found = []
    for _ in range(count):
        vectors = {name: unit(random.standard_normal(size)).astype(np.float16) for name in modalities}
        found.append({name: vector for name, vector in vectors.items() if random.random() >= absent})
    return found


def log_sums(of: LabelSet, clip: Mapping[str, Array]) -> dict[str, float]:
    """That of each embedding over the background."""
    sides = {name: of.sides[name.removeprefix("fused_")] for name in clip}
    return {
        name: float(
            scoring.log_sum((vector.astype(float) @ sides[name].background.T)[None], sides[name].temperature)[0]
        )
        for name, vector in clip.items()
    }
