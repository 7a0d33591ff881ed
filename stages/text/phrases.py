"""Phrases that are read, as labels and in searches: `text:"EXIT"`."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.result import TextLine

TERM = re.compile(r'(?<!\S)text:(?:"([^"]+)"|(\S+))')
_LABEL = re.compile(r'text:\s*(?:"([^"]+)"|([^"]+))')


def phrase_of(label: str) -> str:
    """The phrase of a label that is read, "" for any other."""
    match = _LABEL.fullmatch(label.strip())
    return (match[1] or match[2]).strip() if match else ""


def split_text(text: str) -> tuple[str, tuple[str, ...]]:
    """The words of a question, and the phrases that are to be read: `a door text:"EXIT"`."""
    phrases = tuple(quoted or bare for quoted, bare in TERM.findall(text))
    return " ".join(TERM.sub(" ", text).split()), phrases


def split_labels(labels: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels that are seen and heard, and those that are read, as they are written."""
    given = tuple(labels)
    read = tuple(label for label in given if phrase_of(label))
    return tuple(label for label in given if label not in read), read


def confidence(lines: Iterable[TextLine], phrase: str) -> float:
    """How sure the reader is of a line with this phrase, whatever its case and spaces; 0.0 if there is none."""
    wanted = plain(phrase)
    return max((line.confidence for line in lines if wanted in plain(line.text)), default=0.0)


def read_rows(labels: Sequence[str], lines: Iterable[TextLine]) -> list[dict[str, Any]]:
    """The rows of labels that are read, with its confidence for a probability. They have no share."""
    lines = list(lines)
    found = ((label, confidence(lines, phrase_of(label))) for label in labels)
    return [{"label": label, "probability": sure, "share": 0.0} for label, sure in found]


def plain(text: str) -> str:
    return " ".join(text.casefold().split())
