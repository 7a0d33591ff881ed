"""The HTTP API over a real page process: every route, as its OpenAPI document says."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from pipeline.messages import StatusUpdate
from pipeline.result import Evidence, Label, Track
from tests.live.page.conftest import SETTINGS, Client
from tests.live.page.fake_watch import FakeWatch, event, jpeg

API = "/api/v1"
LABELS = [Label("person", 0.8, 0.6, {"image": Evidence(0.9, 0.3, 0.7), "audio": Evidence(0.1, 0.1, 0.3)})]


def until(found: Callable[[], Any], timeout_s: float = 15.0) -> Any:
    """What is found, once it is true."""
    end_s = time.monotonic() + timeout_s
    while not (value := found()):
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="module")
def filled(watch: FakeWatch) -> FakeWatch:
    """Two clips, and three events with media."""
    media = watch.directory / "media"
    (media / "day").mkdir()
    (media / "day" / "a.jpg").write_bytes(jpeg())
    (media / "day" / "a.mp4").write_bytes(bytes(range(256)) * 40)
    watch.say_events(
        [
            event(
                "a", "front-door", "person", 300, snapshot="day/a.jpg", recording="day/a.mp4", evidence={"image": 0.9}
            ),
            event("b", "drive", "microphone_silent", 200, kind="health", text="silent"),
            event("c", "front-door", "person", 100, state="open"),
        ]
    )
    for _ in range(2):
        index = watch.say("front-door", LABELS, [Track(3, [(0.5, 10, 20, 30, 40)], "person", 0.8)])
        watch.picture("front-door", f"clip-{index}.jpg")
    client = Client(watch.address)
    until(lambda: len(client.get(f"{API}/cameras/front-door").json["recent"]) == 2)
    return watch


def document(client: Client) -> dict[str, Any]:
    return client.get(f"{API}/openapi.json").json


def check(client: Client, method: str, path: str, status: int, body: Any) -> None:
    """That an answer is what the document says. The document names a path as a template."""
    api = document(client)
    found = [
        known
        for known in api["paths"]
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(known)), path.split("?")[0])
    ]
    described = api["paths"][found[0]][method.lower()]["responses"]
    content = described[str(status) if str(status) in described else "default"]["content"]
    schema = content["application/json"]["schema"] | {"components": api["components"]}
    jsonschema.validate(body, schema)


@pytest.mark.parametrize(
    "path",
    [
        "/status",
        "/settings",
        "/cameras",
        "/cameras/front-door",
        "/cameras/drive",
        "/cameras/nobody",
        "/events",
        "/events?camera=front-door&limit=1",
        "/events?kind=health",
        "/events?limit=0",
        "/events?before=nonsense",
        "/events/a",
        "/events/zzz",
        "/openapi.json",
    ],
)
def test_answers_are_as_the_document_says(filled: FakeWatch, client: Client, path: str) -> None:
    reply = client.get(API + path)
    check(client, "GET", API + path, reply.status, reply.json)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"


def test_every_route_is_in_the_document_and_answers(filled: FakeWatch, client: Client) -> None:
    known = {path: sorted(methods) for path, methods in document(client)["paths"].items()}
    assert known[f"{API}/cameras/{{name}}"] == ["delete", "get", "patch"]
    for path, methods in known.items():
        where = path.replace("{name}", "front-door").replace("{id}", "a").replace("{index}", "1")
        if where.endswith(("stream", "live.mjpg")) or "get" not in methods:
            continue
        assert client.get(where).status == 200, where
    jsonschema.Draft202012Validator.check_schema(document(client)["components"]["schemas"]["Camera"])


def test_a_camera_comes_with_its_newest_records_and_without_its_secrets(filled: FakeWatch, client: Client) -> None:
    view = client.get(f"{API}/cameras/front-door").json
    assert view["camera"]["url"] == "rtsp://***@cam-1.local:554/stream1?token=***"
    assert view["status"]["age_s"] == {"p50": 1.25, "p99": 2.5, "last": 1.0}
    assert [noted["record"]["clip"] for noted in view["recent"]] == [0, 1]
    newest = view["recent"][-1]
    assert newest["captured_s"] <= view["now_s"] - newest["record"]["age_s"] <= time.monotonic()
    assert newest["record"]["labels"][0]["evidence"]["image"]["probability"] == 0.9
    assert newest["captured_s"] == pytest.approx(time.monotonic() - newest["record"]["age_s"], abs=20)
    assert client.get(f"{API}/cameras/drive").json["camera"]["url"] == "***"


def test_no_secret_leaves_by_any_answer(filled: FakeWatch, client: Client) -> None:
    for path in ("/status", "/settings", "/cameras", "/cameras/front-door", "/events", "/openapi.json"):
        body = client.get(API + path).body.decode()
        for secret in ("hunter2", "s3cr3t", "admin", "DRIVE_URL", "/etc/drive", str(filled.directory)):
            assert secret not in body, (path, secret)
    assert "hunter2" not in client.get("/metrics").body.decode()


def test_events_come_newest_first_in_pages(filled: FakeWatch, client: Client) -> None:
    first = client.get(f"{API}/events?limit=2").json
    assert [found["id"] for found in first["events"]] == ["c", "b"]
    rest = client.get(f"{API}/events?limit=2&before={first['next']}").json
    assert [found["id"] for found in rest["events"]] == ["a"]
    assert rest["next"] == ""
    only = client.get(f"{API}/events?camera=drive").json["events"]
    assert [found["id"] for found in only] == ["b"]


def test_a_film_can_be_read_in_ranges(filled: FakeWatch, client: Client) -> None:
    whole = client.get(f"{API}/events/a/recording.mp4")
    assert (whole.status, len(whole.body), whole.headers["content-type"]) == (200, 10240, "video/mp4")
    part = client.get(f"{API}/events/a/recording.mp4", Range="bytes=256-259")
    assert (part.status, part.body) == (206, bytes([0, 1, 2, 3]))
    assert part.headers["content-range"] == "bytes 256-259/10240"
    assert client.get(f"{API}/events/a/recording.mp4", Range="bytes=99999-").status == 416
    assert client.get(f"{API}/events/a/snapshot.jpg").body == jpeg()
    assert client.get(f"{API}/events/b/snapshot.jpg").status == 404


def test_changes_reach_the_watch_as_commands(filled: FakeWatch, client: Client) -> None:
    before = len(filled.asked)
    change = {"labels": ["cat", {"label": "dog", "threshold": 0.4}], "hold_s": 6}
    assert client.ask("PATCH", f"{API}/cameras/front-door", change).json == {"ok": True, "version": 2}
    client.ask("PATCH", f"{API}/cameras", {"threshold": 0.6})
    added = client.ask("POST", f"{API}/cameras", {"name": "barn", "url": "rtsp://u:p@barn/1", "record": True})
    assert added.status == 201
    client.ask("DELETE", f"{API}/cameras/drive")
    client.ask("POST", f"{API}/save", {})
    client.ask("POST", f"{API}/test_alert", {})
    assert filled.asked[before:] == [
        {"do": "change", "camera": "front-door", "change": change},
        {"do": "change", "camera": None, "change": {"threshold": 0.6}},
        {"do": "add", "camera": {"name": "barn", "url": "rtsp://u:p@barn/1", "record": True}},
        {"do": "remove", "camera": "drive"},
        {"do": "save"},
        {"do": "test_alert"},
    ]


@pytest.fixture
def answering(filled: FakeWatch) -> Iterator[Callable[[dict[str, Any] | None], None]]:
    before = filled.answer

    def answer_with(answer: dict[str, Any] | None) -> None:
        filled.answer = lambda command: answer

    yield answer_with
    filled.answer = before


def test_a_refusal_of_the_watch_comes_with_its_sentence(
    client: Client, answering: Callable[[dict[str, Any] | None], None]
) -> None:
    answering({"ok": False, "status": 409, "error": "rtsp://admin:hunter2@cam-1.local:554/x: no such label"})
    reply = client.ask("PATCH", f"{API}/cameras/front-door", {"labels": ["x"]})
    assert (reply.status, reply.json) == (409, {"error": "rtsp://***@cam-1.local:554/x: no such label"})
    check(client, "PATCH", f"{API}/cameras/front-door", 409, reply.json)


def test_a_preview_scores_labels_on_the_last_minute(
    client: Client, answering: Callable[[dict[str, Any] | None], None], filled: FakeWatch
) -> None:
    scored = [{"clip": 1, "start": "2026-03-01T12:00:00+00:00", "labels": [{"label": "cat", "probability": 0.5}]}]
    answering({"ok": True, "clips": scored})
    reply = client.ask("POST", f"{API}/cameras/front-door/preview", {"labels": ["cat"]})
    assert reply.json["clips"] == scored
    check(client, "POST", f"{API}/cameras/front-door/preview", 200, reply.json)
    assert filled.asked[-1] == {"do": "preview", "camera": "front-door", "labels": ["cat"]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/cameras/front-door", {"url": "rtsp://evil/1"}, 400),
        ("PATCH", "/cameras/front-door", {"password_file": "/etc/shadow"}, 400),
        ("PATCH", "/cameras/front-door", {"labels": "cat"}, 400),
        ("PATCH", "/cameras/front-door", {"labels": [""]}, 400),
        ("PATCH", "/cameras/front-door", {"labels": ["x" * 501]}, 400),
        ("PATCH", "/cameras/front-door", {}, 400),
        ("PATCH", "/cameras/nobody", {"labels": ["cat"]}, 404),
        ("POST", "/cameras", {"name": "front-door", "url": "rtsp://cam/1"}, 409),
        ("POST", "/cameras", {"name": "../x", "url": "rtsp://cam/1"}, 400),
        ("POST", "/cameras", {"name": "..", "url": "rtsp://cam/1"}, 400),
        ("POST", "/cameras", {"name": "n", "url_file": "/etc/passwd", "url": "rtsp://cam/1"}, 400),
        ("POST", "/cameras", {"name": "n", "url": "rtsp://cam/1", "realtime": True}, 400),
        ("POST", "/cameras/front-door/preview", {"labels": ["x"] * 5001}, 400),
        ("POST", "/cameras/front-door/preview", b"{nonsense", 400),
        ("POST", "/cameras/front-door/preview", b"\xff\xfe", 400),
        ("PUT", "/cameras", {}, 405),
        ("GET", "/nothing", None, 404),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(
    filled: FakeWatch, client: Client, method: str, path: str, body: Any, status: int
) -> None:
    before = len(filled.asked)
    reply = client.ask(method, API + path, body)
    assert (reply.status, list(reply.json)) == (status, ["error"])
    assert reply.json["error"].endswith((".", "`", "]", ")"))
    assert len(filled.asked) == before


def test_health_and_readiness(filled: FakeWatch, client: Client) -> None:
    assert client.get("/healthz").json == {"ok": True}
    assert until(lambda: client.get("/readyz").status == 200)
    filled.ready = False
    try:
        until(lambda: client.get("/readyz").status == 503)
        assert client.get("/readyz").json == {"ok": False, "text": "Models are being loaded."}
        assert client.get("/healthz").status == 200
    finally:
        filled.ready = True


def test_the_page_starts_again_after_its_process_was_killed(tmp_path: Path) -> None:
    """Last clips and the answers to what was asked before are gone; everything else is as it was."""
    watch = FakeWatch(tmp_path, SETTINGS)
    try:
        watch.wait()
        watch.say("front-door", LABELS)
        watch.restart()
        client = Client(watch.address)
        watch.say("front-door", LABELS)
        recent = until(lambda: client.get(f"{API}/cameras/front-door").json["recent"])
        assert recent[-1]["record"]["clip"] == 1
        assert client.ask("POST", f"{API}/save", {}).json["ok"]
    finally:
        watch.close()
    assert watch.process.returncode == 0


def test_secrets_in_a_text_of_the_supervisor_stay_hidden(filled: FakeWatch, client: Client) -> None:
    filled.why = "rtsp://u:hunter3@cam-1 is gone"
    filled.connections["drive"] = "lost"
    try:
        found = until(lambda: [c for c in client.get(f"{API}/status").json["cameras"] if c["text"]])
        assert found[0]["text"] == "rtsp://***@cam-1 is gone"
    finally:
        del filled.connections["drive"]


def test_what_nobody_understands_ends_the_process_loudly(tmp_path: Path) -> None:
    watch = FakeWatch(tmp_path, SETTINGS)
    try:
        watch.wait().send(StatusUpdate(b'{"cameras": 3}'))
        watch.process.wait(20)
        broken = until(lambda: watch.broken)
        assert "page: ValidationError: Expected `array`" in broken.error
    finally:
        watch.close()


def test_changed_settings_appear_at_once(tmp_path: Path) -> None:
    watch = FakeWatch(tmp_path, SETTINGS)
    try:
        client = Client(watch.wait().address)
        watch.configure(msgspec.structs.replace(SETTINGS, cameras=SETTINGS.cameras[1:]))
        until(lambda: client.get(f"{API}/cameras/front-door").status == 404)
        assert [view["camera"]["name"] for view in json.loads(client.get(f"{API}/cameras").body)] == ["drive"]
    finally:
        watch.close()
