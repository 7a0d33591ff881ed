"""What a search gives: ranges of time in sources, with labels and a thumbnail from their files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from archive.search.query import Scale
from archive.search.ranges import Range
from archive.search.rows import Rows
from archive.shard import ShardError, read_row
from archive.store import Store

LABELS = 3


@dataclass(frozen=True)
class Hit:
    """A stretch of a source that fits. score: of its best clip."""

    source: str
    """As it was given when it was labelled."""
    name: str
    """In the archive."""
    start_s: float
    end_s: float
    best_s: float
    """Start of the best clip."""
    scale: Scale
    score: float
    clips: int
    by_modality: dict[str, float] = field(default_factory=dict)
    labels: tuple[tuple[str, float], ...] = ()
    """Of the best clip: names and probabilities, best first."""
    thumbnail: bytes = b""
    """JPEG of the best clip; empty if the archive has none."""

    def to_dict(self) -> dict[str, Any]:
        """As a JSON line shows it."""
        return {
            "source": self.source,
            "name": self.name,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "best_s": round(self.best_s, 3),
            self.scale: round(self.score, 6),
            "clips": self.clips,
            "by_modality": {name: round(value, 6) for name, value in self.by_modality.items()},
            "labels": [{"label": name, "probability": round(value, 6)} for name, value in self.labels],
        }


def described(
    rows: Rows, store: Store, ranges: Sequence[tuple[Range, dict[str, float]]], scale: Scale, thumbnails: bool
) -> list[Hit]:  # fmt: skip
    """The hits of ranges, each with the scores of its best clip by modality."""
    start_s, end_s = rows.column("start_s"), rows.column("end_s")
    found = list[Hit]()
    for each, by_modality in ranges:
        segment = rows.segment_of(each.row)
        labels, thumbnail = _kept(store, segment.file, each.row - segment.first + segment.in_file, thumbnails)
        found.append(
            Hit(
                segment.source, segment.name, float(start_s[each.first]), float(end_s[each.stop - 1]),
                float(start_s[each.row]), scale, min(1.0, each.score), each.stop - each.first,
                by_modality, labels, thumbnail,
            )
        )  # fmt: skip
    return found


def _kept(store: Store, file: str, row: int, thumbnails: bool) -> tuple[tuple[tuple[str, float], ...], bytes]:
    """Labels and thumbnail of a row; nothing if its file has just changed."""
    try:
        with store.open(file) as opened:
            table = read_row(opened, row, ["labels", "thumbnail"] if thumbnails else ["labels"])
    except (OSError, ShardError):
        return (), b""
    if not table.num_rows:
        return (), b""
    row_there = table.to_pylist()[0]
    labels, thumbnail = row_there.get("labels") or [], row_there.get("thumbnail") or b""
    return tuple((label["label"], label["probability"]) for label in labels[:LABELS]), thumbnail
