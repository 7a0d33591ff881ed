"""Progress, notices and the account of a run, and the outputs it is asked for. Plain data."""

from typing import Any, Literal

import msgspec

from pipeline.places import Line, Polygon

Level = Literal["debug", "info", "warning", "error"]
RunPhase = Literal["prepare", "run", "drain", "build"]
"""prepare: until the first clip can start. drain: after Ctrl-C. build: all is written, and engines are still built."""
LEAVE_SHARE = 0.6


class EventOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How clips become events: hysteresis on a label's probability."""

    measure: Literal["probability", "share"] = "probability"
    """`share` for labels that exclude each other."""
    enter: float = 0.5
    """An event begins with the first clip whose probability is at least this."""
    leave: float | None = None
    """An event ends before the first clip whose probability is lower; none: 0.6 of `enter`."""
    min_duration_s: float = 0.0
    """Shorter events are dropped."""
    gap_s: float = 0.0
    """Events of one label that are at most this far apart are one event."""
    merge: bool = True
    """Events of near-synonyms that overlap are one event, with the less probable labels as `alternatives`."""

    @property
    def leave_at(self) -> float:
        return LEAVE_SHARE * self.enter if self.leave is None else self.leave


class VideoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the labelled video is drawn and encoded."""

    crf: int = 23
    """Quality of x264: 18 looks lossless, 28 is small."""
    preset: str = "veryfast"
    """Speed of x264: a slower preset makes smaller files."""
    panel: Literal["below", "corner", "off"] = "below"
    """Where labels are shown: under the picture, in a corner without boxes, or not at all."""
    least_probability: float = 0.3
    """Less probable labels are not shown."""
    max_labels: int = 5
    """Most labels that are shown."""


class FilmSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the labelled video opens a source: with the streams, the times and the stretch of the decoder."""

    opener: str = ""
    """ "package.module:function", called with the source and the options. `pipeline.sinks.film` has what it returns."""
    options: dict[str, Any] = {}
    """Those of the reader."""


class OutputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One output. The output process makes a sink from it."""

    kind: str = "jsonl"
    """A name in `pipeline.sinks.kinds`."""
    path: str = "-"
    """"-" is stdout. vtt, srt and video take a file for one source, or a folder."""
    overwrite: bool = False
    resume: bool = False
    resume_from: str = ""
    """On resume, the JSON lines of the run, from which other kinds are written again."""
    sources: tuple[str, ...] = ()
    """All sources of the run in order, so that files per source can be named in advance."""
    fingerprint: str = ""
    """Hash of the settings that affect results. A resume with another fingerprint is refused."""
    sink: str = ""
    """Class of its kind, "package.module:Class"."""
    per_source: str = ""
    """Suffix of its files where each source has its own; "" if one file holds all sources."""
    options: dict[str, Any] = {}
    """Options of a sink of the user's own."""
    with_events: bool = False
    """jsonl only: event and summary lines between the clip lines."""
    events: EventOptions = EventOptions()
    video: VideoOptions = VideoOptions()
    zones: dict[str, Polygon] = {}
    """Where tracks are counted."""
    lines: dict[str, Line] = {}
    film: FilmSource = FilmSource()
    """Set by the run."""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person reads of one clip, one stretch without media, or one source that could not be read."""

    source: str
    start_s: float
    end_s: float
    labels: tuple[tuple[str, float], ...] = ()
    """Labels that fit, with the measure that events follow, the best first."""
    sure: float = 0.5
    """From this value on, an event begins."""
    tracks: tuple[tuple[str, int], ...] = ()
    """How many objects of each name; "" is an object that no label fits."""
    state: Literal["result", "error", "dropped", "gap"] = "result"
    text: str = ""
    """Why it is an error, or was dropped."""


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a slow output is behind the results."""

    path: str
    done: int
    """Clips written."""
    total: int
    """Clips that have come out."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The newest clip that came out."""

    source: str = ""
    source_number: int = 0
    """Counts from 1."""
    source_count: int = 0
    clip: int = -1
    position_s: float = 0.0
    duration_s: float | None = None
    start_s: float = 0.0
    """Where the source is begun."""
    end_s: float | None = None
    """Where it will end; None if that is unknown."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a run. `clips_in == results + errors + drops + in_flight` always holds."""

    position: Position = Position()
    elapsed_s: float = 0.0
    clips_in: int = 0
    results: int = 0
    errors: int = 0
    drops: int = 0
    in_flight: int = 0
    clips_per_s: float = 0.0
    x_real_time: float = 0.0
    """Seconds of media per second of run."""
    media_s: float = 0.0
    """Length of all clips that came out."""
    writing: tuple[Writing, ...] = ()
    """Outputs that lag behind."""
    slowest_group: str = ""
    phase: RunPhase = "run"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is reported at once: a worker restarted, an engine is being built, a source failed."""

    text: str
    level: Level = "info"
    in_results: bool = False
    """The results say it too."""
    fields: dict[str, str | int | float] = {}


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """A label that means nearly the same as that of an event, and was probable at the same time."""

    label: str
    probability: float
    """Mean over its own clips."""


class EventRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Consecutive clips of one source with the same label, or with near-synonyms."""

    source: str
    event: str
    """The label."""
    start_s: float
    end_s: float
    probability: float
    """Mean over the clips with this label."""
    peak: float
    clips: int
    """How many clips have this label."""
    alternatives: tuple[Alternative, ...] = ()
    """Near-synonyms that were merged into it, most probable first. The event lasts from the first start to the last
    end of all of them."""
    start_wall: str = ""
    """Date and time of the start, ISO 8601 with offset; empty if the source does not tell when it was recorded."""
    end_wall: str = ""
    epoch: int = 0
    """The one that it began in."""

    def __str__(self) -> str:
        return f"{self.event} {self.start_s:.1f}–{self.end_s:.1f} s"


class ZoneCount(msgspec.Struct, frozen=True):
    """What came into a zone of a source."""

    visits: int = 0
    mean_s: float = 0.0
    """How long they stayed."""
    longest_s: float = 0.0

    def __add__(self, other: "ZoneCount") -> "ZoneCount":
        visits = self.visits + other.visits
        total_s = self.mean_s * self.visits + other.mean_s * other.visits
        mean_s = round(total_s / visits, 3) if visits else 0.0
        return ZoneCount(visits, mean_s, max(self.longest_s, other.longest_s))


class ZoneNow(ZoneCount, frozen=True):
    """What has come into a zone of a camera so far."""

    inside: int = 0
    """How many are in it now; they count among the visits."""


class LineCount(msgspec.Struct, frozen=True, rename={"inward": "in"}):
    """What crossed a line of a source."""

    inward: int = 0
    out: int = 0

    def __add__(self, other: "LineCount") -> "LineCount":
        return LineCount(self.inward + other.inward, self.out + other.out)


class PlaceCounts(msgspec.Struct, frozen=True):
    """What the zones and lines of a camera have counted so far, by name."""

    zones: dict[str, ZoneNow] = {}
    lines: dict[str, LineCount] = {}


class SummaryRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One per source, after its last clip."""

    source: str
    summary: dict[str, float]
    """Seconds per label, longest first."""
    clips: int
    seconds: float
    """Length of all clips with a result."""
    seconds_labelled: float
    """How much of that has at least one label."""
    events: int
    errors: int = 0
    drops: int = 0
    gaps: int = 0
    zones: dict[str, ZoneCount] = {}
    lines: dict[str, LineCount] = {}
    first_events: tuple[EventRecord, ...] = ()
    """The longest events, in order of time. Only in the closing account, not in files."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended. `clips_in == results + errors + drops + in_flight`; in_flight is 0 unless it was cut short."""

    clips_in: int = 0
    results: int = 0
    errors: int = 0
    drops: int = 0
    in_flight: int = 0
    reused: int = 0
    """Results that are those of an earlier clip, because nothing had changed."""
    gaps: int = 0
    sources: int = 0
    sources_failed: int = 0
    clips_before: int = 0
    """Clips of an earlier run that --resume kept; not part of `clips_in`."""
    elapsed_s: float = 0.0
    ready_s: float = 0.0
    """When every worker had loaded."""
    media_s: float = 0.0
    """Length of all clips that came out."""
    interrupted: bool = False
    exit_code: int = 0
    messages: tuple[str, ...] = ()
    """Sentences for the user."""
    summaries: tuple[SummaryRecord, ...] = ()
    """From the sinks, when events were asked for."""
    mean_batch: dict[str, float] = {}
    """Mean batch size, by name of the groups that batch."""
    stage_s: dict[str, float] = {}
    """How long the decoders ("decode") and each stage have worked, in all their processes together."""
    stage_mb: dict[str, float] = {}
    """The most that the arrays of a clip took that the decoders and each stage made."""
