"""What a failure of a connection means, and that its text holds no secret."""

import errno
import os
import socket
import time

import av
import pytest

from stages.decode.live.address import address_of
from stages.decode.live.connection import Connection, accepts, explained
from stages.decode.live.options import Feed, LiveOptions
from stages.decode.live.queue import Item, Lost
from stages.decode.live.ring import PacketRing

URL = "rtsp://viewer:hush-hush@camera/secret-path?token=abc123"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (av.error.HTTPUnauthorizedError, "refused"),
        (av.error.HTTPForbiddenError, "refused"),
        (av.error.HTTPNotFoundError, "refused"),
        (av.error.ProtocolNotFoundError, "refused"),
        (av.error.HTTPServerError, "lost"),
        (av.error.InvalidDataError, "lost"),
        (av.error.ExitError, "unreachable"),
    ],
)
def test_failures_of_ffmpeg(error: type[av.error.FFmpegError], why: str) -> None:
    text, found = explained(error(1, "Server returned an error", URL))
    assert found == why
    assert text
    assert not any(word in text for word in ("viewer", "hush", "secret", "abc123", "camera/"))


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ECONNREFUSED, "unreachable"),
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.EIO, "lost"),
        (errno.EPIPE, "lost"),
    ],
)
def test_failures_of_the_network(number: int, why: str) -> None:
    text, found = explained(OSError(number, os.strerror(number), URL))
    assert found == why
    assert "hush" not in text


def test_an_unknown_failure_is_named_without_its_text() -> None:
    assert explained(ValueError(URL)) == ("ValueError", "lost")


def connection_to(port: int, wait_s: float, is_away: bool) -> Connection:
    url = f"rtsp://viewer:hush-hush@127.0.0.1:{port}/cam"
    options = LiveOptions(feed=Feed(url=url), open_timeout_s=1.0)
    return Connection("door", address_of(options.feed), options, PacketRing(0, 0), wait_s, is_away)


def items_of(connection: Connection, timeout_s: float) -> list[Item]:
    return connection.queue.take(timeout_s)


def test_a_camera_that_listens_again_is_opened_before_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        waiting = connection_to(port, wait_s=60, is_away=True)
        began_s = time.monotonic()
        waiting.start()
        (lost,) = items_of(waiting, 20)
    assert isinstance(lost, Lost)
    assert time.monotonic() - began_s < 20
    waiting.join(5)
    assert not waiting.is_alive


def test_a_connection_that_waits_can_be_abandoned() -> None:
    waiting = connection_to(9, wait_s=60, is_away=False)
    waiting.start()
    assert not waiting.is_stalled()
    waiting.abandon()
    waiting.join(10)
    assert not waiting.is_alive
    assert items_of(waiting, 1) == [Lost("closed", "ended")]


def test_whether_something_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = server.getsockname()
        assert accepts(endpoint)
    assert not accepts(endpoint)
