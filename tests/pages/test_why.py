"""Why a label is there, on the page: a click shows the picture and the sentences of `percept explain`."""

import re
from pathlib import Path
from typing import Any

import pytest

from commands.main import main
from pipeline.result import Track
from tests.evidence.test_explaining import SAMPLE
from tests.pages.conftest import Browser
from tests.pages.records import clip, label, written
from tests.pages.test_page import until

ENGINE = ["--engine", "torch", "--device", "cpu", "-q"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with two clips of the sample, one that it does not have, and one that nobody has labelled."""
    folder = tmp_path_factory.mktemp("why")
    track = Track(7, [(6.0 + step / 8, 150, 0, 330, 205) for step in range(16)], "sheep", 0.9)
    records = [
        clip(SAMPLE, 2, [label("rain", 0.9, audio=0.9), label("cat's tail", 0.2, image=0.2)], width=480, height=270),
        clip(SAMPLE, 3, [label("sheep", 0.9, image=0.9)], [track], width=480, height=270),
        clip(SAMPLE, 49, [label("rain", 0.8)], width=480, height=270),
        clip(SAMPLE, 50),
    ]
    results = written(folder / "why.jsonl", records)
    assert main(["view", str(results), "--explain", *ENGINE]) == 0
    return folder / "why.html"


def dialog(page: Any) -> dict[str, Any]:
    """What the open dialog shows; then it is closed."""
    until(page, "document.querySelector('dialog.why img')?.complete ?? true")
    found = page.evaluate(
        """() => {
          const dialog = document.querySelector("dialog.why");
          const picture = dialog.querySelector("img");
          return {
            open: dialog.open,
            title: dialog.querySelector("h2").textContent,
            text: dialog.querySelector(".told").textContent,
            picture: picture?.naturalWidth ?? 0,
            alt: picture?.alt ?? "",
          };
        }"""
    )
    page.keyboard.press("Escape")
    return dict(found)


def test_a_click_on_a_label_shows_why_it_is_there(browser: Browser, page: Path) -> None:
    def look(shown: Any) -> list[dict[str, Any]]:
        shown.evaluate("percept.page.seek(5000)")
        found = []
        for place in (0, 1):
            shown.locator(".label-bars .word").nth(place).click()
            found.append(dialog(shown))
        shown.evaluate("percept.page.seek(7000)")
        shown.locator(".label-bars .word").nth(0).click()
        found.append(dialog(shown))
        assert shown.evaluate("percept.page.recording.tracks[0].nameAt(7000)").startswith("7 ")
        shown.evaluate("percept.page.why.show(percept.page.recording, 2, 0)")  # later than the player goes
        return [*found, dialog(shown)]

    (rain, other, sheep, late), visit = browser.visit(page, look)
    assert rain["open"]
    assert rain["title"] == "Why rain?"
    assert rain["picture"] == 960
    assert rain["alt"].startswith("rain 0.77 at 4.0–6.0 s: 100 % sound")
    assert "The results say 0.90: they were made with other settings." in rain["text"]
    assert other["picture"] == 0
    assert f"percept explain {SAMPLE} --at 5.0 --label 'cat'\\''s tail'" in other["text"]
    assert re.search(r"\d\d % of it in the box of track 7; ", sheep["alt"])
    assert late["picture"] == 0
    assert "It could not be explained:" in late["text"]
    assert visit.complaints == []


def test_a_page_without_its_video_has_nothing_to_explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = written(tmp_path / "gone.jsonl", [clip("gone.mp4", 0, [label("rain", 0.9)])])
    assert main(["view", str(results), "--explain", *ENGINE]) == 2
    assert "--explain: the video is not here; say where it is with --video FILE" in capsys.readouterr().err
