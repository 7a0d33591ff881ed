"""A server that speaks S3 in a process of its own, and a proxy that behaves as worse stores do."""

import functools
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pipeline import s3
from tests.conftest import ROOT

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""
SECRET = "not+to/be=printed"


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a running server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(server, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def wait_for(server: "subprocess.Popen[bytes]", port: int) -> None:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the S3 server did not start")


@contextmanager
def using(endpoint: str, **more: str) -> Iterator[None]:
    """The environment of a user of this store, with nothing that this machine has."""
    given = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    pytest.importorskip("botocore")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in (given | more).items():
            if value:
                patch.setenv(name, value)
        make = functools.cache(s3._client_of.__wrapped__)
        patch.setattr(s3, "_client_of", CLIENTS.setdefault(str(given | more), make))
        yield


CLIENTS: dict[str, Callable[[int], Any]] = {}
"""The clients of this process by their environment: to make one takes half a second."""


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    answer: Answer | None = None
    """In place of the server's."""
    is_cut: bool = False
    """The server does what it is asked, and the answer is lost."""


@dataclass
class Proxy:
    """Stands before a server and changes requests."""

    server: str
    change: Callable[[Request], None]
    address: str = ""
    seen: list[Request] = field(default_factory=list)

    def forward(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(self.server.removeprefix("http://"), timeout=30)
        request.headers["Content-Length"] = str(len(request.body))
        connection.request(request.method, request.path, request.body, request.headers)
        answer = connection.getresponse()
        try:
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@contextmanager
def proxy(server: str, change: Callable[[Request], None]) -> Iterator[Proxy]:
    made = Proxy(server, change)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                return
            self.close_connection = True
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            body = self.rfile.read(int(headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, headers, body)
            made.seen.append(request)
            made.change(request)
            answer = request.answer or made.forward(request)
            if not request.is_cut:
                self.pass_on(*answer)

        def pass_on(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in (headers | {"Connection": "close"}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        made.address = f"http://127.0.0.1:{listener.server_address[1]}"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown()
            thread.join(10)
