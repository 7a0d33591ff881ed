"""What a report tells of one source."""

import base64
import mimetypes
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import pyarrow
import pyarrow.parquet

from archive.links import path_of
from archive.pieces import Piece
from archive.records import records_of
from archive.schema import is_vectors
from archive.shard import ShardError, batches_of, is_damage
from archive.store import Store
from pages.media import link
from pages.moments import Moment, choose
from pages.recording import Recording
from pages.thumbnails import LONG_SIDE_PX, data_uri, fitted
from pipeline.media import is_url

ROWS = 1024
SMALL_BYTES = 9_000
"""A stored thumbnail up to this size goes into pages as it is."""
PLAYER_PICTURES = 8
"""Moments of a source that its player shows."""


@dataclass(frozen=True)
class Told:
    """A source, read from its file."""

    name: str
    recording: Recording
    tree: Mapping[str, Any]
    row_at: Mapping[float, int]
    """The row of a clip, by the time of its middle in seconds."""

    def start_s(self, row: int) -> float:
        start: int = self.tree["clips"]["start"][row]
        return start / 1000

    def moments(self, most: int = PLAYER_PICTURES) -> list[Moment]:
        return choose(self.recording.best_moments(), most)

    def best_of_labels(self) -> dict[str, tuple[float, int]]:
        """Probability and row of each label's best clip."""
        best: dict[str, tuple[float, int]] = {}
        for probability, time_s, label in self.recording.best_moments():
            if label not in best or probability > best[label][0]:
                best[label] = probability, self.row_at[time_s]
        return best


def read_source(store: Store, piece: Piece) -> Told:
    """Raises: ShardError: the file is damaged or gone, or has no records."""
    recording = Recording(piece.name)
    for table in _tables(store, piece, _is_told):
        for record in records_of(table, piece.name):
            recording.add(record)
    tree = recording.tree()
    clips = tree["clips"]
    middles = ((start + end) / 2000 for start, end in zip(clips["start"], clips["end"], strict=True))
    return Told(piece.name, recording, tree, {time_s: row for row, time_s in enumerate(middles)})


def _is_told(column: str) -> bool:
    return not is_vectors(column) and not column.endswith(("_log_sum", "thumbnail"))


def thumbnails_of(store: Store, piece: Piece, rows: Collection[int]) -> dict[int, str]:
    """Small pictures of these rows, as data URIs; those that have none are left out."""
    found: dict[int, str] = {}
    first = 0
    for table in _tables(store, piece, lambda column: column == "thumbnail"):
        column = table["thumbnail"] if table.num_columns else ()
        for row in range(first, first + len(table)):
            if row in rows and column and (uri := small(column[row - first].as_py())):
                found[row] = uri
        first += len(table)
    return found


def small(jpeg: bytes | None) -> str:
    """A stored thumbnail as a data URI, not larger than those of other pages; "" if it is no picture."""
    if not jpeg or not jpeg.startswith(b"\xff\xd8"):
        return ""
    if len(jpeg) <= SMALL_BYTES:
        return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    import cv2
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return ""
    size = fitted((picture.shape[1], picture.shape[0]), LONG_SIDE_PX)
    return data_uri(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def player_tree(told: Told, source: str, pictures: Mapping[int, str], page: str, videos: str) -> dict[str, Any]:
    """What the player needs. source: the path that was labelled. page: where the player is written."""
    path = where(source, told.name, videos)
    kind = kind_of(told)
    rows = [(moment, pictures.get(told.row_at[moment.time_s])) for moment in told.moments()]
    sheet = [[round(each.time_s * 1000), each.label, round(each.probability * 1000), uri] for each, uri in rows if uri]
    text = "" if path else f"{told.name}: {_missing(source, videos)}"
    return {
        **told.tree,
        "media": {
            "kind": kind if path else "none",
            "url": link(path, page) if path and kind != "still" else "",
            "name": os.path.basename(told.name),
            "start": 0,
            "preview": False,
        },
        "poster": sheet[0][3] if kind == "still" and sheet else "",
        "thumbnails": sheet,
        "warnings": [text] if text else [],
    }


def kind_of(told: Told) -> str:
    """ "video", "sound" or "still", without opening the file."""
    if (mimetypes.guess_type(told.name)[0] or "").startswith("image/"):
        return "still"
    return "video" if all(told.recording.size) else "sound"


def where(source: str, name: str, videos: str) -> str:
    """The file of a source: below the folder `videos` if one was given, else where it was labelled; "" if not there."""
    if videos:
        inside = os.fsdecode(unquote_to_bytes(name))
        root = os.path.realpath(videos)
        candidates = [os.path.join(os.path.dirname(root), inside), os.path.join(root, inside)]
    else:
        candidates = [] if is_url(source) else [path_of(source)]
    return next((path for path in candidates if os.path.isfile(path)), "")


def _missing(source: str, videos: str) -> str:
    if videos:
        return f"is not below {videos}, so there is no video here"
    why = "is not a file of this machine" if is_url(source) else "is no longer where it was"
    return f"{why}, so there is no video here. Say where videos are with: percept report ARCHIVE --videos FOLDER"


def _tables(store: Store, piece: Piece, is_wanted: Any) -> Iterator[Any]:
    """The rows of a piece, some at a time."""
    try:
        with store.open(piece.file) as opened:
            file = pyarrow.parquet.ParquetFile(opened)
            columns = [column for column in file.schema_arrow.names if is_wanted(column)]
            yield from batches_of(file, columns, ROWS, piece.first, piece.stop)
    except (pyarrow.ArrowException, OSError) as error:
        why = str(error).splitlines()[0] if is_damage(error) else "is gone or cannot be opened"
        raise ShardError(f"{piece.name}: cannot be read ({why})") from error
