"""One deadline for a whole request, against servers that trickle."""

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from live.deadline import answer_within

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@contextmanager
def trickling(at_once: bytes, drop: bytes) -> Iterator[int]:
    """The port of a server that sends something at once, and then a drop every 20 ms."""
    has_ended = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            try:
                connection.sendall(at_once)
                while not has_ended.wait(0.02):
                    connection.sendall(drop)
            except OSError:
                """It was cut."""

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            has_ended.set()
            thread.join(10)


@pytest.mark.parametrize(
    ("scheme", "at_once", "drop"),
    [
        pytest.param("http", b"", b"H", id="status"),
        pytest.param("http", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", id="headers"),
        pytest.param("http", HEAD, b"x", id="body"),
        pytest.param("https", b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x00", id="handshake"),
    ],
)
def test_a_server_that_trickles_has_no_more_time_than_a_silent_one(scheme: str, at_once: bytes, drop: bytes) -> None:
    threads = threading.active_count()
    with trickling(at_once, drop) as port:
        began_s = time.monotonic()
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}/", b"{}", method="POST")
        with pytest.raises(TimeoutError), answer_within(request, 0.3) as answer:
            answer.read(1024)
        assert 0.3 <= time.monotonic() - began_s < 3
    assert threading.active_count() == threads


def test_an_answer_in_time_is_read() -> None:
    with trickling(HEAD, b"x" * 500) as port:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", b"{}", method="POST")
        with answer_within(request, 10.0) as answer:
            assert (answer.status, answer.read(1000)) == (200, b"x" * 1000)
