"""The report of an archive in a real browser: it shows, filters and leads to the second that was clicked."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from commands.main import main
from pipeline.result import ClipRecord
from tests.archive.made import clip_of, write_shard
from tests.media import make_video
from tests.pages.conftest import Browser
from tests.pages.test_hostile import HOSTILE
from tests.pages.test_page import until

JPEG = cv2.imencode(".jpg", np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
WORDS = [word.encode("utf-8", "replace").decode() for word in HOSTILE]
EVIL = "x'\"><img src=q onerror=alert(1)>?#%41.mp4"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a video of eight seconds, one of hostile words, and a source that failed."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "videos").mkdir()
    film = folder / "videos" / "square #1.mp4"
    make_video(film, 8, 25, (320, 240))
    records = [
        clip_of(str(film), clip, {}, [("square" if clip % 2 else "circle", 0.9), ("beep", 0.1)], thumbnail=JPEG)
        for clip in range(4)
    ]
    write_shard(folder / "labels", "videos/square #1.mp4", records)
    evil = [
        clip_of(EVIL, clip, {}, [(word, 0.9 - place / 50) for place, word in enumerate(WORDS)]) for clip in range(2)
    ]
    write_shard(folder / "labels", f"videos/{EVIL}", evil, labels=tuple(WORDS))
    failed = ClipRecord(source="x.mp4", epoch=0, clip=-1, start_s=0, end_s=0, error="x")
    why = f"videos/x.mp4: {WORDS[0]}"
    write_shard(folder / "labels", "videos/x.mp4", [failed], error=why, tries=3, model="")
    assert main(["report", str(folder / "labels"), "-o", str(folder / "report"), "-q"]) == 0
    return folder / "report" / "index.html"


def test_it_shows_sources_labels_moments_and_failures(browser: Browser, index: Path) -> None:
    def look(page: Any) -> dict[str, Any]:
        page.wait_for_timeout(300)
        return {
            "names": page.locator(".source-card .name b").all_text_contents(),
            "lanes": page.locator(".strip-lanes li").all_text_contents(),
            "histogram": page.locator(".histogram .word").all_text_contents(),
            "moments": page.locator(".contact-sheet .word").all_text_contents(),
            "failed": page.locator(".failed-sources li").all_text_contents(),
            "facts": page.locator(".top .facts").text_content(),
            "scripts": page.locator("script").count(),
            "painted": page.evaluate(
                """() => [...document.querySelectorAll(".strip-lanes canvas")].map((canvas) =>
                     canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean))"""
            ),
        }

    found, visit = browser.visit(index, look)
    assert visit.complaints == []
    assert visit.requests == []
    assert sorted(found["names"]) == sorted(["square #1.mp4", EVIL])
    assert set(found["lanes"]) == {"square", "circle", "beep", *WORDS[:4]}
    assert set(found["histogram"]) == {"square", "circle", *WORDS}
    assert set(found["moments"]) == {"square", "circle"}
    assert found["failed"] == [f"videos/x.mp4{WORDS[0]}tried 3 times"]
    assert found["facts"].endswith("1 failed")
    assert found["scripts"] == 3  # two blocks of data, and the page's own
    assert found["painted"] == [True, True]


def test_a_click_plays_the_video_at_that_second(browser: Browser, index: Path) -> None:
    def look(page: Any) -> list[Any]:
        card = page.locator(".source-card", has_text="square #1")
        box = card.locator(".strip-lanes .box")
        box.click(position={"x": box.bounding_box()["width"] * 0.75, "y": 5})
        until(page, "typeof percept !== 'undefined' && document.querySelector('video')?.readyState >= 2")
        found = [page.title(), page.evaluate("document.querySelector('video').currentTime")]
        page.locator(".home").click()
        page.locator(".contact-sheet a:has(.word:text-is('square'))").first.click()
        until(page, "typeof percept !== 'undefined' && document.querySelector('video')?.readyState >= 2")
        return [*found, page.evaluate("document.querySelector('video').currentTime")]

    (title, clicked_s, moment_s), visit = browser.visit(index, look)
    assert title == "square #1.mp4 – Percept"
    assert clicked_s == pytest.approx(6.0, abs=0.15)
    assert moment_s in (2.0, 6.0)
    assert visit.complaints == []


def test_labels_and_names_are_found(browser: Browser, index: Path) -> None:
    def look(page: Any) -> list[list[str]]:
        def shown() -> list[str]:
            return page.locator(".source-card:visible .name b").all_text_contents()

        page.locator(".histogram button", has_text="circle").click()
        found = [shown()]
        for text in ("onerror=alert(1)", "beep", "nothing of the kind"):
            page.locator("input[type=search]").fill(text)
            found.append(shown())
        page.keyboard.press("Escape")
        return [*found, shown()]

    (picked, by_name, faint, nothing, all_), _ = browser.visit(index, look)
    assert picked == ["square #1.mp4"]
    assert by_name == [EVIL]
    assert faint == nothing == []
    assert len(all_) == 2


def test_a_report_replaces_itself_and_no_page_of_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shard(tmp_path / "labels", "videos/a.mp4", [clip_of("a.mp4", 0, {})])
    report = ["report", str(tmp_path / "labels"), "-q"]
    assert main(report) == main(report) == 0
    index = tmp_path / "labels-report" / "index.html"
    assert capsys.readouterr().out.splitlines() == [index.as_uri()] * 2
    index.write_text("mine")
    assert main(report) == 2
    assert "is no page of percept" in capsys.readouterr().err
    assert index.read_text() == "mine"
    assert main([*report, "--overwrite"]) == 0
    assert main([*report, "-o", str(tmp_path / "labels")]) == 2
    (tmp_path / "labels" / "videos" / "b.mp4.parquet").write_bytes(b"PAR1")
    assert main(report) == 1, "a damaged file is a failure"
