"""Moves the rows that are still there to new files, without those of files that are gone."""

from pathlib import Path

import msgspec

from archive.search.catalog import Catalog, Segment, column_path
from archive.search.columns import Appender, ColumnState, mapped

PIECE_ROWS = 65_536


def moved(folder: Path, catalog: Catalog) -> Catalog:
    """The catalogue of new columns in a folder of the next generation. The old ones stay as they are."""
    new = msgspec.structs.replace(catalog, generation=catalog.generation + 1)
    (folder / str(new.generation)).mkdir(exist_ok=True)
    columns = {name: _copied(folder, catalog, new.generation, name, state) for name, state in catalog.columns.items()}
    segments, rows = list[Segment](), 0
    for segment in catalog.segments:
        if not segment.gone:
            segments.append(msgspec.structs.replace(segment, first=rows))
            rows += segment.rows
    return msgspec.structs.replace(new, columns=columns, segments=tuple(segments))


def _copied(folder: Path, catalog: Catalog, generation: int, name: str, state: ColumnState) -> ColumnState:
    old = mapped(column_path(folder, catalog.generation, name, state), state)
    empty = ColumnState(state.dtype, state.width)
    with Appender(column_path(folder, generation, name, state), empty) as new:
        for segment in catalog.segments:
            if not segment.gone and segment.stop <= state.rows:
                for first in range(segment.first, segment.stop, PIECE_ROWS):
                    new.append(old[first : min(segment.stop, first + PIECE_ROWS)])
        return new.commit()
