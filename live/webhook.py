"""Alerts as signed HTTP requests."""

import base64
import hashlib
import hmac
import http.client
import threading
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from live.deadline import answer_within
from live.delivery import Later, Refused
from live.event import LiveEvent
from live.secrets import read_secret, webhook_url
from live.settings import Webhook
from pipeline.errors import ConfigError

LARGEST_PICTURE = 256 << 10
"""Bytes of a snapshot that is sent along; a larger one is only named."""
PASSING = (408, 425, 429)
"""Answers of 400 and above, below 500, after which it is tried again."""
_encode = msgspec.json.Encoder().encode


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: what is signed for one server does not go to another."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


class WebhookTarget:
    """POSTs `{"event": {...}, "percept": version}`, with the snapshot as `snapshot_jpeg` (base64) if it is small.

    `X-Percept-Id` is the same whenever the same message is sent again.
    """

    def __init__(self, webhook: Webhook, media: Path, version: str) -> None:
        source = webhook.url_env or webhook.url
        self.name = f"webhook-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
        self.shown = f"webhook {shown_url(webhook)}"
        self.kinds = webhook.kinds
        self.is_back = threading.Event()
        self._webhook, self._media, self._version = webhook, media, version

    def send(self, event: LiveEvent) -> None:
        try:
            url = webhook_url(self._webhook)
            secret = read_secret(self.shown, "secret", self._webhook.secret_env, self._webhook.secret_file)
        except ConfigError as error:
            raise Later(str(error)) from None
        body = self._body(event)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"percept/{self._version}",
            "X-Percept-Id": f"{event.id}:{event.state}",
        }
        if secret:
            headers["X-Percept-Signature"] = signature(secret, int(time.time()), body)
        self._post(request(url, body, headers))

    def tend(self) -> None:
        """There is nothing but alerts."""

    def close(self) -> None:
        """Nothing stays open."""

    def _post(self, request: urllib.request.Request) -> None:
        try:
            with answer_within(request, self._webhook.timeout_s, NoRedirects()) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            with error:
                text = f"answered {error.code} {http.client.responses.get(error.code, '')}".rstrip()
                if error.code >= 500 or error.code in PASSING:
                    raise Later(text, _asked_wait_s(error.headers)) from None
                raise Refused(text) from None
        except TimeoutError:
            raise Later(f"no answer within {self._webhook.timeout_s:g} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Later(f"cannot be reached: {_reason(error)}") from None

    def _body(self, event: LiveEvent) -> bytes:
        content: dict[str, Any] = {"event": event, "percept": self._version}
        if event.snapshot and (picture := small_file(self._media / event.snapshot)):
            content["snapshot_jpeg"] = base64.b64encode(picture).decode()
        return _encode(content)


def request(url: str, body: bytes, headers: dict[str, str]) -> urllib.request.Request:
    """Raises: Later: it is no URL of a web server. A user and a password in it become a header."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable():
            raise ValueError
        login, _, place = parts.netloc.rpartition("@")
        if login:
            headers = headers | {"Authorization": f"Basic {base64.b64encode(unquote(login).encode()).decode()}"}
        return urllib.request.Request(urlunsplit(parts._replace(netloc=place)), body, headers, method="POST")
    except ValueError:
        raise Later("its URL is not valid; expected http://… or https://…") from None


def signature(secret: str, unix_s: int, body: bytes) -> str:
    """`t=<unix s>,v1=<hex HMAC-SHA256 of "t.body">`"""
    signed = hmac.new(secret.encode(), f"{unix_s}.".encode() + body, hashlib.sha256)
    return f"t={unix_s},v1={signed.hexdigest()}"


def shown_url(webhook: Webhook) -> str:
    """What may be shown of a webhook: its server, or the name of the variable. Paths of webhooks are secrets too."""
    if webhook.url_env:
        return f"${webhook.url_env}"
    try:
        parts = urlsplit(webhook.url)
    except ValueError:
        return "…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def small_file(path: Path) -> bytes:
    """The content of a file that is small enough to send along; empty if it is not, or not there."""
    try:
        return path.read_bytes() if path.stat().st_size <= LARGEST_PICTURE else b""
    except OSError:
        return b""


def _asked_wait_s(headers: Message) -> float:
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _reason(error: Exception) -> str:
    """Why, without the URL."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, OSError):
        return reason.strerror or type(reason).__name__
    return type(reason).__name__
