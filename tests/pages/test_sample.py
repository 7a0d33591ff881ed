"""The bundled sample, as `percept run --html` shows it, in a real browser."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.pages.conftest import Browser
from tests.pages.test_page import TIME, seek, until

SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"
WORDS = "dog, sheep, cup of coffee, rain, birds singing"


@pytest.mark.slow
def test_the_sample_plays_with_its_labels_and_boxes(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "sample.html"
    command = [sys.executable, "-P", "-m", "commands.main", "run", str(SAMPLE), "--labels", WORDS]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "sample.jsonl"), "--html", str(page)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr

    def look(page: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        seek(page, 5000)
        found["labels"] = page.locator(".label-bars li:not(.dim) .word").all_text_contents()
        found["boxes"] = page.evaluate("percept.page.recording.tracks.map(each => each.nameAt(5000))")
        found["drawn"] = page.evaluate(
            """() => { const canvas = document.querySelector(".stage canvas");
              return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean); }"""
        )
        page.keyboard.press("Space")
        until(page, f"{TIME} > 5800")
        found["size"] = page.evaluate("[document.querySelector('video').videoWidth, percept.page.recording.end]")
        found["thumbnails"] = page.locator(".contact-sheet img").count()
        return found

    found, visit = browser.visit(page, look)
    assert sorted(found["labels"]) == ["rain", "sheep"]
    assert any("sheep" in name for name in found["boxes"])
    assert found["drawn"]
    assert found["size"] == [480, 16000]
    assert found["thumbnails"] >= 5
    assert visit.complaints == []
