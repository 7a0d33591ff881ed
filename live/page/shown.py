"""What may leave of the settings, and what may come in from the page and the API."""

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from live.settings import Alerts, Camera, Mqtt, Page, Settings
from live.sources import SCHEMES

HIDDEN = "***"
LONGEST_URL = 2048
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LOCAL = frozenset({"url_env", "url_file", "password_env", "password_file", "realtime", "loop"})
"""What only the config may say: it reads files and variables of this machine."""
FIXED = LOCAL | {"name", "url", "user"}
"""What a change must not touch: a camera's password would go to whatever address the change names."""
_FIELDS = {field.name: field for field in msgspec.structs.fields(Camera)}
_STRICT: dict[str, Any] = {"frozen": True, "kw_only": True, "forbid_unknown_fields": True, "omit_defaults": True}
_VALUE = re.compile(r"([=:])[^/?&#=:]+")

CameraChange: Any = msgspec.defstruct(
    "CameraChange",
    [(name, field.type | msgspec.UnsetType, msgspec.UNSET) for name, field in _FIELDS.items() if name not in FIXED],
    **_STRICT,
)
"""Fields of a camera that change; the others stay as they are."""
NewCamera: Any = msgspec.defstruct(
    "NewCamera",
    [("name", str), ("url", str)]
    + [
        (name, field.type | msgspec.UnsetType, msgspec.UNSET)
        for name, field in _FIELDS.items()
        if name not in LOCAL | {"name", "url"}
    ],
    **_STRICT,
)
"""A camera to add; fields that are missing have their defaults."""


def shown_settings(settings: Settings) -> Settings:
    """The settings without secrets and without places on this machine."""
    return msgspec.structs.replace(
        settings,
        cameras=tuple(shown_camera(camera) for camera in settings.cameras),
        directory="",
        page=Page(host=settings.page.host, port=settings.page.port, hosts=settings.page.hosts),
        alerts=_shown_alerts(settings.alerts),
    )


def shown_camera(camera: Camera) -> Camera:
    has_login = bool(camera.user or camera.password_env or camera.password_file)
    url = HIDDEN if camera.url_env or camera.url_file else masked_url(camera.url, has_login)
    return msgspec.structs.replace(camera, url=url, url_env="", url_file="", user="", password_env="", password_file="")


def masked_url(url: str, has_login: bool = False) -> str:
    """`rtsp://user:word@cam/1?key=abc` -> `rtsp://***@cam/1?key=***`; of a file only its name."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url.rpartition("/")[2]
    login, _, rest = rest.rpartition("@")  # a password may contain anything
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = _VALUE.sub(rf"\1{HIDDEN}", rest[len(host) :])
    return f"{scheme}://{f'{HIDDEN}@' if login or has_login else ''}{host}{path}"


def wrong_url(url: str) -> str:
    """Why a URL is no camera's that the API may add; "" if it is one."""
    schemes = ", ".join(SCHEMES)
    if len(url) > LONGEST_URL:
        return f"The URL has {len(url)} characters; expected at most {LONGEST_URL}."
    if not url.isprintable() or any(letter.isspace() or letter == "\\" for letter in url):
        return "The URL has white space, control characters or a backslash in it."
    scheme, mark, _ = url.partition("://")
    if not mark or scheme.lower() not in SCHEMES:
        return (
            f"The API adds cameras by URL, with one of these schemes: {schemes}. Put files and devices into the config."
        )
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    return "" if has_host else f"The URL names no host; expected something like {scheme.lower()}://camera.local/stream."


def wrong_name(name: str) -> str:
    """Why it is no name for a camera; "" if it is one."""
    if NAME.fullmatch(name):
        return ""
    return "A camera's name has 1 to 64 letters, digits, -, _ and ., and begins with a letter or a digit."


def _shown_alerts(alerts: Alerts) -> Alerts:
    webhooks = tuple(
        msgspec.structs.replace(hook, url=_host_of(hook.url), url_env="", secret_env="", secret_file="")
        for hook in alerts.webhooks
    )
    return Alerts(webhooks=webhooks, mqtt=_shown_mqtt(alerts.mqtt))


def _host_of(url: str) -> str:
    """Only the host: the path of a webhook is often its secret."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}://{re.split(r'[/?#]', rest, maxsplit=1)[0].rpartition('@')[2]}/{HIDDEN}" if mark else HIDDEN


def _shown_mqtt(mqtt: Mqtt | None) -> Mqtt | None:
    return mqtt and msgspec.structs.replace(mqtt, user="", password_env="", password_file="")
