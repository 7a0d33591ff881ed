"""Types of `percept._records`. Written by `python -m commands.python_api` from our own types; do not edit."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from percept._explain import Why
from percept._session import Session

class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one modality alone says about a label."""

    probability: float
    """The label's probability from this modality alone."""
    similarity: float
    """Cosine between the modality's embedding and the label's text vector."""
    weight: float
    """How far this modality was trusted in this clip, from 0 to 1: the factor of its probability in the pool, the same
    for all labels. In records of version 1, scaled so that weights sum to 1."""
    contribution: float | None = None
    """What this modality adds to the log-odds of the label: its Shapley value in the pool, with the fusion head's part.
    The label's `base_log_odds` and all contributions sum to the log-odds of its `probability`. Missing in records of
    version 1."""

class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """A label with its scores."""

    label: str
    """The label; of synonyms the first."""
    probability: float
    """The label's own probability, against the model's background vocabulary. Labels do not compete: one label alone
    can be improbable, and two can both be true."""
    share: float
    """Softmax over the given labels, for classes that exclude each other."""
    evidence: dict[str, Evidence] = {}
    """By modality: image, motion, audio."""
    near: list[str] = ...
    """Other probable labels of the clip that mean nearly the same. Events merge them."""
    base_log_odds: float | None = None
    """Log-odds of a label of which every modality says 0.01, which stands for a label that is not there: the same for
    all labels of a clip. Missing in records of version 1."""

class Category(msgspec.Struct, frozen=True):
    """The deepest node of the label hierarchy that is certain enough. It always contains the best label."""

    label: str
    """Name of the node."""
    share: float
    """Sum of the shares of the labels below it."""
    path: list[str]
    """From the top node down to this one."""

class OpenSet(msgspec.Struct, frozen=True):
    """Whether none of the labels fits. Only calibrated models give it."""

    score: float
    """Higher means less like what the labels describe."""
    threshold: float
    """Scores above it count as none of these; set by the budget of `percept calibrate`."""
    none_of_these: bool
    """Whether the score is above the threshold."""

class Movement(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a track moves in a clip, the camera's own motion taken off."""

    word: str
    """What it does: "still", "moving right" (or left, up, down, up right, …), "moving to and fro", "coming closer" or
    "going away"."""
    speed: float
    """Along its path, in sizes of its box per second; the size is the root of its area."""
    direction_deg: float | None = None
    """Where it goes: 0 is right, 90 up, 180 left, -90 down. Missing if it goes nowhere."""
    still_since_s: float | None = None
    """Since when it has been still, in seconds of the source."""

class Visit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A track in a zone, in this clip."""

    track: int
    """Its id."""
    since_s: float
    """When it came in; in an earlier clip, if it has stayed since."""
    until_s: float
    """When it was last seen inside."""
    dwell_s: float
    """How long it has been inside: from the one to the other."""
    label: str | None = None
    """The track's label."""
    left: bool = False
    """It went out in this clip. Missing if it is still in, or got lost."""

class ZoneVisits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was in a zone during a clip."""

    zone: str
    """Its name."""
    entered: int = 0
    """How many came in during this clip."""
    left: int = 0
    """How many went out during this clip."""
    visits: list[Visit] = ...
    """By track; a track may come twice."""

class Crossing(msgspec.Struct, frozen=True, omit_defaults=True):
    """A track that crossed a line."""

    line: str
    """Its name."""
    track: int
    """The track's id."""
    time_s: float
    """When its foot was seen beyond the line, in seconds of the source."""
    way: str
    """"in" or "out". A line drawn from the top down is crossed in by what moves right, one drawn from left to right by
    what moves up."""
    label: str | None = None
    """The track's label."""

class TextLine(msgspec.Struct, frozen=True):
    """A line that is written in the picture."""

    text: str
    """What it says."""
    confidence: float
    """How sure the reader is, from 0 to 1; no calibrated probability."""
    time_s: float
    """When it was read, in seconds of the source."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1, in pixels of the upright source with square pixels."""

class Region(msgspec.Struct, frozen=True):
    """Where in the picture a label is."""

    label: str
    """The label, one of those of the clip."""
    time_s: float
    """Of the picture that was looked at, in seconds of the source."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 around it, in pixels of the upright source with square pixels. Two things of a kind have one
    box."""
    area: float
    """Share of the picture that it covers, from 0 to 1."""
    peak: float
    """The label's probability where it is surest, from 0 to 1."""

class Relation(msgspec.Struct, frozen=True):
    """How one track stands to another one, such as "dog on sofa"."""

    subject: str
    """Label of the track of which it is told."""
    subject_track: int
    """Its id."""
    relation: str
    """left of, above, on, in, next to, in front of, moves toward or follows. Right of, below and behind are told with
    subject and object turned round."""
    object: str
    """Label of the other track."""
    object_track: int
    """Its id."""
    score: float
    """From 0 to 1: geometric mean of both labels' probabilities and of how far the relation holds between the boxes,
    where 0.5 is just so. No probability."""
    start_s: float
    """The first moment of the clip in which it holds, in seconds of the source."""
    end_s: float
    """The last such moment."""

class View(msgspec.Struct, frozen=True, omit_defaults=True):
    """A track in a picture that was looked at closely."""

    time_s: float
    """When, in seconds of the source; in this clip or an earlier one."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1, as in `boxes`."""
    similarity: float
    """Cosine between what is seen there and the name's text vector, or the example."""
    kind: str = "crop"
    """crop: the picture tower has read the box alone; place: what it says of the place in the whole picture."""

class TrackEvidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the name of a track rests on."""

    by: str
    """Who named it: picture (the picture tower, by the mean of all views), detector (by a name of its own), or example
    (of `--find-like`)."""
    views: list[View] = ...
    """Up to three that fit the name best, crops before places; none if the name is one that only the detector knows."""

class Track(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object followed through the source."""

    id: int
    """Unique within a source and never used again."""
    boxes: list[tuple[float, float, float, float, float]]
    """Rows of time_s, x0, y0, x1, y1. Boxes are in pixels of the upright source with square pixels."""
    label: str | None = None
    """What the object is, by its looks: a label that names a thing, or an everyday word that fits clearly better. Never
    an action, a place or a sound; missing if nothing is probable."""
    probability: float | None = None
    """Probability of that name."""
    evidence: TrackEvidence | None = None
    """What the name rests on, if there is one."""
    filled: list[int] = ...
    """Which of `boxes`, counted from 0, lie between two frames in which the object was seen: in a straight line."""
    kind: str = "motion"
    """What found it: motion, or network once a network has; missing for motion."""
    movement: Movement | None = None
    """How it moves in this clip; missing if it was seen too briefly to tell."""

class ClipRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One JSON object per clip: a result, or one of `error`, `dropped` and `gap`.

    In JSON, each of `parts` is a field of the object itself.
    """

    source: str
    """Name of the source, without secrets."""
    epoch: int
    """Counts the stretches of a source from 0. A new one begins after a gap, where the clock starts again, and where
    the pictures change their shape."""
    clip: int
    """Index within the source; -1 for a gap, or a source that could not be read at all."""
    start_s: float
    """Start of the clip, in seconds as a player's seek bar shows them."""
    end_s: float
    """End of the clip, exclusive."""
    wall_time: str = ""
    """Date and time of the clip's start, ISO 8601 with offset, if the source tells when it was recorded."""
    width: int = 0
    """Width of the upright source in square pixels."""
    height: int = 0
    """Height of the upright source, in square pixels."""
    parts: dict[str, Any] = {}
    """What the stages added, by name."""
    absent: dict[str, str] = {}
    """Modalities and parts that are missing, and why: no_stream, gap, too_short, failed, not_asked, no_tower,
    superseded, key_frames."""
    model: str = ""
    """Name and version of the model."""
    engine: str = ""
    """Backend and precision that ran the towers."""
    engine_reason: str = ""
    """Why a preferred backend was passed over; missing if none was."""
    labels_version: int = 0
    """Which set of labels and words to find was asked for, counted from 1. Only results have it."""
    estimated_times: bool = False
    """The source carries no times; they were estimated."""
    corrupt_frames: int = 0
    """Frames of the clip that were damaged."""
    decode_errors: int = 0
    """Packets of the clip that could not be decoded, and stretches of it that are missing."""
    tries: int = 1
    """How often the clip was tried, because processes died on it. In an archive's row of a source that could not be
    read: how many runs have tried it."""
    error: str | None = None
    """Why the clip or the source has no result."""
    failed: dict[str, str] = {}
    """Optional stages that failed, with their error."""
    dropped: str | None = None
    """Why the clip was skipped."""
    gap: bool = False
    """A stretch without media."""
    clock: str = ""
    """Live sources: who told `wall_time`: the camera, or this machine as packets came (arrival)."""
    age_s: float = 0.0
    """Live sources: from the capture of the clip's last picture or sound to its record."""
    reused: bool = False
    """Nothing had changed, and the answers are those of an earlier clip that shows the same."""
    measures: dict[str, float] = {}
    """Live sources: brightness, change, loudness and the like, by name."""
    schema_version: int = ...
    """Version of this record's schema."""

    def to_dict(self) -> dict[str, Any]:
        """The record as plain data: what its JSON line contains. Fields that say nothing are left out."""

    @property
    def is_result(self) -> bool:
        """Whether the clip was processed: it is not an error, a drop or a gap."""

    @property
    def labels(self) -> list[Label] | None:
        """The best labels; None if the clip has none."""

    @property
    def tracks(self) -> list[Track] | None:
        """The moving objects of the clip; None if they were not looked for."""

    @property
    def zones(self) -> list[ZoneVisits] | None:
        """Present if zones were asked for: what was in each of them."""

    @property
    def crossings(self) -> list[Crossing] | None:
        """Present if lines were asked for: which tracks crossed them, in order of time."""

    @property
    def text(self) -> list[TextLine] | None:
        """Present if reading was asked for (`--text`): what is written in the pictures."""

    @property
    def regions(self) -> list[Region] | None:
        """Present if it was asked for (`--regions`): where in the picture the probable labels are."""

    @property
    def relations(self) -> list[Relation] | None:
        """Present if it was asked for (`--relations`): how named tracks stand to one another."""

    @property
    def category(self) -> Category | None:
        """Present if labels form a hierarchy."""

    @property
    def open_set(self) -> OpenSet | None:
        """Present if the model was calibrated for it."""

    def explain(
        self,
        label: str = "",
        *,
        source: str | os.PathLike[str] | None = None,
        pixels: bool = False,
        model: str | os.PathLike[str] | None = None,
        audio_model: str | os.PathLike[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        session: Session | None = None,
    ) -> Why:
        """Why the clip has a label, by default its best one: as `percept.explain` says at its time, with its length.

        source: the file, if it is no longer where it was. The others: as for `percept.explain`; give those of the run.

        Raises: SourceError: the file is gone. ConfigError: the clip has no labels, or another model's. Also as
            `percept.explain`.
        """

    def _repr_html_(self) -> str:
        """The record for a notebook."""

class PerceptError(Exception):
    """Base class; the command line exits with `exit_code`."""

    exit_code = 5

class ConfigError(PerceptError):
    """The usage or the configuration is wrong; nothing was started."""

    exit_code = 2

class SourceError(PerceptError):
    """A source cannot be opened or read."""

    exit_code = 3

class ModelError(PerceptError):
    """A model, a tower or an engine cannot be found, built or run."""

    exit_code = 4

class OutputError(PerceptError):
    """A result cannot be written: disk full, pipe closed, directory missing."""

    exit_code = 5

def clip_seconds(start_s: float, end_s: float, usual_s: float) -> float: ...
def clock_text(seconds: float) -> str: ...
def decode_json(line: bytes | str) -> ClipRecord: ...
