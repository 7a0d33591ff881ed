"""Everything that the HTTP API can be asked: one table, from which routes and the OpenAPI document are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from live.event import LiveEvent
from live.page.board import Noted
from live.settings import Camera, Settings
from live.status import CameraStatus

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Call:
    """One method of one path."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any
    """Type of the JSON that comes back, or a media type such as `image/jpeg`."""
    body: Any = None
    query: tuple[tuple[str, Any, str], ...] = ()
    """Name, type and meaning."""
    status: int = 200


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the watch says to a change."""

    ok: bool = True
    version: int = 0
    """Of the settings, after the change."""
    text: str = ""


class Trouble(msgspec.Struct, frozen=True):
    error: str
    """A sentence: what is wrong, and what to do."""


class CameraView(msgspec.Struct, frozen=True):
    """One camera: what it is asked for, how it is, and its newest records."""

    camera: Camera
    status: CameraStatus
    recent: tuple[Noted, ...]
    """In order of time; in the list of all cameras only a few."""
    now_s: float
    """This machine's monotonic clock, by which `captured_s` counts."""


class EventPage(msgspec.Struct, frozen=True):
    events: tuple[LiveEvent, ...]
    """Newest first."""
    next: str = ""
    """Give it as `before` for the events before these; empty: there are none."""


class PreviewAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    labels: tuple[str, ...]


class PreviewLabel(msgspec.Struct, frozen=True):
    label: str
    probability: float
    evidence: dict[str, Any] = {}


class PreviewClip(msgspec.Struct, frozen=True):
    clip: int
    start: str
    labels: tuple[PreviewLabel, ...]


class Preview(msgspec.Struct, frozen=True):
    """What the clips of the last minute would have been called."""

    clips: tuple[PreviewClip, ...]


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    ok: bool
    text: str = ""


class SettingsView(msgspec.Struct, frozen=True):
    """What is watched, without secrets."""

    version: int
    settings: Settings
    has_login: bool
    """The page needs a token, so that there is a session to end."""
