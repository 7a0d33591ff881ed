"""Makes the query of a question."""

from collections.abc import Mapping

import numpy as np

from archive.search.example import Place, examples
from archive.search.opened import Opened
from archive.search.question import Question
from archive.search.rows import exact
from archive.search.texts import TextQuery
from archive.search.vectors import VectorQuery, mixture, unit
from archive.search.words import check_background, through_words
from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from pipeline.errors import SourceError
from stages.words.label_side import LabelSide

Vectors = Mapping[str, Array]
"""Unit vectors "D" by modality."""


def query_of(opened: Opened, question: Question) -> TextQuery | VectorQuery:
    """Words alone are asked for a probability; with an example or an aspect, clips are compared by cosine."""
    example = _example(opened, question)
    if not example and not question.aspect:
        return _text_query(opened, question)
    asked = question.modalities or comparable(opened, example) or opened.words.modalities
    names = opened.have([name for name in asked if name in MODALITIES])
    spans = opened.words.aspect(question.aspect) if question.aspect else {}
    vectors = {name: _vector(opened, question, example, name) for name in names}
    return VectorQuery(vectors, {name: span for name, span in spans.items() if name in vectors})


def comparable(opened: Opened, example: Vectors) -> tuple[str, ...]:
    """The modalities of an example; pictures, if the archive has none of them: they are compared through the words."""
    dims = opened.rows.catalog.dims
    if not example or any(name in dims for name in example) or "image" not in dims:
        return tuple(example)
    opened.report(f"the archive has no {' or '.join(example)}; pictures are compared, through the model's words")
    return ("image",)


def _text_query(opened: Opened, question: Question) -> TextQuery:
    asked = [name for name in opened.words.modalities if not question.modalities or name in question.modalities]
    names = opened.have(asked, fused=True)
    labels = opened.words.labels([each for each in (question.text, question.minus) if each])
    check_background(opened.rows, {name: labels.sides[name] for name in names})
    return TextQuery(labels, names)


def _vector(opened: Opened, question: Question, example: Vectors, name: str) -> Array:
    """The query in the space of one modality: the example, the words and what hits are not about."""
    share = question.mix if example else 1.0
    parts = [(share, _words(opened, question.text, name))] if question.text else []
    if example:
        parts.append((1.0 - share if question.text else 1.0, _crossed(opened, example, name)))
    if question.minus:
        parts.append((-question.mix, _words(opened, question.minus, name)))
    return mixture(parts)


def _words(opened: Opened, text: str, name: str) -> Array:
    vector: Array = opened.words.labels([text]).sides[name].labels.mean(axis=0)
    return vector


def _crossed(opened: Opened, example: Vectors, name: str) -> Array:
    """An example's vector for a modality. One that it does not have comes from the others, through the words."""
    if name in example:
        return example[name]
    sides: Mapping[str, LabelSide] = opened.words.labels(["something"]).sides
    parts = [(1.0, through_words(vector, sides[own], sides[name])) for own, vector in example.items()]
    return mixture(parts)


def _example(opened: Opened, question: Question) -> Vectors:
    """The example of a question: stored vectors if it is a source of the archive, else as the model sees it now.

    Of its modalities, those that are asked for; all of them if none of those is.
    """
    given = question.like_sound or question.like
    if not given:
        return {}
    where = Place.parse(given)
    vectors = stored(opened, where)
    if not vectors:
        with examples(opened.config, opened.report) as embedding:
            vectors = embedding.vectors(where)
    if question.like_sound:
        vectors = {name: vector for name, vector in vectors.items() if name == "audio"}
        if not vectors:
            raise SourceError(f"--like-sound {given}: has no sound there; expected a file or a moment with sound")
    return {name: vector for name, vector in vectors.items() if name in question.modalities} or vectors


def stored(opened: Opened, where: Place) -> Vectors:
    """The mean of the stored vectors of a stretch; nothing if it is not in the archive."""
    if opened.rows.find(where.path) is None:
        return {}
    opened.have(MODALITIES)
    rows, segment = opened.rows, opened.rows.find(where.path)
    assert segment is not None
    begin_s = where.start_s or 0.0
    until_s = where.end_s or (np.inf if where.start_s is None else np.nextafter(begin_s, np.inf))
    start_s, end_s = (rows.column(name)[segment.first : segment.stop] for name in ("start_s", "end_s"))
    inside = segment.first + np.flatnonzero((start_s < until_s) & (end_s > begin_s))
    found: dict[str, Array] = {}
    for name in (name for name in MODALITIES if rows.has(name)):
        known = inside[~np.isnan(rows.column(f"{name}_log_sum")[inside])]
        if len(known):
            found[name] = unit(exact(rows, name, known).sum(axis=0))
    if not found:
        raise SourceError(f"{where.path}: has no labelled clip at {begin_s:g} s; choose another moment")
    return found
