"""The unit of work: a clip is a half-open stretch [start_ns, end_ns) of one source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from pipeline.arrays import Array
from pipeline.places import Places

Modality = Literal["image", "motion", "audio"]
MODALITIES: tuple[Modality, ...] = ("image", "motion", "audio")

Reason = Literal["no_stream", "gap", "too_short", "failed", "not_asked", "no_tower", "superseded", "key_frames"]
"""Why an array is absent. A reason settles an array just as a value does."""


class SourceInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about a source once it is open."""

    source: str
    source_index: int
    width: int = 0
    """Upright, square-pixel size in pixels; 0 without a video stream."""
    height: int = 0
    frame_rate_hz: float = 0.0
    sample_rate_hz: int = 0
    duration_ns: int | None = None
    """The duration that the container declares; None if it declares none, as for live sources."""
    has_video: bool = False
    has_audio: bool = False
    start_wall: str = ""
    """Date and time at media time 0, ISO 8601 with offset, as the container tells it; "" if it does not."""
    timecode: str = ""
    """Of the first picture: `01:02:03:04`, or `01:02:03;04` with dropped frames; "" if the container has none."""
    device: str = ""
    """Make and model of the camera or phone, as the container tells them."""
    notes: tuple[str, ...] = ()
    """Oddities worth reporting: cover picture skipped, timestamps estimated, unknown codec."""

    def in_words(self) -> str:
        """`talk.mp4: 1280×720 pixels at 30 Hz, sound at 48000 Hz, 90.0 s`"""
        facts = [
            f"{self.width}×{self.height} pixels at {self.frame_rate_hz:.4g} Hz" if self.has_video else "no pictures",
            f"sound at {self.sample_rate_hz} Hz" if self.has_audio else "no sound",
            f"{self.duration_ns / 1e9:.1f} s" if self.duration_ns is not None else "of unknown length",
        ]
        return f"{self.source}: {', '.join(facts)}"


class LiveFacts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a live reader knows of a clip beyond its media."""

    wall_ns: int
    """When the clip's start was captured: Unix time in nanoseconds, UTC."""
    clock: Literal["camera", "arrival"] = "arrival"
    """Who told the time: the camera, in its sender reports, or this machine, when the packets came."""
    captured_ns: int
    """When the clip's last picture or sound was captured, on this machine's monotonic clock; 0 for a gap."""
    reused: bool = False
    """Nothing has changed since an earlier clip, and its answers hold: the clip was not decoded in full."""
    still_ns: int = 0
    """For how long nothing had changed before the clip: the length of the reused ones since one was decoded in full."""
    measures: dict[str, float] = {}
    """Measurements of the clip by name; see `stages.decode.live.measures`."""


class Reuse(msgspec.Struct, frozen=True):
    """An earlier clip of the source that shows the same, so that its answers hold."""

    place: int
    """Where its answers were kept; see `ClipInfo.kept_in`."""
    start_ns: int


class ClipInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """The source and the stretch of a clip. Times are those of a player's seek bar, in nanoseconds.

    Those of a live source count from the start of the run, on this machine's monotonic clock.
    """

    source: str
    source_index: int
    index: int
    start_ns: int
    end_ns: int
    epoch: int = 0
    width: int = 0
    height: int = 0
    estimated_times: bool = False
    corrupt_frames: int = 0
    decode_errors: int = 0
    live: LiveFacts | None = None
    """Only of clips from a live reader."""
    labels_version: int = 1
    """The set of labels that is asked of the clip."""
    places: Places | None = None
    """Where its tracks are counted; None: in the zones and at the lines of the run."""
    kept_in: int = -1
    """Its answers may hold for later clips, and are kept in this place until another clip takes it; -1: they are not.
    Only of clips of files: those of a watch may always hold for the clip after."""
    reuse: Reuse | None = None
    """Whose answers hold for it, so that it comes without media. Only of clips of files."""


class Missed(msgspec.Struct, frozen=True):
    """A clip that a live reader could not give out."""

    info: ClipInfo
    reason: str


class Gap(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch without media: all streams leap by more than 10 s. A new epoch follows it."""

    source: str
    source_index: int
    epoch: int
    """The epoch that begins after the gap."""
    start_ns: int
    end_ns: int
    next_index: int
    """Index of the first clip after the gap; clip indices count on across epochs."""
    wall_ns: int = 0
    """When the gap of a live source began: Unix time in nanoseconds, UTC. 0 for other sources."""


@dataclass(frozen=True)
class Clip:
    """A clip as a stage sees it: read-only arrays and records by name, and the reasons for absent ones."""

    info: ClipInfo
    arrays: Mapping[str, Any]
    absent: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """The array or record. If it is absent, the KeyError gives the reason."""
        try:
            return self.arrays[name]
        except KeyError:
            raise KeyError(f"{name} is absent: {self.absent.get(name, 'never settled')}") from None

    def get(self, name: str) -> Any | None:
        return self.arrays.get(name)


@dataclass(frozen=True)
class Absent:
    """What a stage returns in place of an array that it cannot compute for a clip."""

    reason: Reason


@dataclass(frozen=True)
class DecodedClip:
    """What a reader yields: a clip and its arrays by name (see the table in docs/architecture.md)."""

    info: ClipInfo
    arrays: Mapping[str, Array]
    absent: Mapping[str, str] = field(default_factory=dict)


def moved(arrays: Mapping[str, Any], by_ns: int) -> dict[str, Any]:
    """What was found in one clip, as it is in another that shows the same so much later: times move, the rest stays."""
    return {name: value + by_ns if name.endswith("_ns") else value for name, value in arrays.items()}
