"""What is written in pictures, as a condition of a search: `text:"EXIT"`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from archive.search.query import NOTHING
from archive.search.rows import Rows
from archive.shard import ShardError, read_table
from archive.store import Store
from pipeline.arrays import Array
from pipeline.errors import ConfigError

_TERM = re.compile(r'(?<!\S)text:(?:"([^"]+)"|(\S+))')


def split(text: str) -> tuple[str, tuple[str, ...]]:
    """The words of a question, and the phrases that are to be read: `a door text:"EXIT"`."""
    phrases = tuple(quoted or bare for quoted, bare in _TERM.findall(text))
    return " ".join(_TERM.sub(" ", text).split()), phrases


def confidence(lines: Iterable[Any], phrase: str) -> float:
    """How sure the reader is of a line with this phrase, whatever its case and spaces; 0.0 if there is none.

    lines: with `text` and `confidence`, as objects or mappings.
    """
    wanted = plain(phrase)
    found = (_fields(line) for line in lines)
    return max((sure for text, sure in found if wanted in plain(text)), default=0.0)


def plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _fields(line: Any) -> tuple[str, float]:
    return (line["text"], line["confidence"]) if isinstance(line, dict) else (line.text, line.confidence)


def read_confidence(rows: Rows, store: Store, phrases: Sequence[str]) -> Array:
    """Of each row how sure it is that all phrases can be read there: float64 "N", 0 where one cannot.

    Raises: ConfigError: nothing was read in any file of the archive.
    """
    found, has_any = np.zeros(len(rows)), False
    files: dict[str, list[Any]] = {}
    for segment in (each for each in rows.catalog.segments if not each.dead and each.rows):
        if segment.file not in files:
            files = {segment.file: lines_of(store, segment.file)}  # segments of a file follow one another
        lines = files[segment.file][segment.in_file : segment.in_file + segment.rows]
        has_any |= any(each is not None for each in lines)
        for row, each in enumerate(lines[: segment.rows], segment.first):
            found[row] = min(confidence(each or (), phrase) for phrase in phrases)
    if not has_any:
        raise ConfigError("text: nothing was read in this archive; label it with --text to search what is written")
    return found


def lines_of(store: Store, file: str) -> list[Any]:
    """The lines of each clip of a file; None where nothing was read, and everywhere if it has just changed."""
    try:
        with store.open(file) as opened:
            table = read_table(opened, ["text"])
    except (OSError, ShardError):
        return []
    return table["text"].to_pylist() if "text" in table.column_names else []


class ReadScan:
    """The same to its user as `archive.search.scan.Scan`: the score is the reader's confidence."""

    mean = 0.0

    def __init__(self, sure: Array) -> None:
        self.bounds = np.where(sure > 0, sure, NOTHING)

    def best_first(self) -> Iterator[tuple[int, float]]:
        for row in np.argsort(-self.bounds, kind="stable"):
            if np.isfinite(self.bounds[row]):
                yield int(row), float(self.bounds[row])
