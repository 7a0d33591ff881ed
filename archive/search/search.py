"""Search in an archive: by words, by an example, by both, or for the place of an excerpt."""

from dataclasses import replace

import numpy as np

from archive.search import excerpt, readings
from archive.search.asking import query_of
from archive.search.candidates import Candidates
from archive.search.example import Place, examples
from archive.search.hits import Hit, described
from archive.search.opened import Opened
from archive.search.question import Question
from archive.search.ranges import Range, merged
from archive.search.scan import Scan
from archive.search.where import Where
from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from stages.text.phrases import split_text

FEW_ROWS = 500_000
"""Which a condition leaves: an index would find too few of them, and to look at all takes no time."""


def search(opened: Opened, question: Question, thumbnails: bool = False) -> list[Hit]:
    """The best hits, best first. thumbnails: with those that the archive has.

    Raises: ConfigError, SourceError, ModelError: something in the question is wrong.
    """
    question.check()
    where = Where(question.where) if question.where else None
    if question.excerpt:
        return _places(opened, question, where, thumbnails)
    words, phrases = split_text(question.text)
    allowed = _allowed(opened, where)
    if phrases:
        sure = readings.read_confidence(opened.rows, opened.store, phrases)
        allowed = sure > 0 if allowed is None else (sure > 0) & allowed
        question = replace(question, text=words)
        if not (words or question.like or question.like_sound):
            return _read(opened, question, np.where(allowed, sure, 0.0), thumbnails)
    query = query_of(opened, question)
    if question.approximate and (allowed is None or allowed.sum() > FEW_ROWS):
        needles = {name: (opened.nearest(name), vectors) for name, vectors in query.needles().items()}
        scan: Scan | Candidates = Candidates(opened.rows, query, needles, question.top, allowed)
    else:
        scan = Scan(opened.rows, query, allowed)
    found = [(each, query.evidence(opened.rows, each.row)) for each in merged(opened.rows, scan, question.top)]
    return described(opened.rows, opened.store, found, query.scale, thumbnails)


def _read(opened: Opened, question: Question, sure: Array, thumbnails: bool) -> list[Hit]:
    """What is written, and nothing else: the best is what the reader is surest of."""
    found = merged(opened.rows, readings.ReadScan(sure), question.top)
    return described(opened.rows, opened.store, [(each, {}) for each in found], "confidence", thumbnails)


def _allowed(opened: Opened, where: Where | None) -> Array | None:
    return where.rows(opened.rows, opened.store) if where else None


def _places(opened: Opened, question: Question, where: Where | None, thumbnails: bool) -> list[Hit]:
    place = Place.parse(question.excerpt)
    with examples(opened.config, opened.report) as embedding:
        cut = excerpt.sequences(embedding, place, excerpt.spacing_s(opened.rows))
    has = {name for vectors in cut[0].vectors for name in vectors}
    names = opened.have([name for name in MODALITIES if name in (question.modalities or has)])
    found = excerpt.find(opened.rows, cut, names, _allowed(opened, where), question.top)
    ranges = [(Range(each.row, each.score, each.row, each.row + each.rows), dict(each.by_modality)) for each in found]
    hits = described(opened.rows, opened.store, ranges, "similarity", thumbnails)
    return [
        replace(hit, start_s=each.start_s, end_s=each.end_s, best_s=each.start_s)
        for hit, each in zip(hits, found, strict=True)
    ]
