"""What is written in pictures, as a condition of a search: `text:"EXIT"`."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from archive.search.query import NOTHING
from archive.search.rows import Rows
from archive.shard import ShardError, read_table
from archive.store import Store
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from pipeline.result import TextLine
from stages.text.phrases import confidence


def read_confidence(rows: Rows, store: Store, phrases: Sequence[str]) -> Array:
    """Of each row how sure it is that all phrases can be read there: float64 "N", 0 where one cannot.

    Raises: ConfigError: nothing was read in any file of the archive.
    """
    found, has_any = np.zeros(len(rows)), False
    files: dict[str, list[list[TextLine] | None]] = {}
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


def lines_of(store: Store, file: str) -> list[list[TextLine] | None]:
    """The lines of each clip of a file; None where nothing was read, and everywhere if it has just changed."""
    try:
        with store.open(file) as opened:
            table = read_table(opened, ["text"])
    except (OSError, ShardError):
        return []
    if "text" not in table.column_names:
        return []
    return msgspec.convert(table["text"].to_pylist(), list[list[TextLine] | None])


class ReadScan:
    """The same to its user as `archive.search.scan.Scan`: the score is the reader's confidence."""

    mean = 0.0

    def __init__(self, sure: Array) -> None:
        self.bounds = np.where(sure > 0, sure, NOTHING)

    def best_first(self) -> Iterator[tuple[int, float]]:
        for row in np.argsort(-self.bounds, kind="stable"):
            if np.isfinite(self.bounds[row]):
                yield int(row), float(self.bounds[row])
