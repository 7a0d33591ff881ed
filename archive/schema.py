"""The rows of an archive: the record of a clip, and what is kept beside it.

Columns, beyond those of a record (`pipeline.sinks.parquet`, docs/results.md):

    timecode, recorded, device       what the container tells: text, "" if it does not
    image_vector, ...                FixedSizeList<float16>, of unit length; null where the clip has none
    image_log_sum, ...               float, beside each vector; see `stages.store`
    image_features, ...              FixedSizeList<float16>, what the tower has before its projection into text space,
                                     not of unit length; null where the clip has none. Only if they were asked for
    image_weight, motion_weight, audio_weight
    thumbnail                        JPEG; null if none was asked for

Vectors are named by modality: image, motion, audio, and fused_image, ... after the fusion head. An archive has those
that its model has, with the same number of values in all files.

The metadata of a file has one JSON object under `percept.archive`, see `Facts`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import pyarrow

from pipeline.clip import MODALITIES
from pipeline.result import ClipRecord
from pipeline.sinks.parquet import table_row, table_schema

ARCHIVE_VERSION = 1
"""Rises when a column changes its meaning or disappears."""
FACTS_KEY = b"percept.archive"
COMMON = ("version", "config", "model", "labels", "words", "top_k", "settings")
"""Facts that all sources of a file share."""
VECTORS = (*MODALITIES, *(f"fused_{name}" for name in MODALITIES))
VECTOR, FEATURES = "_vector", "_features"
"""End the names of columns with vectors in text space, and with those before the projection, of which search and
relabelling know nothing."""


class Fingerprint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a source was when it was labelled."""

    size: int
    mtime_ns: int
    hash: str
    """BLAKE2b of head, middle and tail, or of the whole; hex."""
    whole: bool = False
    etag: str = ""
    """Of an object in S3."""


class Facts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a file of an archive says about itself."""

    version: int = ARCHIVE_VERSION
    source: str
    """As it was given; in rows, `source`."""
    name: str
    """Its name in the archive, such as `videos/2024/talk.mp4`: see `archive.names`."""
    fingerprint: Fingerprint | None = None
    """None for a source without bytes of its own to read, such as a stream."""
    config: str = ""
    """Hash of everything in the config that decides rows, see `archive.settings`."""
    settings: dict[str, Any] | None = None
    """What of that is not the default, such as `{"clips.every_s": 30.0}`; None if it is not known."""
    model: str = ""
    labels: tuple[str, ...] = ()
    words: str = ""
    """Hash of the labels."""
    top_k: int = 0
    """Labels of a clip at most; 0 if that is not known."""
    dims: dict[str, int] = {}
    """Values of each vector."""
    features: dict[str, int] = {}
    """Values of the features of each modality; empty if none were asked for."""
    clips: int = 0
    labelled: int = 0
    failed: int = 0
    seconds: float = 0.0
    """Length of what was labelled."""
    failed_seconds: float = 0.0
    """Length of the clips that failed."""
    frame_rate_hz: float = 0.0
    """Frames per second of the source, the mean where they vary; 0.0 without pictures, or if it is unknown."""
    duration_s: float = 0.0
    """Length of the source, as its container declares it; 0.0 if it is unknown."""
    error: str = ""
    """Why the source has no clips; "" if it has."""
    tries: int = 1
    """How often the source was tried."""
    same_as: str = ""
    """Name of the source with the same content from which the rows were taken."""
    made: str = ""
    """When, UTC, ISO 8601."""
    sources: tuple["Facts", ...] = ()
    """In a file of several sources (`archive.compact`): the facts of each, in the order of its rows, as far as they
    differ from those of the file. Read them by `each`. `source` and `name` of the file are then empty."""

    def each(self) -> tuple["Facts", ...]:
        """The facts of every source in the file. Each has `clips` rows; they follow one another."""
        if not self.sources:
            return (self,)
        common = {field: getattr(self, field) for field in COMMON}
        return tuple(
            msgspec.structs.replace(own, **common, dims=own.dims or self.dims, features=own.features or self.features)
            for own in self.sources
        )


def is_vectors(column: str) -> bool:
    """Whether a column holds vectors, in text space or before it."""
    return column.endswith((VECTOR, FEATURES))


def schema_of(dims: Mapping[str, int], features: Mapping[str, int] | None = None) -> Any:
    """The Arrow schema of files whose vectors have so many values. features: of those before the projection."""
    columns = list(table_schema())
    columns += [pyarrow.field(name, pyarrow.string()) for name in ("timecode", "recorded", "device")]
    for name in VECTORS:
        if name in dims:
            columns.append(pyarrow.field(f"{name}{VECTOR}", pyarrow.list_(pyarrow.float16(), dims[name])))
            columns.append(pyarrow.field(f"{name}_log_sum", pyarrow.float32()))
    columns += [pyarrow.field(f"{name}_weight", pyarrow.float32()) for name in MODALITIES]
    columns += [
        pyarrow.field(f"{name}{FEATURES}", pyarrow.list_(pyarrow.float16(), features[name]))
        for name in MODALITIES
        if features and name in features
    ]
    columns.append(pyarrow.field("thumbnail", pyarrow.binary()))
    return pyarrow.schema(columns)


def row_of(record: ClipRecord, container: Mapping[str, str], stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values of a clip by column, without the vectors: those are `vectors_of`.

    stored: the part of `stages.store` as plain data; None if the clip has none.
    """
    row = table_row(record)
    row |= {name: container.get(name, "") for name in ("timecode", "recorded", "device")}
    stored = stored or {}
    for name, vector in stored.get("vectors", {}).items():
        row[f"{name}_log_sum"] = vector["log_sum"]
    for name, weight in stored.get("weights", {}).items():
        row[f"{name}_weight"] = weight
    row["thumbnail"] = stored.get("thumbnail") or None
    return row
