"""The state of a watch as the supervisor tells it once a second: what the page, `/metrics` and `watch ctl` show."""

import msgspec

from pipeline.status import LineCount, ZoneNow


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Canary(_Part, frozen=True):
    """A known clip that goes through every engine from time to time."""

    ok: bool | None = None
    """None: it has not gone through yet."""
    text: str = ""
    at: str = ""
    """When it last went through, UTC; empty: it has not."""


class ProcessStatus(_Part, frozen=True):
    name: str
    role: str = ""
    pid: int = 0
    ready: bool = False
    deaths: int = 0


class QueueStatus(_Part, frozen=True):
    """Clips that wait for a group of stages, and those that its workers have."""

    ready: int = 0
    leased: int = 0


class SlotStatus(_Part, frozen=True):
    free: int = 0
    count: int = 0


class Account(_Part, frozen=True):
    """`clips_in = results + errors + drops + in_flight`, at any moment."""

    clips_in: int = 0
    results: int = 0
    errors: int = 0
    drops: int = 0
    in_flight: int = 0
    gaps: int = 0
    """Stretches without media, which are no clips."""
    deaths: int = 0
    """Of workers."""
    unwritten: int = 0
    """Records that could not be kept, because no output process was there for them in time."""


class Age(_Part, frozen=True):
    """From the capture of a clip's last picture to its record, in seconds; None before the first."""

    p50: float | None = None
    p99: float | None = None
    last: float | None = None


class CameraStatus(_Part, frozen=True):
    name: str
    connection: str = "connecting"
    """connecting, live, lost or refused."""
    since: str = ""
    """Since when, UTC."""
    text: str = ""
    """Why, without secrets."""
    transport: str = ""
    epoch: int = 0
    reconnects: int = 0
    clips: int = 0
    results: int = 0
    reused: int = 0
    errors: int = 0
    drops: dict[str, int] = {}
    """By reason: superseded, no_slot."""
    age_s: Age = Age()
    events: int = 0
    zones: dict[str, ZoneNow] = {}
    """Tracks that were in each zone, since the watch began."""
    lines: dict[str, LineCount] = {}
    """Tracks that crossed each line."""
    labels_version: int = 1
    width: int = 0
    height: int = 0
    has_video: bool = False
    has_audio: bool = False
    measures: dict[str, float] = {}


class Status(_Part, frozen=True):
    time: str = ""
    """UTC."""
    uptime_s: float = 0.0
    ready: bool = False
    """All models are loaded."""
    canary: Canary = Canary()
    processes: tuple[ProcessStatus, ...] = ()
    queues: dict[str, QueueStatus] = {}
    slots: SlotStatus = SlotStatus()
    engines: dict[str, str] = {}
    """Backend and precision of each tower."""
    stage_s: dict[str, float] = {}
    """Seconds that each stage has worked so far."""
    account: Account = Account()
    version: int = 0
    """Rises with every change of what is watched."""
    cameras: tuple[CameraStatus, ...] = ()
