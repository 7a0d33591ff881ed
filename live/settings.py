"""Cameras and what is watched for, as `cameras.toml` says it. Plain data; `live.read_settings` reads and checks it."""

from typing import Literal

import msgspec

from pipeline.places import Line, Places, Polygon


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Watched(_Settings, frozen=True):
    """A label to look for, when it counts, and for how long an event of it goes on."""

    label: str
    threshold: float | None = None
    """An event begins at this probability; none: the camera's, or the one that its budget of false alarms sets."""
    hold_s: float | None = None
    """An event goes on for so long after its last probable clip; none: the camera's."""
    events: bool = True
    """False: the label is shown and may stand in conditions, but makes no events of its own."""


class Rule(_Settings, frozen=True):
    """A condition over labels and zones, which makes events of its own."""

    name: str
    when: str
    """`glass breaking and not person`, `dog barking for 30 s`, `motion in drive`: see `live.condition`."""
    hold_s: float | None = None
    min_s: float = 0.0
    """Shorter events are not reported."""


class Schedule(_Settings, frozen=True):
    """When events are made. Labels are scored at any time."""

    zone: str = "UTC"
    """Name of a time zone, such as Europe/Berlin. Its daylight saving is followed."""
    active: tuple[str, ...] = ()
    """`Mon-Fri 08:00-18:00`, `Sat 22:00-06:00`, `daily 00:00-24:00`; local times. Empty: always."""


class Camera(_Settings, frozen=True):
    """One camera. Every key but `name` and where it is may also stand above all cameras, for those that lack it."""

    name: str
    """Letters, digits, `-`, `_` and `.`; the only name that results, logs, metrics and the page use."""
    url: str = ""
    url_env: str = ""
    """Environment variable that holds the URL."""
    url_file: str = ""
    """File that holds the URL."""
    user: str = ""
    password_env: str = ""
    password_file: str = ""
    transport: Literal["auto", "tcp", "udp"] = "auto"
    realtime: bool = False
    loop: bool = False
    labels: tuple[str | Watched, ...] = ()
    find: tuple[str, ...] = ()
    """Things that name tracks in place of the labels; tracks of other things are not told."""
    threshold: float = 0.5
    hold_s: float = 4.0
    rules: tuple[Rule, ...] = ()
    false_alarms_per_day: float | None = None
    """Sets thresholds from the camera's own past: each label may give so many events a day in it."""
    clip_seconds: float = 2.0
    fps: float = 8.0
    modalities: tuple[Literal["image", "motion", "audio"], ...] = ("image", "motion", "audio")
    zones: dict[str, Polygon] = {}
    """Where something moves, and where tracks are counted, in fractions of the picture."""
    lines: dict[str, Line] = {}
    """Where tracks are counted as they cross."""
    masks: tuple[Polygon, ...] = ()
    schedule: Schedule = Schedule()
    policy: Literal["latest", "every"] = "latest"
    """latest: the newest clip wins where not every clip can be labelled. every: clips wait, and become old."""
    reuse: bool = True
    """While nothing changes, answers are reused."""
    stall_s: float = 10.0
    record: bool = False
    """Events come with a film, cut from what the camera sent; with masks, it is encoded again."""
    pre_s: float = 5.0
    post_s: float = 3.0
    longest_s: float = 60.0
    """Longest film of an event."""

    @property
    def places(self) -> Places:
        return Places(self.zones, self.lines)


class Keep(_Settings, frozen=True):
    """How much of the past is kept in the state folder."""

    days: float = 30.0
    gigabytes: float = 10.0
    """Of snapshots, films and results together; the oldest go first."""
    results_megabytes: float = 100.0
    """A results file is closed at this size, and at the end of the day (UTC)."""


class Page(_Settings, frozen=True):
    """The web page and the HTTP API."""

    host: str = "127.0.0.1"
    port: int = 8710
    """0: any free port. -1: no page; `percept watch ctl` still works, by a socket in the state folder."""
    token_env: str = ""
    token_file: str = ""
    """A token is needed for any address but loopback."""
    hosts: tuple[str, ...] = ()
    """Other names by which the page may be asked for (Host header), such as that of a proxy."""


class Webhook(_Settings, frozen=True):
    url: str = ""
    url_env: str = ""
    secret_env: str = ""
    secret_file: str = ""
    """Signs every request: header `X-Percept-Signature: t=<unix s>,v1=<hex HMAC-SHA256 of "t.body">`."""
    kinds: tuple[str, ...] = ("label", "rule", "health")
    timeout_s: float = 10.0


class Mqtt(_Settings, frozen=True):
    host: str
    port: int = 1883
    user: str = ""
    password_env: str = ""
    password_file: str = ""
    tls: bool = False
    topic: str = "percept"
    """First part of every topic: `<topic>/status`, `<topic>/<camera>/event`, `<topic>/<camera>/<label>`."""
    discovery: str = "homeassistant"
    """Prefix of Home Assistant's discovery; empty: none."""
    kinds: tuple[str, ...] = ("label", "rule", "health")


class Alerts(_Settings, frozen=True):
    webhooks: tuple[Webhook, ...] = ()
    mqtt: Mqtt | None = None


class Settings(_Settings, frozen=True):
    """Everything that is watched. Secrets are not in it: it says where they are."""

    cameras: tuple[Camera, ...] = ()
    directory: str = ""
    """Where everything that is kept is; empty: $XDG_STATE_HOME/percept/watch, else ~/.local/state/percept/watch."""
    keep: Keep = Keep()
    page: Page = Page()
    alerts: Alerts = Alerts()
