"""The record of a clip: the same fields whatever happened to it, and the parts that stages added."""

from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

SCHEMA_VERSION = 2
"""Rises when a field changes its meaning or disappears; new fields and parts do not raise it."""
SHOWN, SHOWN_FROM = 3, 0.3
"""How many labels the short form of a record has, and how probable they are at least."""


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one modality alone says about a label."""

    probability: Annotated[float, Meta(description="The label's probability from this modality alone.")]
    similarity: Annotated[
        float, Meta(description="Cosine between the modality's embedding and the label's text vector.")
    ]
    weight: Annotated[
        float,
        Meta(
            description="How far this modality was trusted in this clip, from 0 to 1: the factor of its probability in "
            "the pool, the same for all labels. In records of version 1, scaled so that weights sum to 1."
        ),
    ]
    contribution: Annotated[
        float | None,
        Meta(
            description="What this modality adds to the log-odds of the label: its Shapley value in the pool, with the "
            "fusion head's part. The label's `base_log_odds` and all contributions sum to the log-odds of its "
            "`probability`. Missing in records of version 1."
        ),
    ] = None


class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """A label with its scores."""

    label: Annotated[str, Meta(description="The label; of synonyms the first.")]
    probability: Annotated[
        float,
        Meta(
            description="The label's own probability, against the model's background vocabulary. Labels do not "
            "compete: one label alone can be improbable, and two can both be true."
        ),
    ]
    share: Annotated[float, Meta(description="Softmax over the given labels, for classes that exclude each other.")]
    evidence: Annotated[dict[str, Evidence], Meta(description="By modality: image, motion, audio.")] = {}
    near: Annotated[
        list[str], Meta(description="Other probable labels of the clip that mean nearly the same. Events merge them.")
    ] = []
    base_log_odds: Annotated[
        float | None,
        Meta(
            description="Log-odds of a label of which every modality says 0.01, which stands for a label that is not "
            "there: the same for all labels of a clip. Missing in records of version 1."
        ),
    ] = None


class Category(msgspec.Struct, frozen=True):
    """The deepest node of the label hierarchy that is certain enough. It always contains the best label."""

    label: Annotated[str, Meta(description="Name of the node.")]
    share: Annotated[float, Meta(description="Sum of the shares of the labels below it.")]
    path: Annotated[list[str], Meta(description="From the top node down to this one.")]


class OpenSet(msgspec.Struct, frozen=True):
    """Whether none of the labels fits. Only calibrated models give it."""

    score: Annotated[float, Meta(description="Higher means less like what the labels describe.")]
    threshold: Annotated[
        float, Meta(description="Scores above it count as none of these; set by the budget of `percept calibrate`.")
    ]
    none_of_these: Annotated[bool, Meta(description="Whether the score is above the threshold.")]


class Movement(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a track moves in a clip, the camera's own motion taken off."""

    word: Annotated[
        str,
        Meta(
            description='What it does: "still", "moving right" (or left, up, down, up right, …), "moving to and fro", '
            '"coming closer" or "going away".'
        ),
    ]
    speed: Annotated[
        float, Meta(description="Along its path, in sizes of its box per second; the size is the root of its area.")
    ]
    direction_deg: Annotated[
        float | None,
        Meta(description="Where it goes: 0 is right, 90 up, 180 left, -90 down. Missing if it goes nowhere."),
    ] = None
    still_since_s: Annotated[
        float | None, Meta(description="Since when it has been still, in seconds of the source.")
    ] = None


class Visit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A track in a zone, in this clip."""

    track: Annotated[int, Meta(description="Its id.")]
    since_s: Annotated[float, Meta(description="When it came in; in an earlier clip, if it has stayed since.")]
    until_s: Annotated[float, Meta(description="When it was last seen inside.")]
    dwell_s: Annotated[float, Meta(description="How long it has been inside: from the one to the other.")]
    label: Annotated[str | None, Meta(description="The track's label.")] = None
    left: Annotated[bool, Meta(description="It went out in this clip. Missing if it is still in, or got lost.")] = False


class ZoneVisits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was in a zone during a clip."""

    zone: Annotated[str, Meta(description="Its name.")]
    entered: Annotated[int, Meta(description="How many came in during this clip.")] = 0
    left: Annotated[int, Meta(description="How many went out during this clip.")] = 0
    visits: Annotated[list[Visit], Meta(description="By track; a track may come twice.")] = []


class Crossing(msgspec.Struct, frozen=True, omit_defaults=True):
    """A track that crossed a line."""

    line: Annotated[str, Meta(description="Its name.")]
    track: Annotated[int, Meta(description="The track's id.")]
    time_s: Annotated[float, Meta(description="When its foot was seen beyond the line, in seconds of the source.")]
    way: Annotated[
        str,
        Meta(
            description='"in" or "out". A line drawn from the top down is crossed in by what moves right, one drawn '
            "from left to right by what moves up."
        ),
    ]
    label: Annotated[str | None, Meta(description="The track's label.")] = None


class TextLine(msgspec.Struct, frozen=True):
    """A line that is written in the picture."""

    text: Annotated[str, Meta(description="What it says.")]
    confidence: Annotated[float, Meta(description="How sure the reader is, from 0 to 1; no calibrated probability.")]
    time_s: Annotated[float, Meta(description="When it was read, in seconds of the source.")]
    box: Annotated[
        tuple[float, float, float, float],
        Meta(description="x0, y0, x1, y1, in pixels of the upright source with square pixels."),
    ]


class Region(msgspec.Struct, frozen=True):
    """Where in the picture a label is."""

    label: Annotated[str, Meta(description="The label, one of those of the clip.")]
    time_s: Annotated[float, Meta(description="Of the picture that was looked at, in seconds of the source.")]
    box: Annotated[
        tuple[float, float, float, float],
        Meta(
            description="x0, y0, x1, y1 around it, in pixels of the upright source with square pixels. Two things of a "
            "kind have one box."
        ),
    ]
    area: Annotated[float, Meta(description="Share of the picture that it covers, from 0 to 1.")]
    peak: Annotated[float, Meta(description="The label's probability where it is surest, from 0 to 1.")]


class Relation(msgspec.Struct, frozen=True):
    """How one track stands to another one, such as "dog on sofa"."""

    subject: Annotated[str, Meta(description="Label of the track of which it is told.")]
    subject_track: Annotated[int, Meta(description="Its id.")]
    relation: Annotated[
        str,
        Meta(
            description="left of, above, on, in, next to, in front of, moves toward or follows. Right of, below and "
            "behind are told with subject and object turned round."
        ),
    ]
    object: Annotated[str, Meta(description="Label of the other track.")]
    object_track: Annotated[int, Meta(description="Its id.")]
    score: Annotated[
        float,
        Meta(
            description="From 0 to 1: geometric mean of both labels' probabilities and of how far the relation holds "
            "between the boxes, where 0.5 is just so. No probability."
        ),
    ]
    start_s: Annotated[
        float, Meta(description="The first moment of the clip in which it holds, in seconds of the source.")
    ]
    end_s: Annotated[float, Meta(description="The last such moment.")]

    def __str__(self) -> str:
        """`dog (1) on sofa (2)`"""
        return f"{self.subject} ({self.subject_track}) {self.relation} {self.object} ({self.object_track})"


class View(msgspec.Struct, frozen=True, omit_defaults=True):
    """A track in a picture that was looked at closely."""

    time_s: Annotated[float, Meta(description="When, in seconds of the source; in this clip or an earlier one.")]
    box: Annotated[tuple[float, float, float, float], Meta(description="x0, y0, x1, y1, as in `boxes`.")]
    similarity: Annotated[
        float, Meta(description="Cosine between what is seen there and the name's text vector, or the example.")
    ]
    kind: Annotated[
        str,
        Meta(
            description="crop: the picture tower has read the box alone; place: what it says of the place in the whole "
            "picture."
        ),
    ] = "crop"


class TrackEvidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the name of a track rests on."""

    by: Annotated[
        str,
        Meta(
            description="Who named it: picture (the picture tower, by the mean of all views), detector (by a name of "
            "its own), or example (of `--find-like`)."
        ),
    ]
    views: Annotated[
        list[View],
        Meta(
            description="Up to three that fit the name best, crops before places; none if the name is one that only "
            "the detector knows."
        ),
    ] = []


class Track(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object followed through the source."""

    id: Annotated[int, Meta(description="Unique within a source and never used again.")]
    boxes: Annotated[
        list[tuple[float, float, float, float, float]],
        Meta(
            description="Rows of time_s, x0, y0, x1, y1. Boxes are in pixels of the upright source with square pixels."
        ),
    ]
    label: Annotated[
        str | None,
        Meta(
            description="What the object is, by its looks: a label that names a thing, or an everyday word that fits "
            "clearly better. Never an action, a place or a sound; missing if nothing is probable."
        ),
    ] = None
    probability: Annotated[float | None, Meta(description="Probability of that name.")] = None
    evidence: Annotated[TrackEvidence | None, Meta(description="What the name rests on, if there is one.")] = None
    filled: Annotated[
        list[int],
        Meta(
            description="Which of `boxes`, counted from 0, lie between two frames in which the object was seen: in a "
            "straight line."
        ),
    ] = []
    kind: Annotated[
        str, Meta(description="What found it: motion, or network once a network has; missing for motion.")
    ] = "motion"
    movement: Annotated[
        Movement | None, Meta(description="How it moves in this clip; missing if it was seen too briefly to tell.")
    ] = None


class ClipRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One JSON object per clip: a result, or one of `error`, `dropped` and `gap`.

    In JSON, each of `parts` is a field of the object itself.
    """

    source: Annotated[str, Meta(description="Name of the source, without secrets.")]
    epoch: Annotated[
        int,
        Meta(
            description="Counts the stretches of a source from 0. A new one begins after a gap, where the clock starts "
            "again, and where the pictures change their shape."
        ),
    ]
    clip: Annotated[
        int, Meta(description="Index within the source; -1 for a gap, or a source that could not be read at all.")
    ]
    start_s: Annotated[float, Meta(description="Start of the clip, in seconds as a player's seek bar shows them.")]
    end_s: Annotated[float, Meta(description="End of the clip, exclusive.")]
    wall_time: Annotated[
        str,
        Meta(
            description="Date and time of the clip's start, ISO 8601 with offset, if the source tells when it was "
            "recorded."
        ),
    ] = ""
    width: Annotated[int, Meta(description="Width of the upright source in square pixels.")] = 0
    height: Annotated[int, Meta(description="Height of the upright source, in square pixels.")] = 0
    parts: Annotated[dict[str, Any], Meta(description="What the stages added, by name.")] = {}
    absent: Annotated[
        dict[str, str],
        Meta(
            description="Modalities and parts that are missing, and why: no_stream, gap, too_short, failed, not_asked, "
            "no_tower, superseded, key_frames."
        ),
    ] = {}
    model: Annotated[str, Meta(description="Name and version of the model.")] = ""
    engine: Annotated[str, Meta(description="Backend and precision that ran the towers.")] = ""
    engine_reason: Annotated[str, Meta(description="Why a preferred backend was passed over; missing if none was.")] = (
        ""
    )
    labels_version: Annotated[
        int,
        Meta(description="Which set of labels and words to find was asked for, counted from 1. Only results have it."),
    ] = 0
    estimated_times: Annotated[bool, Meta(description="The source carries no times; they were estimated.")] = False
    corrupt_frames: Annotated[int, Meta(description="Frames of the clip that were damaged.")] = 0
    decode_errors: Annotated[
        int, Meta(description="Packets of the clip that could not be decoded, and stretches of it that are missing.")
    ] = 0
    tries: Annotated[
        int,
        Meta(
            description="How often the clip was tried, because processes died on it. In an archive's row of a source "
            "that could not be read: how many runs have tried it."
        ),
    ] = 1
    error: Annotated[str | None, Meta(description="Why the clip or the source has no result.")] = None
    failed: Annotated[dict[str, str], Meta(description="Optional stages that failed, with their error.")] = {}
    dropped: Annotated[str | None, Meta(description="Why the clip was skipped.")] = None
    gap: Annotated[bool, Meta(description="A stretch without media.")] = False
    clock: Annotated[
        str,
        Meta(description="Live sources: who told `wall_time`: the camera, or this machine as packets came (arrival)."),
    ] = ""
    age_s: Annotated[
        float, Meta(description="Live sources: from the capture of the clip's last picture or sound to its record.")
    ] = 0.0
    reused: Annotated[
        bool, Meta(description="Nothing had changed, and the answers are those of an earlier clip that shows the same.")
    ] = False
    measures: Annotated[
        dict[str, float], Meta(description="Live sources: brightness, change, loudness and the like, by name.")
    ] = {}
    schema_version: Annotated[int, Meta(description="Version of this record's schema.")] = SCHEMA_VERSION

    def __repr__(self) -> str:
        """`ClipRecord(talk.mp4 0:04–0:06: sheep 79 %, rain 77 %; 2 tracks)`"""
        name = self.source.rstrip("/").rpartition("/")[2] or self.source
        text = f"{name} {clock_text(self.start_s)}–{clock_text(self.end_s)}: {self._summary()}"
        return f"ClipRecord({''.join(each if each.isprintable() else repr(each)[1:-1] for each in text)})"

    def _summary(self) -> str:
        if self.error is not None:
            return f"error: {_cut(self.error, 120)}"
        if self.dropped is not None:
            return f"dropped: {_cut(self.dropped)}"
        if self.gap:
            return "gap"
        best = ", ".join(f"{_cut(each.label)} {each.probability:.0%}".replace("%", " %") for each in self._shown())
        tracks = f"; {len(self.tracks)} track{'s' * (len(self.tracks) != 1)}" if self.tracks else ""
        return f"{best or 'no label'}{tracks}"

    def _shown(self) -> list[Label]:
        """The labels of the short form: the probable ones, at most three, or else the best."""
        labels = self.labels or []
        return [each for each in labels[:SHOWN] if each.probability >= SHOWN_FROM] or labels[:1]

    def to_dict(self) -> dict[str, Any]:
        """The record as plain data: what its JSON line contains. Fields that say nothing are left out."""
        return cast(dict[str, Any], _plain.decode(encode_json(self)))

    @property
    def is_result(self) -> bool:
        """Whether the clip was processed: it is not an error, a drop or a gap."""
        return self.error is None and self.dropped is None and not self.gap

    @property
    def labels(self) -> list[Label] | None:
        """The best labels; None if the clip has none."""
        return cast(list[Label] | None, self.parts.get("labels"))

    @property
    def tracks(self) -> list[Track] | None:
        """The moving objects of the clip; None if they were not looked for."""
        return cast(list[Track] | None, self.parts.get("tracks"))

    @property
    def zones(self) -> list[ZoneVisits] | None:
        """Present if zones were asked for: what was in each of them."""
        return cast(list[ZoneVisits] | None, self.parts.get("zones"))

    @property
    def crossings(self) -> list[Crossing] | None:
        """Present if lines were asked for: which tracks crossed them, in order of time."""
        return cast(list[Crossing] | None, self.parts.get("crossings"))

    @property
    def text(self) -> list[TextLine] | None:
        """Present if reading was asked for (`--text`): what is written in the pictures."""
        return cast(list[TextLine] | None, self.parts.get("text"))

    @property
    def regions(self) -> list[Region] | None:
        """Present if it was asked for (`--regions`): where in the picture the probable labels are."""
        return cast(list[Region] | None, self.parts.get("regions"))

    @property
    def relations(self) -> list[Relation] | None:
        """Present if it was asked for (`--relations`): how named tracks stand to one another."""
        return cast(list[Relation] | None, self.parts.get("relations"))

    @property
    def category(self) -> Category | None:
        """Present if labels form a hierarchy."""
        return cast(Category | None, self.parts.get("category"))

    @property
    def open_set(self) -> OpenSet | None:
        """Present if the model was calibrated for it."""
        return cast(OpenSet | None, self.parts.get("open_set"))


TYPES: dict[str, Any] = {
    "labels": list[Label],
    "tracks": list[Track],
    "zones": list[ZoneVisits],
    "crossings": list[Crossing],
    "text": list[TextLine],
    "regions": list[Region],
    "relations": list[Relation],
    "category": Category,
    "open_set": OpenSet,
}
"""Types of the parts that `ClipRecord` has a property for. All other parts are plain data."""
CORE = frozenset(ClipRecord.__struct_fields__)
_ALWAYS = frozenset({*(field.name for field in msgspec.structs.fields(ClipRecord) if field.required), "schema_version"})
_DEFAULTS: dict[str, Any] = {
    field.name: field.default if field.default is not msgspec.NODEFAULT else {}
    for field in msgspec.structs.fields(ClipRecord)
    if field.name not in _ALWAYS
}
_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(ClipRecord)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_parts: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in TYPES.items()}
_plain: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)


CLOCK = r"(?:(?:\d+:)?\d+:)?\d+(?:\.\d+)?s?"
"""A time as people write it: `90`, `90s`, `1:30` or `00:01:30.5`."""


def clock_seconds(text: str) -> float:
    """The seconds of a time that is written as `CLOCK`."""
    seconds = 0.0
    for part in text.removesuffix("s").split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def clip_seconds(start_s: float, end_s: float, usual_s: float) -> float:
    """The length of the clips of a run, from one of its clips: the usual one, if a clip of that run may be this one."""
    length_s, tail_s = end_s - start_s, 0.5
    fits = length_s <= usual_s + tail_s and abs(start_s / usual_s - round(start_s / usual_s)) < 1e-6
    return usual_s if fits or length_s <= 0 else round(length_s, 3)


def clock_text(seconds: float) -> str:
    """`0:04`, `0:04.5` or `1:02:03`"""
    tenths = round(max(0.0, seconds) * 10)
    hours, minutes, rest = tenths // 36_000, tenths // 600 % 60, tenths % 600
    tail = f"{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02}:{tail}" if hours else f"{minutes}:{tail}"


def _cut(text: str, longest: int = 60) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def encode_json(record: ClipRecord) -> bytes:
    """One line without its end. Fields that say nothing are left out."""
    tree: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if name == "parts":
            tree |= value
        elif name in _ALWAYS or value != _DEFAULTS[name]:
            tree[name] = value
    return _encode(tree)


def decode_json(line: bytes | str) -> ClipRecord:
    """The record in one line.

    Raises:
        msgspec.DecodeError: it is not a record, or one of a newer schema.
    """
    record = _record.decode(line)
    if record.schema_version > SCHEMA_VERSION:
        raise msgspec.ValidationError(
            f"schema version {record.schema_version}; expected at most {SCHEMA_VERSION}: use a newer percept"
        )
    fields = _fields.decode(line)
    parts = {name: _parts.get(name, _plain).decode(raw) for name, raw in fields.items() if name not in CORE}
    return msgspec.structs.replace(record, parts=parts)
