"""The documentation site: it builds without a warning, loads nothing from the network, and its search works."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

LOADED = re.compile(r"""<(?:script|img|iframe|source|video)\b[^>]*?\bsrc=["']?([^"'\s>]+)|<link\b[^>]*>""")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_docs_is_in_the_navigation(site: Path) -> None:
    first = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / f"{page.stem}.html").is_file()
        assert f'href="{page.stem}.html"' in first, page.name


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for match in LOADED.finditer(page.read_text(encoding="utf-8")):
            assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", match[0]), f"{page.name}: {match[0]}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_links_to_files_of_the_repository_are_their_names(site: Path) -> None:
    page = (site / "decisions.html").read_text(encoding="utf-8")
    assert "<code>findings/ffmpeg_clock_of_mjpeg_cameras.sh</code>" in page
    assert 'href="contributing.html"' in (site / "architecture.html").read_text(encoding="utf-8")
    for page_file in site.glob("*.html"):
        assert not re.search(r'href="\.\./', page_file.read_text(encoding="utf-8")), page_file.name


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where the site is served on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("from_disk", [False, True], ids=["served", "from disk"])
def test_a_reader_finds_a_page_by_searching(site: Path, address: str, browser: Any, from_disk: bool) -> None:
    start = site.as_uri() if from_disk else address
    page = browser.new_page()
    asked: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{start}/index.html")
    page.fill("input[data-md-component=search-query]", "noisy or")
    link = page.locator("a.md-search-result__link[href*='scores.html']").first
    link.wait_for(state="attached", timeout=30_000)
    page.goto(link.get_attribute("href"))
    assert page.locator("h1").inner_text().startswith("Understanding scores")
    assert problems == []
    assert [url for url in asked if not url.startswith((start, "data:", "blob:"))] == []
    page.close()


def test_no_page_is_wider_than_a_small_screen(site: Path, address: str, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 800})
    wide = []
    for name in ("commands.html", "configuration.html", "gpu.html", "python.html", "scores.html"):
        page.goto(f"{address}/{name}", wait_until="domcontentloaded")
        if page.evaluate("document.documentElement.scrollWidth") > 400:
            wide.append(name)
    page.close()
    assert wide == []
