"""Webhooks against a real HTTP server."""

import base64
import hashlib
import hmac
import json
import threading
from pathlib import Path

import msgspec
import pytest

from live.delivery import Later, Refused
from live.event import LiveEvent
from live.settings import Webhook
from live.webhook import LARGEST_PICTURE, WebhookTarget
from tests.live.receivers import free_port, hook
from tests.live.test_deadline import trickling

EVENT = LiveEvent(
    id="door-20260131T120000Z-1a2b3c",
    camera="door",
    kind="label",
    name="dog barking",
    state="open",
    start="2026-01-31T12:00:00.000+00:00",
    snapshot="2026-01-31/door.jpg",
)


def target(url: str, media: Path, **more: object) -> WebhookTarget:
    return WebhookTarget(Webhook(url=url, **more), media, "1.2.3")  # type: ignore[arg-type]


def test_an_event_arrives_signed_with_its_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "sesame")
    (tmp_path / "2026-01-31").mkdir()
    (tmp_path / EVENT.snapshot).write_bytes(b"\xff\xd8picture")
    with hook() as server:
        sender = target(server.url, tmp_path, secret_env="HOOK_SECRET")
        sender.send(EVENT)
        sender.send(msgspec.structs.replace(EVENT, state="closed"))
    (headers, body), (later_headers, _) = server.requests
    content = json.loads(body)
    assert msgspec.convert(content["event"], LiveEvent) == EVENT
    assert content["percept"] == "1.2.3"
    assert base64.b64decode(content["snapshot_jpeg"]) == b"\xff\xd8picture"
    time, _, signed = headers["X-Percept-Signature"].removeprefix("t=").partition(",v1=")
    assert signed == hmac.new(b"sesame", f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-Percept-Id"] == f"{EVENT.id}:open"
    assert later_headers["X-Percept-Id"] == f"{EVENT.id}:closed"


def test_a_large_picture_is_only_named(tmp_path: Path) -> None:
    (tmp_path / "2026-01-31").mkdir()
    (tmp_path / EVENT.snapshot).write_bytes(bytes(LARGEST_PICTURE + 1))
    with hook() as server:
        target(server.url, tmp_path).send(EVENT)
    assert "snapshot_jpeg" not in json.loads(server.requests[0][1])
    assert "X-Percept-Signature" not in server.requests[0][0]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 422, 301, 302, 307, 308])
def test_what_will_never_be_taken_is_refused(tmp_path: Path, code: int) -> None:
    """A redirect is one of these: the signed message goes nowhere else."""
    with hook() as other, hook() as server:
        server.answers, server.headers = [code], {"Location": other.url}
        with pytest.raises(Refused, match=f"answered {code}"):
            target(server.url, tmp_path).send(EVENT)
        assert other.requests == []


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(tmp_path: Path, code: int) -> None:
    with hook() as server:
        server.answers, server.headers = [code], {"Retry-After": "7"}
        with pytest.raises(Later, match=f"answered {code}") as caught:
            target(server.url, tmp_path).send(EVENT)
    assert caught.value.wait_s == 7.0


def test_a_server_that_is_away_or_silent_is_tried_again(tmp_path: Path, silent_url: str) -> None:
    with pytest.raises(Later, match="cannot be reached: Connection refused"):
        target(f"http://127.0.0.1:{free_port()}/", tmp_path).send(EVENT)
    with pytest.raises(Later, match=r"no answer within 0\.2 s"):
        target(silent_url, tmp_path, timeout_s=0.2).send(EVENT)


def test_a_server_that_trickles_its_answer_is_tried_again(tmp_path: Path) -> None:
    with trickling(b"", b"H") as port, pytest.raises(Later, match=r"no answer within 0\.3 s"):
        target(f"http://127.0.0.1:{port}/", tmp_path, timeout_s=0.3).send(EVENT)


def test_a_login_in_the_url_becomes_a_header(tmp_path: Path) -> None:
    with hook() as server:
        target(server.url.replace("//", "//me:p%40ss@"), tmp_path).send(EVENT)
    assert server.requests[0][0]["Authorization"] == f"Basic {base64.b64encode(b'me:p@ss').decode()}"


def test_no_text_shows_what_the_url_hides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of webhooks are passwords."""
    before = threading.active_count()
    monkeypatch.setenv("HOOK_URL", "http://user:word@127.0.0.1:1/T0/SECRET\x7f\n?key=SECRET")
    texts = []
    for webhook in (
        Webhook(url=f"http://user:word@127.0.0.1:{free_port()}/T0/SECRET?key=SECRET"),
        Webhook(url_env="HOOK_URL"),
        Webhook(url="http://[::1/T0/SECRET"),
        Webhook(url="ftp://user:word@host/T0/SECRET"),
        Webhook(url_env="NOT_SET"),
    ):
        sender = WebhookTarget(webhook, tmp_path, "")
        with pytest.raises(Later) as caught:
            sender.send(EVENT)
        texts += [str(caught.value), sender.name, sender.shown]
    assert not [text for text in texts if "SECRET" in text or "word" in text]
    assert "NOT_SET" in texts[-3]
    assert threading.active_count() <= before
