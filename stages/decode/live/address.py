"""How a camera is addressed: what FFmpeg is told about it, and what of its address may never be shown."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, unquote_plus, urlsplit

from pipeline.media import is_url
from stages.decode.live.options import Feed

Kind = Literal["rtsp", "http", "hls", "network", "device", "file"]
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
RTSP = {"allowed_media_types": "video+audio", "analyzeduration": "500000"}
HTTP = {"analyzeduration": "1000000"}
NETWORK = {"analyzeduration": "2000000", "overrun_nonfatal": "1"}
HLS = {"live_start_index": "-1"}
SHORTEST_SECRET = 3
"""A shorter word is not searched for in messages, of which it would leave nothing."""


@dataclass(frozen=True)
class Address:
    """Where a camera is."""

    url: str
    kind: Kind
    options: dict[str, str]
    """Of FFmpeg."""
    format: str | None = None
    """FFmpeg's name of the format; None: it finds out."""
    transports: tuple[str, ...] = ("",)
    """Those of RTSP, in the order in which they are tried."""
    endpoint: tuple[str, int] | None = None
    """Host and port that accept a TCP connection while the camera is there."""
    secrets: tuple[str, ...] = ()
    longest_wait_s: float = 60.0
    """Between two tries."""
    patience: int = 1
    """So many times as long as usual, nothing may come: a list of segments brings seconds of media at once."""

    def without_secrets(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def address_of(feed: Feed) -> Address:
    """The address of a feed."""
    if feed.realtime:
        return Address(feed.url, "file", {})
    if feed.url.isdecimal() or feed.url.startswith("/dev/"):
        device = feed.url if feed.url.startswith("/") else f"/dev/video{feed.url}"
        return Address(device, "device", {}, format="v4l2")
    if not is_url(feed.url):
        return Address(feed.url, "file", {})
    parts = urlsplit(feed.url)
    secrets = secrets_in(feed.url)
    if parts.scheme in ("rtsp", "rtsps"):
        order = ("tcp", "udp") if feed.transport == "auto" else (feed.transport,)
        return Address(feed.url, "rtsp", RTSP, "rtsp", order, endpoint_of(feed.url), secrets)
    if parts.scheme in ("http", "https"):
        is_list = parts.path.lower().endswith((".m3u8", ".m3u"))
        endpoint = endpoint_of(feed.url)
        if is_list:
            return Address(feed.url, "hls", HLS, endpoint=endpoint, secrets=secrets, patience=3)
        return Address(feed.url, "http", HTTP, endpoint=endpoint, secrets=secrets)
    waits = parts.scheme not in ("udp", "rtp")  # whoever only listens disturbs nobody
    return Address(feed.url, "network", NETWORK, secrets=secrets, longest_wait_s=60.0 if waits else 0.5)


def endpoint_of(url: str) -> tuple[str, int] | None:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:  # no number, or too large a one; FFmpeg will say so
        return None
    return (parts.hostname, port or PORTS[parts.scheme]) if parts.hostname else None


def secrets_in(url: str) -> tuple[str, ...]:
    """User, password and the values of a query, as they are written and as they are meant; the longest first."""
    parts = urlsplit(url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    words = [user, password, parts.query, *(pair.partition("=")[2] for pair in parts.query.split("&"))]
    words += [form(word) for word in words for form in (unquote, unquote_plus)]
    return tuple(sorted({word for word in words if len(word) >= SHORTEST_SECRET}, key=lambda word: (-len(word), word)))
