"""A real browser for pages, and pages to look at."""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from commands.main import main
from tests.media import Sound, make_video
from tests.pages.records import following, written

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
LONGEST_S = 60
Found = TypeVar("Found")


@dataclass
class Visit:
    """What happened while a page was open."""

    requests: list[str] = field(default_factory=list)
    """All but those of the page itself and of data in it."""
    network: list[str] = field(default_factory=list)
    """Requests that would have left this machine; they were refused."""
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings on the console, violations of the policy, and dialogs."""


class Browser:
    """Chromium in a thread of its own, because playwright keeps an event loop there."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._thread.submit(self._start).result(LONGEST_S)

    def visit(self, page: Path, look: Callable[[Any], Found], **options: Any) -> tuple[Found, Visit]:
        """Open a page, look at it, and say what came of it."""
        return self._thread.submit(self._visit, page, look, options).result(LONGEST_S)

    def close(self) -> None:
        self._thread.submit(self._stop).result(LONGEST_S)
        self._thread.shutdown()

    def _start(self) -> None:
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

    def _stop(self) -> None:
        self._chromium.close()
        self._playwright.stop()

    def _visit(self, path: Path, look: Callable[[Any], Found], options: dict[str, Any]) -> tuple[Found, Visit]:
        visit = Visit()
        context = self._chromium.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        try:
            context.set_default_timeout(20_000)
            context.route("http*://**", lambda route: (visit.network.append(route.request.url), route.abort()))
            context.on("request", lambda request: visit.requests.append(request.url))
            page = context.new_page()
            page.on("console", lambda message: visit.complaints.append(message.text))
            page.on("pageerror", lambda error: visit.complaints.append(str(error)))
            page.on("dialog", lambda dialog: (visit.complaints.append(dialog.message), dialog.dismiss()))
            page.goto(path.as_uri())
            found = look(page)
        finally:
            context.close()
        visit.requests = [url for url in visit.requests if not url.startswith(("data:", path.as_uri()))]
        assert visit.network == []
        return found, visit


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not shutil.which(CHROMIUM):
        text = f"{CHROMIUM} is missing; install it with: apt install chromium"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of eight seconds in which a red square moves, and a track follows it exactly."""
    folder = tmp_path_factory.mktemp("square page")
    make_video(folder / "square #1.mp4", 8, 25, (320, 240), audio=Sound())
    records = following(str(folder / "square #1.mp4"), seconds=8, size=(320, 240))
    results = written(folder / "square.jsonl", records)
    assert main(["view", str(results), "-q"]) == 0
    return folder / "square.html"
