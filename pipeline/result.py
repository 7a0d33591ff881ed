"""What comes out: one record per clip, and the same fields whatever happened to it."""

import msgspec


class Evidence(msgspec.Struct, frozen=True):
    """What one modality alone says of a label."""

    probability: float
    similarity: float
    """Cosine between the modality's embedding and the label's text vector."""
    weight: float
    """How far this modality was trusted in this clip; a modality's weight is the same for all labels."""


class Label(msgspec.Struct, frozen=True):
    label: str
    probability: float
    """The label's own, against the model's background vocabulary: labels do not compete."""
    share: float
    """Softmax over the given labels: for exclusive classes."""
    evidence: dict[str, Evidence] = {}


class Category(msgspec.Struct, frozen=True):
    """The deepest node of the labels' hierarchy that is sure enough; it always holds the best label."""

    label: str
    share: float
    """Sum of the shares of the labels below it."""
    path: list[str]
    """From the topmost node down to this one."""


class OpenSet(msgspec.Struct, frozen=True):
    """Whether none of the labels fits, for models that were calibrated for it."""

    score: float
    """Higher: less like what the labels describe."""
    threshold: float
    """Which share of clips that do fit lies above it was chosen when the model was calibrated."""
    none_of_these: bool


class Track(msgspec.Struct, frozen=True, omit_defaults=True):
    id: int
    """Unique within a source, never used again."""
    boxes: list[tuple[float, float, float, float, float]]
    """time_s, x0, y0, x1, y1 in pixels of the upright, square-pixel source."""
    label: str | None = None
    probability: float | None = None


class ClipRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One JSON object per clip. Exactly one of: labels given, `error`, `dropped`, `gap`."""

    source: str
    epoch: int
    clip: int
    """Index within the source; -1 for a source that could not be read at all, or for a gap."""
    start_s: float
    end_s: float
    width: int = 0
    height: int = 0
    labels: list[Label] | None = None
    tracks: list[Track] | None = None
    category: Category | None = None
    """Where labels form a hierarchy."""
    open_set: OpenSet | None = None
    absent: dict[str, str] = {}
    """Modalities and parts that had no say, and why."""
    model: str = ""
    engine: str = ""
    engine_reason: str = ""
    """Why engines that "auto" prefers were passed over; empty if none was."""
    labels_version: int = 0
    """Which set of words was asked for; counts from 1. Only results have it."""
    estimated_times: bool = False
    corrupt_frames: int = 0
    decode_errors: int = 0
    tries: int = 1
    error: str | None = None
    """Why the clip (or source) has no result."""
    failed: dict[str, str] = {}
    """Optional parts that failed, with their error text."""
    dropped: str | None = None
    gap: bool = False


def encode_json(record: ClipRecord) -> bytes:
    """One line without its end."""
    return msgspec.json.encode(record)


def decode_json(line: bytes | str) -> ClipRecord:
    return msgspec.json.decode(line, type=ClipRecord)
