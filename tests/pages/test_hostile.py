"""Labels, names and errors from outside are shown as text, whatever they hold, and run nothing."""

from pathlib import Path
from typing import Any

import pytest

from commands.main import main
from pipeline.result import ClipRecord, Track
from tests.media import make_video
from tests.pages.conftest import Browser
from tests.pages.records import clip, label, written

HOSTILE = [
    "</script><script>alert('script')</script>",
    "<!--<script>",
    "<img src=x onerror=alert('image')>",
    '"><svg onload=alert("attribute")>',
    "'; alert('quote'); //",
    "line\u2028separator\u2029and\x00null",
    "javascript:alert('url')",
    "{{constructor.constructor('alert(1)')()}}",
    "‮right to left",
    "lone \ud800 surrogate",
    "&lt;b&gt;",
]
NAME = "</title><script>alert('name')</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    make_video(folder / "x'\"><img src=q onerror=alert(1)>?#%41.mp4", 4, 10, (64, 48))
    source = str(folder / "x'\"><img src=q onerror=alert(1)>?#%41.mp4")
    words = [word.encode("utf-8", "replace").decode() for word in HOSTILE]
    records = [
        clip(
            source,
            0,
            [label(word, 0.9 - number / 50, image=0.9) for number, word in enumerate(words)],
            [Track(id=1, boxes=[(0.0, 5, 5, 30, 30), (1.9, 9, 9, 40, 40)], label=words[0], probability=0.9)],
            model=words[2],
            width=64,
            height=48,
        ),
        ClipRecord(source=source, epoch=0, clip=1, start_s=2, end_s=4, error=words[3]),
        ClipRecord(source=NAME, epoch=0, clip=-1, start_s=0, end_s=0, error=words[0]),
    ]
    results = written(folder / "x.jsonl", records)
    assert main(["view", str(results), "-q"]) == 0
    return folder / "x.html"


def test_hostile_text_is_only_text(browser: Browser, page: Path) -> None:
    words = [word.encode("utf-8", "replace").decode() for word in HOSTILE]

    def look(page: Any) -> dict[str, Any]:
        page.wait_for_timeout(500)
        found = {
            "lanes": page.locator(".timeline .names button").all_text_contents(),
            "bars": page.locator(".label-bars .word").all_text_contents(),
            "events": page.locator(".event-list .word").all_text_contents(),
            "scripts": page.locator("script").count(),
            "images": page.eval_on_selector_all("img", "images => images.map(each => each.src.slice(0, 22))"),
            "policy": page.evaluate("document.querySelector('meta[http-equiv]').content"),
        }
        page.mouse.move(700, 600)
        page.keyboard.press("End")
        found["error"] = page.locator(".label-bars .notes").text_content()
        page.locator("select[aria-label='Source']").select_option("1")
        page.wait_for_timeout(200)
        found["title"], found["heading"] = page.title(), page.locator("h1").get_attribute("title")
        return found

    found, visit = browser.visit(page, look)
    assert visit.complaints == []
    assert found["bars"] == words
    assert sorted(found["lanes"]) == sorted(words)
    assert sorted(found["events"]) == sorted(words)
    assert found["scripts"] == 4  # the list of sources, two sources, and the page's own
    assert set(found["images"]) <= {"data:image/jpeg;base64"}
    assert found["error"] == words[3]
    assert found["heading"] == NAME
    assert found["title"].endswith("– Percept")
    assert "unsafe" not in found["policy"]


def test_injected_script_style_and_requests_are_refused(browser: Browser, page: Path) -> None:
    """The policy holds even if a label became an element."""

    def look(page: Any) -> tuple[bool, str]:
        page.evaluate(
            """() => { const put = (tag, more) => {
                   document.body.append(Object.assign(document.createElement(tag), more)); };
                 put("script", {textContent: "window.ran = true"});
                 put("style", {textContent: "body { color: rgb(1, 2, 3) !important }"});
                 put("img", {src: "http://127.0.0.1:9/beacon.png"});
                 fetch("http://127.0.0.1:9/beacon").catch(() => {}); }"""
        )
        page.wait_for_timeout(300)
        return page.evaluate("Boolean(window.ran)"), page.evaluate("getComputedStyle(document.body).color")

    (ran, colour), visit = browser.visit(page, look)
    assert not ran
    assert colour != "rgb(1, 2, 3)"
    assert visit.network == []
    for directive in ("script-src", "style-src", "img-src", "connect-src"):
        assert any("Content Security Policy" in text and directive in text for text in visit.complaints), directive
