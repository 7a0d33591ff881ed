"""Streams: newest wins, slow clients hold nobody up, and clients that left are forgotten."""

import asyncio
import socket
import time
from contextlib import closing
from typing import Any

import msgspec
import pytest

from live.page.board import KEPT, Board
from live.page.pictures import MOST_CLIENTS, part, read_picture
from live.page.stream import MOST_WAITING, Broadcast
from pipeline.result import ClipRecord, Label
from tests.live.page.conftest import Client
from tests.live.page.fake_watch import FakeWatch, event, jpeg
from tests.live.page.test_app import until

API = "/api/v1"


class Stream:
    """A client of the stream of events."""

    def __init__(self, client: Client) -> None:
        self.connection = client.connect()
        self.connection.request("GET", f"{API}/stream")
        self.response = self.connection.getresponse()
        assert self.response.getheader("Content-Type") == "text/event-stream; charset=utf-8"

    def next(self, kind: str, timeout_s: float = 15.0) -> Any:
        """The data of the next message of a kind."""
        end_s = time.monotonic() + timeout_s
        found = ""
        while time.monotonic() < end_s:
            line = self.response.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                found = line.removeprefix("event: ")
            elif line.startswith("data: ") and found == kind:
                return msgspec.json.decode(line.removeprefix("data: "))
        raise AssertionError(f"no {kind} came")

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def test_records_status_events_and_settings_come_as_they_happen(watch: FakeWatch, client: Client) -> None:
    with closing(Stream(client)) as stream:
        assert stream.next("status")["cameras"][0]["name"] == "front-door"
        index = watch.say("drive", [Label("delivery van", 0.7, 0.5)], age_s=1.5, measures={"level_dbfs": -20.0})
        noted = stream.next("record")
        assert (noted["camera"], noted["record"]["clip"]) == ("drive", index)
        assert noted["record"]["measures"] == {"level_dbfs": -20.0}
        assert noted["record"]["age_s"] == pytest.approx(1.5, abs=5)
        assert noted["captured_s"] <= time.monotonic() - 1.5
        watch.say_events([event("e1", "drive", "delivery van", state="open")])
        assert stream.next("event")["state"] == "open"
        watch.say_events([event("e1", "drive", "delivery van")])
        assert stream.next("event")["state"] == "closed"
        watch.configure(watch.settings)
        assert stream.next("settings") == {"version": watch.version}


def test_the_page_says_how_many_records_it_has_read(watch: FakeWatch) -> None:
    """The supervisor sends no more until it has."""
    before = watch.shown
    for _ in range(30):
        watch.say("drive", [])
    until(lambda: watch.shown == before + 30)


def test_the_head_of_a_stream_ends(client: Client) -> None:
    for path in ("stream", "cameras/front-door/live.mjpg"):
        reply = client.ask("HEAD", f"{API}/{path}")
        assert (reply.status, reply.body) == (200, b"")


def test_a_client_that_reads_nothing_holds_nobody_up(watch: FakeWatch, client: Client) -> None:
    """Its socket fills up; the others and the watch go on."""
    connection = client.connect()
    connection.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.request("GET", f"{API}/stream")
    response = connection.getresponse()
    with closing(connection), closing(response), closing(Stream(client)) as other:
        long = [Label("x" * 400 + str(number), 0.5, 0.1) for number in range(100)]
        for _ in range(60):
            watch.say("drive", long)
        last = watch.say("drive", [])
        while other.next("record")["record"]["clip"] < last:
            pass
        assert client.get("/healthz").status == 200


def test_a_mailbox_keeps_the_newest_of_each_kind_and_says_when_it_lost_something() -> None:
    async def look() -> tuple[bytes, bytes, bytes]:
        broadcast = Broadcast()
        with broadcast.mailbox() as box:
            for number in range(5):
                broadcast.send("record", "door", b"%d" % number)
                broadcast.send("status", "", b"%d" % number)
            broadcast.send("record", "door", b"5")
            first = await box.take(1)
            for number in range(MOST_WAITING + 7):
                broadcast.send("event", str(number), b"%d" % number)
            second = await box.take(1)
            assert len(broadcast) == 1
        assert len(broadcast) == 0
        return first, second, await box.take(0.01)

    first, second, third = asyncio.run(look())
    assert first == b"event: status\ndata: 4\n\nevent: record\ndata: 5\n\n"
    assert second.startswith(b"event: lagged\n")
    assert second.count(b"event: event\n") == MOST_WAITING
    assert b"data: 6\n" not in second
    assert third == b""


def test_a_board_keeps_the_newest_records_of_cameras_that_are_watched() -> None:
    board = Board()
    for index in range(KEPT + 20):
        for camera in ("a", "b"):
            board.add(ClipRecord(source=camera, epoch=0, clip=index, start_s=0, end_s=2, age_s=1.0))
    assert len(board.recent("a")) == KEPT
    assert msgspec.json.decode(board.recent("a")[-1].record)["clip"] == KEPT + 19
    board.keep_only({"b"})
    assert (board.recent("a"), len(board.recent("b"))) == ([], KEPT)


class Live:
    """A client of the live picture."""

    def __init__(self, client: Client, camera: str) -> None:
        self.connection = client.connect()
        self.connection.request("GET", f"{API}/cameras/{camera}/live.mjpg")
        self.response = self.connection.getresponse()

    def next(self) -> tuple[float, bytes]:
        """When the next picture was captured, and its JPEG."""
        assert self.response.readline() == b"--percept-picture\r\n"
        head = {}
        while (line := self.response.readline()) != b"\r\n":
            name, _, value = line.decode().partition(": ")
            head[name] = value.strip()
        picture = self.response.read(int(head["Content-Length"]))
        assert self.response.read(2) == b"\r\n"
        return float(head["X-Captured"]), picture

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def test_the_live_picture_comes_while_somebody_looks(watch: FakeWatch, client: Client) -> None:
    watched = watch.run_directory / "cameras" / "front-door" / "watched"
    assert not watched.exists()
    watch.picture("front-door", "live.jpg", 0)
    live = Live(client, "front-door")
    assert live.response.getheader("Content-Type") == "multipart/x-mixed-replace; boundary=percept-picture"
    captured_s, first = live.next()
    assert first == jpeg(0)
    assert captured_s == pytest.approx(time.monotonic(), abs=10)
    assert watched.exists()
    live.close()
    until(lambda: time.time() - watched.stat().st_mtime > 1.5)


def test_a_slow_client_gets_newer_pictures_not_all(watch: FakeWatch, client: Client) -> None:
    watch.picture("drive", "live.jpg", 0)
    live = Live(client, "drive")
    for moved in range(20):
        watch.picture("drive", "live.jpg", 1, moved / 20)
        time.sleep(0.01)
    time.sleep(0.3)
    watch.picture("drive", "live.jpg", 2)
    found = [live.next()]
    while found[-1][1] != jpeg(2):
        found.append(live.next())
    times = [captured_s for captured_s, _ in found]
    assert times == sorted(times)
    assert 2 <= len(found) < 15
    live.close()


def test_half_a_picture_is_not_shown(watch: FakeWatch, client: Client) -> None:
    path = watch.picture("front-door", "clip-7.jpg")
    assert client.get(f"{API}/cameras/front-door/clip/7.jpg").body == jpeg()
    whole = path.read_bytes()
    for content in (whole[:-2], b"", b"\xff\xd8", b"GIF89a" + whole):
        path.write_bytes(content)
        assert read_picture(path) is None
        assert client.get(f"{API}/cameras/front-door/clip/7.jpg").status == 404
    assert client.get(f"{API}/cameras/front-door/clip/8.jpg").status == 404
    assert part(whole, time.time_ns()).endswith(whole + b"\r\n")


def test_watchers_of_live_pictures_are_bounded_and_forgotten(watch: FakeWatch, client: Client) -> None:
    watch.picture("front-door", "live.jpg")
    watchers = [Live(client, "front-door") for _ in range(MOST_CLIENTS)]
    for live in watchers:
        live.next()
    refused = client.get(f"{API}/cameras/front-door/live.mjpg")
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    for live in watchers:
        live.close()

    def comes_again() -> bool:
        again = Live(client, "front-door")
        again.close()
        return again.response.status == 200

    assert until(comes_again)
