"""A watch whose page is real, and a plain HTTP client for it."""

import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from live.settings import Camera, Page, Rule, Settings, Watched
from tests.live.page.browser import PageBrowser
from tests.live.page.fake_watch import WAIT_S, FakeWatch
from tests.pages.conftest import CHROMIUM

CAMERAS = (
    Camera(
        name="front-door",
        url="rtsp://admin:hunter2@cam-1.local:554/stream1?token=s3cr3t",
        labels=("person", Watched(label="glass breaking", threshold=0.35)),
        rules=(Rule(name="intruder", when="glass breaking and not person"),),
        zones={"path": ((0.1, 0.60125), (0.9, 0.6), (0.9, 0.95), (0.1, 0.95))},
        lines={"gate": ((0.0, 0.2), (1.0, 0.2))},
    ),
    Camera(name="drive", url_env="DRIVE_URL", user="root", password_file="/etc/drive", labels=("delivery van",)),
)
SETTINGS = Settings(cameras=CAMERAS, page=Page(port=0))


class Reply(msgspec.Struct):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Plain requests. `headers` of a call replace those of the client; None leaves one out."""

    def __init__(self, address: str, **headers: str) -> None:
        self._place = urlsplit(address)
        self.headers = {"Content-Type": "application/json", "X-Percept": "1"} | headers

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str | None] | None = None) -> Reply:
        connection = self.connect()
        given = {k: v for k, v in (self.headers | (headers or {})).items() if v is not None}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, given)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Reply:
        return self.ask("GET", path, headers=dict(headers))

    def connect(self, timeout_s: float = 20.0) -> http.client.HTTPConnection:
        assert self._place.hostname
        return http.client.HTTPConnection(self._place.hostname, self._place.port, timeout=timeout_s)


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeWatch]:
    made = FakeWatch(tmp_path_factory.mktemp("watch"), SETTINGS)
    try:
        made.wait()
        end_s = time.monotonic() + WAIT_S
        while not Client(made.address).get("/api/v1/status").json["cameras"]:  # the page listens before it knows any
            assert time.monotonic() < end_s, "the page never heard of its cameras"
            time.sleep(0.02)
        yield made
    finally:
        made.close()


@pytest.fixture
def client(watch: FakeWatch) -> Client:
    return Client(watch.address)


def start(folder: Path, directory: Path | None = None, **page: Any) -> FakeWatch:
    """A watch with another page."""
    settings = msgspec.structs.replace(SETTINGS, page=Page(**({"port": 0} | page)))
    return FakeWatch(folder, settings, directory=directory)


@pytest.fixture(scope="session")
def page_browser() -> Iterator[PageBrowser]:
    if not shutil.which(CHROMIUM):
        text = f"{CHROMIUM} is missing; install it with: apt install chromium"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    browser = PageBrowser()
    yield browser
    browser.close()
