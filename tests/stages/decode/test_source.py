"""What is said of a source that cannot be opened, such as what a web server sends instead of a video."""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from pipeline.errors import SourceError
from stages.decode.source import HTML
from tests.stages.decode.reading import read

ANSWERS = {
    "/watch": b"<!DOCTYPE html><html><head><title>A video</title></head></html>",
    "/late": b"\xef\xbb\xbf\n<?xml version='1.0'?> <!-- a > b --> \r\n<HTML lang='en'>" + b"x" * 100_000,
    "/text": b"no page, and no video either",
    "/empty": b"",
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        body = ANSWERS[urlsplit(self.path).path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *values: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.asked = []  # type: ignore[attr-defined]
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield http
        http.shutdown()
        thread.join(timeout=10)


@pytest.mark.parametrize("path", ["/watch?v=a&t=2#comments", "/late"])
def test_a_web_page_is_named_and_its_address_masked(server: ThreadingHTTPServer, path: str) -> None:
    place = f"127.0.0.1:{server.server_port}{path}"
    with pytest.raises(SourceError) as error:
        read(f"http://someone:pass-word@{place}")
    shown = f"http://***@{place}"
    remedy = f"is a web page, not a video. Download the video first, for instance with: yt-dlp '{shown}'"
    assert str(error.value) == f"{shown}: {remedy}"
    assert len(server.asked) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/text", "/empty"])
def test_other_answers_are_no_web_pages(server: ThreadingHTTPServer, path: str) -> None:
    with pytest.raises(SourceError, match="Invalid data found when processing input"):
        read(f"http://127.0.0.1:{server.server_port}{path}")


def test_looking_for_a_page_takes_no_time_on_hostile_comments() -> None:
    """With backtracking it would take years."""
    assert HTML.match(b"<!--a-->" * 200) is None


def test_an_unreachable_server_is_named_as_such() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, so that nobody else listens there
        addresses = (f"http://127.0.0.1:{held.getsockname()[1]}/talk.mp4", "http://nosuch.invalid/talk.mp4")
        for address in addresses:
            with pytest.raises(SourceError, match="the server did not answer, or its name") as error:
                read(address)
            assert str(error.value).startswith(f"{address}: cannot be reached (")
            assert str(error.value).endswith("Check the address and the network.")


def test_a_missing_file_has_a_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interview.mp4").touch()
    monkeypatch.chdir(tmp_path)
    steps = {
        "intervew.mp4": "Did you mean 'interview.mp4'?",
        str(tmp_path / "intervew.mp4"): f"Did you mean '{tmp_path / 'interview.mp4'}'?",
        "nosuch": f"Relative names are looked for in this folder: {tmp_path}",
        "films/nosuch": f"There is no folder {tmp_path / 'films'}: check the name.",
        str(tmp_path / "nosuch"): "Check the name.",
    }
    for name, step in steps.items():
        with pytest.raises(SourceError) as error:
            read(name)
        assert str(error.value) == f"{name}: no such file. {step}"
