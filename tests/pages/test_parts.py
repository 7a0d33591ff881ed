"""Parts of pages agree with the labelled video, and each works by itself."""

from pathlib import Path
from typing import Any

import pytest

from pages import report
from pages.document import PARTS, document
from pages.page import SCRIPTS, STYLES
from pages.recording import LEAST_NAMED, NAMES, Recording
from pipeline.sinks import draw, panel
from tests.pages.conftest import Browser
from tests.pages.records import following


def test_colours_names_and_tracks_are_those_of_the_labelled_video(browser: Browser, square: Path) -> None:
    def look(page: Any) -> dict[str, Any]:
        return page.evaluate(
            """() => ({
              colours: Object.fromEntries(percept.MODALITIES.map(({key}) => [key, percept.paints()[key]])),
              names: Object.fromEntries(percept.MODALITIES.map(({key, name}) => [key, name])),
              tracks: Array.from({length: 40}, (_, id) => percept.trackColour(id)),
              hold: percept.Track.HOLD_MS, bridge: percept.Track.BRIDGE_MS,
            })"""
        )

    found, _ = browser.visit(square, look)
    assert found["colours"] == {name: "rgb({} {} {})".format(*rgb) for name, rgb in panel.COLOURS.items()}
    assert found["names"] == NAMES == panel.NAMES
    assert [tuple(rgb) for rgb in found["tracks"]] == [
        pytest.approx(draw.track_colour(number), abs=1) for number in range(40)
    ]
    assert (found["hold"], found["bridge"]) == (draw.HOLD_S * 1000, draw.BRIDGE_S * 1000)
    assert LEAST_NAMED == draw.LEAST_NAMED


def test_boxes_are_interpolated_as_in_the_labelled_video(browser: Browser, square: Path) -> None:
    boxes = [(0.0, 10, 10, 20, 20), (0.5, 20, 10, 30, 20), (2.0, 50, 50, 60, 60), (2.2, 54, 50, 64, 60)]
    flat = [round(value * 1000) if not place % 5 else value for place, value in enumerate(sum(boxes, ()))]
    times_s = [-0.1, 0.0, 0.2, 0.5, 0.7, 0.8, 1.9, 2.1, 2.4, 2.5]

    def look(page: Any) -> list[list[float] | None]:
        return page.evaluate(
            "([flat, times]) => { const track = new percept.Track({id: 1, names: [], boxes: flat}, []);"
            " return times.map(time => track.boxAt(time * 1000)); }",
            [flat, times_s],
        )

    found, _ = browser.visit(square, look)
    path = draw.TrackPath(1, "", [tuple(map(float, box)) for box in boxes])
    for time_s, box in zip(times_s, found, strict=True):
        expected = path.at(time_s)
        assert (box is None) == (expected is None), time_s
        assert box is None or box == pytest.approx(expected)


USE = {
    "Timeline": "const part = new percept.Timeline(root, recording); part.show(1000);",
    "LabelBars": "const part = new percept.LabelBars(root, recording); part.show(1000);",
    "EventList": "const part = new percept.EventList(root, recording); part.show(1000);",
    "ContactSheet": "const part = new percept.ContactSheet(root, recording); part.show(1000);",
    "Player": "const part = new percept.Player(root, recording); part.clock.seek(1000);",
}


@pytest.mark.parametrize("name", USE)
def test_a_part_needs_no_other_part(browser: Browser, tmp_path: Path, name: str) -> None:
    recording = Recording("talk.mp4")
    for record in following("talk.mp4", 4, (320, 240)):
        recording.add(record)
    media = {"media": {"kind": "none", "url": "", "name": ""}, "poster": "", "thumbnails": [], "warnings": []}
    others = {"page.js", "keyboard.js", "filter.js"} | {
        "Timeline": {"player.js", "clock.js", "label_bars.js", "event_list.js", "contact_sheet.js"},
        "LabelBars": {"player.js", "clock.js", "timeline.js", "lanes.js", "event_list.js", "contact_sheet.js"},
        "EventList": {"player.js", "clock.js", "timeline.js", "lanes.js", "label_bars.js", "contact_sheet.js"},
        "ContactSheet": {"player.js", "clock.js", "timeline.js", "lanes.js", "label_bars.js", "event_list.js"},
        "Player": {"timeline.js", "lanes.js", "label_bars.js", "event_list.js", "contact_sheet.js"},
    }[name]
    scripts = [script for script in SCRIPTS if script not in others]
    path = tmp_path / "part.html"
    path.write_text(document("part", [("source", recording.tree() | media)], scripts, STYLES), encoding="utf-8")

    def look(page: Any) -> str:
        page.evaluate(
            "() => { const root = document.body.appendChild(document.createElement('section'));"
            " const recording = new percept.Recording(JSON.parse(document.getElementById('source').textContent));"
            f" {USE[name]} }}"
        )
        page.wait_for_timeout(150)
        return page.locator("section").text_content()

    text, visit = browser.visit(path, look)
    assert visit.complaints == []
    assert ("red square" in text) == (name in ("Timeline", "LabelBars", "EventList"))


def test_every_part_is_in_a_page() -> None:
    hits = {"search_hits.js", "search_hits.css"}  # of archive.search.sheet
    assert {path.name for path in PARTS.iterdir()} == {*SCRIPTS, *STYLES, *report.SCRIPTS, *report.STYLES, *hits}
