"""Events of cameras: what the history keeps, alerts carry and the page shows."""

from typing import Any, Literal

import msgspec

Kind = Literal["label", "rule", "health", "connection", "test"]


class LiveEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event as it stands: sent when it opens and again, with the same id, when it closes.

    Times are UTC, ISO 8601 with offset and milliseconds, as the camera captured them.
    """

    id: str
    """`<camera>-<compact UTC time of its start>-<six hex digits>`, also the name of its files."""
    camera: str
    kind: Kind
    name: str
    """The label, the name of the rule, `microphone_silent`, `lens_covered`, `picture_frozen`, `engine_constant`,
    `camera_lost`, `clock_wrong`, `disk_full`."""
    state: Literal["open", "closed"]
    start: str
    end: str = ""
    duration_s: float = 0.0
    """On the monotonic clock, from the first clip's start to the last one's end so far."""
    probability: float = 0.0
    """Mean over its clips; 0 for health."""
    peak: float = 0.0
    threshold: float = 0.0
    clips: int = 0
    first_clip: int = -1
    epoch: int = 0
    labels_version: int = 1
    clock: str = "arrival"
    snapshot: str = ""
    """File in the state folder's `media/`, relative to it."""
    recording: str = ""
    text: str = ""
    """What happened, for a person: `no packet for 10 s`."""
    evidence: dict[str, Any] = {}
    """What it rests on: per modality for labels, the truth of each part for rules, the measurements for health."""
