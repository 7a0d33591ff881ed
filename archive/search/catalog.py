"""Which rows of the search cache belong to which file of the archive. One JSON file, replaced as a whole."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from archive.schema import VECTORS
from archive.search.columns import ColumnState

VERSION = 3
FILE = "catalog.json"
WHOLE = ("start_s", "end_s", "image_weight", "motion_weight", "audio_weight")
"""Columns that every cache has, beside a vector and a log-sum for each of the vectors that were asked for."""


class Segment(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rows of one source in one file of the archive, and what is said about the source."""

    file: str
    """In the archive's folder, such as `videos/talk.mp4.parquet`."""
    size: int
    mtime_ns: int
    first: int
    rows: int
    name: str = ""
    source: str = ""
    recorded: str = ""
    device: str = ""
    timecode: str = ""
    in_file: int = 0
    """The first of the rows in the file."""
    made: str = ""
    is_merged: bool = False
    gone: bool = False
    """The file has changed or is no more."""
    superseded: bool = False
    """Another file has rows of the same source that were made later."""

    @property
    def dead(self) -> bool:
        """The rows count no longer."""
        return self.gone or self.superseded

    @property
    def rank(self) -> tuple[str, bool, str]:
        """As that of `archive.pieces.Piece`."""
        return self.made, self.is_merged, self.file

    @property
    def stop(self) -> int:
        return self.first + self.rows


class PassedOver(msgspec.Struct, frozen=True):
    """A file that cannot be searched, as it is."""

    size: int
    mtime_ns: int
    reason: str


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    version: int = VERSION
    generation: int = 0
    """Names the folder of the columns. It rises when rows are moved."""
    model: str = ""
    dims: dict[str, int] = {}
    segments: tuple[Segment, ...] = ()
    columns: dict[str, ColumnState] = {}
    passed_over: dict[str, PassedOver] = {}

    @property
    def rows(self) -> int:
        return self.segments[-1].stop if self.segments else 0

    @property
    def gone_rows(self) -> int:
        return sum(segment.rows for segment in self.segments if segment.gone)


def columns_of(vectors: Collection[str], dims: Mapping[str, int]) -> dict[str, ColumnState]:
    """The columns that a search with these vectors needs, empty. Vectors without a size are left out."""
    columns = {name: ColumnState("<f8" if name.endswith("_s") else "<f4", 1) for name in WHOLE}
    for name in (name for name in VECTORS if name in vectors and name in dims):
        columns[name] = ColumnState("<f2", dims[name])
        columns[f"{name}_log_sum"] = ColumnState("<f4", 1)
    return columns


def suffix(state: ColumnState) -> str:
    return {"<f2": ".f16", "<f4": ".f32", "<f8": ".f64"}[state.dtype]


def column_path(folder: Path, generation: int, name: str, state: ColumnState) -> Path:
    return folder / str(generation) / f"{name}{suffix(state)}"


def load(folder: Path) -> Catalog | None:
    """The catalogue in a folder; None if there is none, or none that this version can read."""
    try:
        catalog = msgspec.json.decode((folder / FILE).read_bytes(), type=Catalog)
    except (OSError, msgspec.DecodeError):
        return None
    return catalog if catalog.version == VERSION else None


def save(folder: Path, catalog: Catalog) -> None:
    half = folder / f".{FILE}.part"
    with half.open("wb") as file:
        file.write(msgspec.json.encode(catalog))
        file.flush()
        os.fsync(file.fileno())
    half.replace(folder / FILE)
