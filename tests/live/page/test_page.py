"""The page in a real browser, over a real page process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from live.settings import Camera, Page, Settings
from pipeline.result import Evidence, Label, Track
from tests.live.page.browser import PageBrowser, until
from tests.live.page.conftest import SETTINGS
from tests.live.page.fake_watch import FakeWatch, event, jpeg
from tests.media import make_video
from tests.pages.test_hostile import HOSTILE

SPEED = 0.04
"""Of the red square, in widths a second."""


def label(name: str, probability: float, **evidence: float) -> Label:
    weights = {"image": 0.5, "motion": 0.2, "audio": 0.3}
    return Label(name, probability, 0.1, {key: Evidence(value, 0.2, weights[key]) for key, value in evidence.items()})


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeWatch]:
    """Two cameras with pictures, labels and events, one of which has a film."""
    watch = FakeWatch(tmp_path_factory.mktemp("busy"), SETTINGS)
    watch.answer = answer_preview
    try:
        watch.wait()
        media = watch.directory / "media"
        (media / "a.jpg").write_bytes(jpeg(1, 0.3))
        make_video(media / "a.mp4", 4, 10, (320, 240))
        watch.say_events(
            [
                event("a", "front-door", "person", 400, snapshot="a.jpg", recording="a.mp4", evidence={"image": 0.9}),
                event("b", "drive", "microphone_silent", 300, kind="health", text="level below −80 dBFS for 10 min"),
                event("c", "front-door", "glass breaking", 20, state="open", snapshot="a.jpg"),
            ]
        )
        fill(watch)
        yield watch
    finally:
        watch.close()


def fill(watch: FakeWatch) -> None:
    for number in range(3):
        index = watch.say(
            "front-door",
            [label("person", 0.8, image=0.9, motion=0.2, audio=0.1), label("glass breaking", 0.25, audio=0.5)],
            measures={"level_dbfs": -35.0 + number, "peak_dbfs": -20.0, "change": 0.1},
        )
        watch.picture("front-door", f"clip-{index}.jpg", 0, 0.5)
    watch.say("drive", [label("delivery van", 0.4, image=0.4)])


def answer_preview(command: dict[str, Any]) -> dict[str, Any]:
    """Of the last minute, the first ten clips have every label at 0.8, the other twenty at 0.4."""
    if command["do"] != "preview":
        return {"ok": True, "version": 2}
    clips = [
        {
            "clip": clip,
            "start": "2026-03-01T12:00:00+00:00",
            "labels": [{"label": word, "probability": 0.8 if clip < 10 else 0.4} for word in command["labels"]],
        }
        for clip in range(30)
    ]
    return {"ok": True, "clips": clips}


def test_the_grid_shows_what_each_camera_sees_and_how_old_that_is(page_browser: PageBrowser, busy: FakeWatch) -> None:
    def look(page: Any) -> dict[str, Any]:
        until(page, "document.querySelector('.camera img')?.naturalWidth === 640")
        until(page, "document.querySelectorAll('.top-labels li').length >= 3")
        assert page.locator(".latest .event").count() == 3
        page.evaluate("document.querySelector('.camera .word').dataset.mark = 'same'")
        found = {
            "names": page.locator(".camera .name").all_text_contents(),
            "state": page.locator(".camera .connection").first.inner_text(),
            "happening": page.locator(".camera .happening").first.inner_text(),
            "bar": page.evaluate(
                """() => [...document.querySelectorAll(".camera .whole")[0].children].map(part =>
                       part.getBoundingClientRect().width / part.parentElement.getBoundingClientRect().width)"""
            ),
            "age": page.locator(".camera .age").first.inner_text(),
            "summary": page.locator(".watch-state").inner_text(),
        }
        busy.say("front-door", [label("person", 0.31, image=0.9)])
        until(page, "document.querySelector('.camera .value').textContent === '31 %'")
        found["mark"] = page.evaluate("document.querySelector('.camera .word').dataset.mark")
        return found

    found, visit = page_browser.look(busy.address, look)
    assert found["names"] == ["front-door", "drive"]
    assert (found["state"], found["summary"]) == ("live", "2 of 2 live")
    assert found["happening"] == "glass breaking"
    shares = np.array([0.9 * 0.5, 0.2 * 0.2, 0.1 * 0.3])
    assert found["bar"] == pytest.approx(list(0.8 * shares / shares.sum()), abs=0.01)
    assert float(found["age"].removesuffix(" s ago")) >= 1.0
    assert found["mark"] == "same"  # rows are changed, not made anew: nothing flickers
    assert (visit.complaints, visit.network) == ([], [])


def square_at(time_s: float) -> float:
    """Where the square is, as a share of the width: it goes there and back, and never jumps."""
    return abs((time_s * SPEED) % 1.6 - 0.8)


@contextmanager
def moving(watch: FakeWatch, camera: str) -> Iterator[None]:
    """A square moves in the live picture, and every second a clip says where it was, 0.4 s late."""
    ended = threading.Event()

    def tracks(start_s: float) -> list[Track]:
        rows = []
        for step in range(8):
            left = round(square_at(start_s + step / 8) * (640 - 60))
            rows.append((step / 8, left, 180.0, left + 60.0, 240.0))
        return [Track(7, rows, "square", 0.9)]

    def run() -> None:
        said_s = 0.0
        while not ended.wait(0.08):
            watch.picture(camera, "live.jpg", 0, square_at(time.monotonic()))
            if time.monotonic() - said_s >= 1:
                said_s = time.monotonic()
                watch.say(camera, [label("square", 0.9, image=0.9)], tracks, age_s=0.4, seconds=1.0)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


@pytest.mark.slow
def test_boxes_are_drawn_on_the_picture_that_they_belong_to(page_browser: PageBrowser, busy: FakeWatch) -> None:
    """Records come later than pictures; the picture waits for them."""
    edges = """() => {
      if (!document.querySelector(".overlay")?.width) return null;
      const read = (selector, hit) => {
        const canvas = document.querySelector(selector);
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let [low, high] = [1e9, -1];
        for (let y = Math.round(canvas.height * 0.52); y < canvas.height * 0.62; y++)
          for (let x = 0; x < canvas.width; x++) {
            const at = (y * canvas.width + x) * 4;
            if (hit(...data.subarray(at, at + 4))) [low, high] = [Math.min(low, x), Math.max(high, x)];
          }
        return [low / canvas.width, high / canvas.width];
      };
      const square = read(".stage canvas:not(.overlay)", (r, g, b) => r > 180 && g < 90 && b < 90);
      const box = read(".overlay", (r, g, b, a) => a > 250 && g > 200 && r < 140 && b < 140);
      return box[1] < 0 || square[1] < 0 ? null : [square, box];
    }"""

    def look(page: Any) -> list[Any]:
        found = []
        for _ in range(4):
            found.append(until(page, edges))
            page.wait_for_timeout(400)
        told = page.locator(".controls .told").inner_text()
        page.keyboard.press("b")
        page.wait_for_timeout(300)
        assert page.evaluate(edges) is None
        assert "in step with its boxes" in told
        page.keyboard.press("l")
        until(page, "document.querySelector('.told').textContent === 'newest picture'")
        return found

    with moving(busy, "front-door"):
        found, visit = page_browser.look(f"{busy.address}#/camera/front-door", look)
    for square, box in found:
        assert box == pytest.approx(square, abs=0.012)
    assert max(square[0] for square, _ in found) - min(square[0] for square, _ in found) > 0.015
    assert visit.complaints == []


def test_what_zones_and_lines_have_counted_is_shown_and_a_line_points_to_the_side_that_is_in(
    page_browser: PageBrowser, busy: FakeWatch
) -> None:
    white = """() => {
      const [picture, overlay] = document.querySelectorAll(".slot-player canvas");
      if (!overlay?.width) return null;
      const { width, height } = overlay;
      const { data } = overlay.getContext("2d").getImageData(width / 2 - 2, 0, 4, height);
      let [above, below, line] = [0, 0, height * 0.2];
      for (let y = 0; y < height; y++) {
        const isWhite = data[y * 16 + 8] > 240 && data[y * 16 + 11] > 240;
        if (isWhite && y < line - 3 && y > line - 16) above++;
        if (isWhite && y > line + 3 && y < line + 16) below++;
      }
      return above ? [above, below] : null;
    }"""

    def look(page: Any) -> tuple[str, list[int]]:
        until(page, "document.body.innerText.includes('Counts')")
        return page.inner_text(".asked"), until(page, f"({white})()")

    (text, (above, below)), visit = page_browser.look(f"{busy.address}#/camera/front-door", look)
    assert text.split("\n") == [
        "Counts",
        "path",
        "3 visits · 4 s on average, at most 1 min 5 s · 1 in it now",
        "gate",
        "2 in · 1 out",
    ]
    assert above > 3
    assert below == 0
    assert visit.complaints == []


def test_a_line_is_drawn_on_the_picture_and_applied_with_things_to_find(
    page_browser: PageBrowser, busy: FakeWatch
) -> None:
    def look(page: Any) -> tuple[list[str], list[str], bool]:
        until(page, "document.querySelectorAll('.places li').length === 2 && document.querySelector('.message').hidden")
        stage = page.locator(".stage")
        size = stage.bounding_box()

        def click(x: float, y: float) -> None:
            stage.click(position={"x": x * size["width"], "y": y * size["height"]})

        page.get_by_role("button", name="Draw a zone").click()
        click(0.1, 0.1)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Draw a line").click()
        click(0.25, 0.5)
        click(0.75, 0.5)
        until(page, "document.querySelectorAll('.places li').length === 3")
        page.keyboard.type("kerb")
        page.get_by_role("button", name="Swap in and out").last.click()
        drawn = page.eval_on_selector_all(".places input", "fields => fields.map(field => field.value)")
        said = []
        page.locator(".places .points").last.fill("0.75,0.5; 1.25")
        said.append(page.inner_text(".counting .said"))
        is_held = page.locator(".counting .primary").is_disabled()
        page.locator(".places .points").last.fill("0.75,0.5; 0.25,0.5")
        page.get_by_label("Things to find").fill("dog, red car,")
        page.locator(".counting .primary").click()
        until(page, "!document.getElementById('toast').hidden")
        said.append(page.inner_text("#toast"))
        return drawn, said, is_held

    (drawn, said, is_held), visit = page_browser.look(f"{busy.address}#/camera/front-door", look)
    assert drawn[:4] == ["path", "0.1,0.60125; 0.9,0.6; 0.9,0.95; 0.1,0.95", "gate", "0,0.2; 1,0.2"]
    assert drawn[4] == "kerb"
    assert [float(each) for each in drawn[5].replace(";", ",").split(",")] == pytest.approx(
        [0.75, 0.5, 0.25, 0.5], abs=0.01
    )
    assert is_held
    assert said == [
        "kerb: a line has two ends, such as 0.1,0.5; 0.9,0.5.",
        "Applied, from the next clip on.",
    ]
    assert busy.asked[-1] == {
        "do": "change",
        "camera": "front-door",
        "change": {
            "find": ["dog", "red car"],
            "lines": {"gate": [[0.0, 0.2], [1.0, 0.2]], "kerb": [[0.75, 0.5], [0.25, 0.5]]},
        },
    }
    assert visit.complaints == []


def test_the_strip_shows_how_loud_it_was(page_browser: PageBrowser, busy: FakeWatch) -> None:
    """Twelve clips of 2 s are 24 of 300 s, with a pixel between two; half as loud as can be is half the height."""
    lengths = """() => {
      const canvas = document.querySelector(".strip canvas");
      if (!canvas?.width) return null;
      const lane = (46 / canvas.clientHeight) * canvas.height;
      const loud = (share) => {
        const { data } = canvas.getContext("2d").getImageData(0, lane * (1 - share), canvas.width, 1);
        let count = 0;
        for (let x = 0; x < canvas.width; x++) count += data[x * 4 + 2] < data[x * 4] - 40;
        return count / canvas.width;
      };
      return [loud(0.45), loud(0.55)];
    }"""
    for clip in range(12):
        busy.say("drive", [], age_s=1.0 + 2 * (11 - clip), measures={"level_dbfs": -35.0, "peak_dbfs": -35.0})

    def look(page: Any) -> list[float]:
        until(page, f"(({lengths})() ?? [0])[0] > 0.067")
        return page.evaluate(lengths)

    found, visit = page_browser.look(f"{busy.address}#/camera/drive", look)
    assert found == pytest.approx([0.075, 0], abs=0.008)
    assert visit.complaints == []


def test_labels_are_tried_on_the_last_minute_and_applied(page_browser: PageBrowser, busy: FakeWatch) -> None:
    def look(page: Any) -> dict[str, Any]:
        found = {}
        page.locator(".editor .labels li").first.wait_for()
        found["thresholds"] = page.locator(".editor output").all_text_contents()
        assert page.locator(".editor .primary").is_disabled()
        page.keyboard.press("/")
        page.keyboard.type("cat <b>")
        page.keyboard.press("Enter")
        until(page, "document.querySelectorAll('.fired')[2]?.textContent.includes('clips')")
        found["fired"] = page.locator(".editor .fired").all_text_contents()
        slider = page.locator(".editor input[type=range]").nth(2)
        slider.focus()
        for _ in range(31):
            page.keyboard.press("ArrowRight")
        found["stricter"] = page.locator(".editor .fired").nth(2).text_content()
        page.get_by_role("button", name="Remove person").click()
        page.locator(".editor .primary").click()
        until(page, "document.getElementById('toast').textContent.includes('version 2')")
        found["applied"] = page.locator(".editor .primary").is_disabled()
        return found

    before = len(busy.asked)
    found, visit = page_browser.look(f"{busy.address}#/camera/front-door", look)
    assert found["thresholds"] == ["50 %", "35 %"]
    assert found["fired"] == ["10 of the last 30 clips", "30 of the last 30 clips", "10 of the last 30 clips"]
    assert found["stricter"] == "none of the last 30 clips"
    changes = [command for command in busy.asked[before:] if command["do"] == "change"]
    labels = [{"label": "glass breaking", "threshold": 0.35}, {"label": "cat <b>", "threshold": 0.81}]
    assert changes == [{"do": "change", "camera": "front-door", "change": {"labels": labels}}]
    assert found["applied"]
    assert visit.complaints == []


def test_events_are_found_and_their_films_play(page_browser: PageBrowser, busy: FakeWatch) -> None:
    def look(page: Any) -> dict[str, Any]:
        page.locator(".event").nth(2).wait_for()
        found = {"names": page.locator(".event .word").all_text_contents()}
        found["open"] = page.locator(".event.open .when").inner_text()
        page.keyboard.press("/")
        page.keyboard.type("PERS")
        found["filtered"] = page.locator(".event .word").all_text_contents()
        found["count"] = page.locator(".found").inner_text()
        page.locator(".event").first.click()
        until(page, "document.querySelector('dialog video')?.readyState >= 3")
        page.evaluate("document.querySelector('dialog video').currentTime = 3")
        until(page, "(v => !v.seeking && v.readyState >= 2)(document.querySelector('dialog video'))")
        found["film"] = page.evaluate(
            "(v => [v.videoWidth, Math.round(v.duration)])(document.querySelector('dialog video'))"
        )
        found["facts"] = page.locator("dialog .facts").inner_text()
        found["utc"] = page.locator("dialog time").first.get_attribute("title")
        page.keyboard.press("Escape")
        until(page, "!document.querySelector('dialog[open]')")
        page.locator("select").nth(1).select_option("health")
        until(page, "document.querySelectorAll('.event').length === 0")
        found["none"] = page.locator(".nothing").inner_text()
        return found

    found, visit = page_browser.look(f"{busy.address}#/events", look)
    assert found["names"] == ["glass breaking", "microphone silent", "person"]
    assert found["open"].endswith("going on")
    assert (found["filtered"], found["count"]) == (["person"], "1 event")
    assert found["film"] == [320, 4]
    assert "70 % on average, at most 90 %" in found["facts"]
    assert found["utc"].endswith("UTC")
    assert found["none"] == "No event fits the filter."
    assert visit.complaints == []


def test_keys_lead_everywhere(page_browser: PageBrowser, busy: FakeWatch) -> None:
    def look(page: Any) -> list[str]:
        places = []
        until(page, "document.querySelectorAll('.card').length === 2")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        focused = (
            "(e => getComputedStyle(e).outlineStyle + e.querySelector('.name').textContent)(document.activeElement)"
        )
        places.append(page.evaluate(focused))
        for key in ("Enter", "ArrowRight", "Escape", "e", "h", "c"):
            page.keyboard.press(key)
            page.wait_for_timeout(60)
            places.append(page.evaluate("location.hash"))
        page.keyboard.press("?")
        places.append(page.locator("dialog[open] h2").first.inner_text())
        page.keyboard.press("Escape")
        page.keyboard.press("t")
        places.append(page.evaluate("getComputedStyle(document.documentElement).colorScheme"))
        page.reload(wait_until="domcontentloaded")
        places.append(page.evaluate("getComputedStyle(document.documentElement).colorScheme"))
        return places

    places, visit = page_browser.look(busy.address, look, color_scheme="light")
    assert places[:1] == ["soliddrive"]
    assert places[1:7] == ["#/camera/drive", "#/camera/front-door", "#/", "#/events", "#/health", "#/"]
    assert places[7:] == ["Keys", "dark", "dark"]
    assert visit.complaints == []


@pytest.mark.slow
def test_a_lost_connection_is_said_and_comes_back(page_browser: PageBrowser, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    watch = FakeWatch(tmp_path, msgspec.structs.replace(SETTINGS, page=Page(port=port)))

    def look(page: Any) -> list[str]:
        texts = []
        until(page, "document.querySelectorAll('.camera').length === 2")
        watch.process.kill()
        watch.process.wait(10)
        until(page, "!document.getElementById('lost').hidden")
        texts.append(page.locator("#lost").inner_text())
        watch.restart()
        until(page, "document.getElementById('lost').hidden")
        index = watch.say("drive", [label("delivery van", 0.66, image=0.5)])
        watch.picture("drive", f"clip-{index}.jpg")
        until(page, "[...document.querySelectorAll('.camera .value')].some(e => e.textContent === '66 %')")
        texts.append(page.locator(".watch-state").inner_text())
        watch.is_speaking = False
        until(page, "!document.getElementById('lost').hidden")
        texts.append(page.locator("#lost").inner_text())
        return texts

    try:
        texts, _ = page_browser.look(watch.wait().address, look)
    finally:
        watch.close()
    assert texts[0].startswith("Connection lost")
    assert texts[1] == "2 of 2 live"
    assert texts[2].startswith("Connection lost")


WORDS = [word.encode("utf-8", "replace").decode() for word in HOSTILE]


def test_hostile_text_is_only_text(page_browser: PageBrowser, tmp_path: Path) -> None:
    """Cameras have such names here, too, although the settings refuse them."""
    names = [word for word in WORDS if "\x00" not in word]
    cameras = tuple(
        Camera(
            name=name, url="rtsp://cam/1", labels=tuple(WORDS[:3]), zones={name: ((0.1, 0.1), (0.9, 0.1), (0.5, 0.9))}
        )
        for name in names
    )
    watch = FakeWatch(tmp_path, Settings(cameras=cameras, page=Page(port=0)))
    watch.answer = lambda command: {"ok": False, "error": WORDS[2], "status": 400}
    watch.connections = dict.fromkeys(names, "lost")

    def look(page: Any) -> dict[str, Any]:
        found = {}
        until(page, f"document.querySelectorAll('.top-labels li').length === {3 * len(names)}")
        found["names"] = page.locator(".camera .name").all_text_contents()
        found["labels"] = page.locator(".top-labels .word").all_text_contents()
        page.locator(".card").nth(2).click()
        until(page, "document.querySelectorAll('.label-bars .word').length > 0")
        found["title"], found["bars"] = page.title(), page.locator(".label-bars .word").all_text_contents()
        found["edited"] = page.locator(".editor .word").all_text_contents()
        until(page, "document.querySelector('.editor .said').textContent !== ''")
        found["said"] = page.locator(".editor .said").inner_text()
        page.keyboard.press("e")
        page.locator(".event").first.click()
        found["dialog"] = page.locator("dialog[open] h2").inner_text()
        found["facts"] = page.locator("dialog[open] dd").all_text_contents()
        page.keyboard.press("Escape")
        page.keyboard.press("h")
        until(page, "document.querySelectorAll('td a').length > 0")
        found["table"] = page.locator("td a").all_text_contents()
        page.get_by_role("button", name="Send a test alert").click()
        until(page, "!document.getElementById('toast').hidden")
        found["toast"] = page.locator("#toast").inner_text()
        found["elements"] = page.evaluate(
            "document.querySelectorAll('script, body img[src=x], b, body svg[onload]').length"
        )
        return found

    try:
        watch.wait()
        for name in names:
            watch.say(name, [label(word, 0.9 - place / 10, image=0.5) for place, word in enumerate(WORDS[:3])])
        watch.say_events([event("e", names[0], WORDS[1], text=WORDS[3], evidence={WORDS[0]: WORDS[4]})])
        found, visit = page_browser.look(watch.address, look)
    finally:
        watch.close()
    assert visit.complaints == []
    assert visit.network == []
    assert found["names"] == names
    assert found["labels"] == WORDS[:3] * len(names)
    assert found["title"] == f"{names[2]} – Percept watch"
    assert found["bars"] == found["edited"] == WORDS[:3]
    assert WORDS[2] in found["said"]
    assert found["dialog"] == WORDS[1]
    assert {names[0], WORDS[3]} <= set(found["facts"])
    assert found["table"] == names
    assert found["toast"] == WORDS[2]
    assert found["elements"] == 1


def test_markup_and_scripts_are_refused_even_if_a_mistake_let_them_in(
    page_browser: PageBrowser, busy: FakeWatch
) -> None:
    def look(page: Any) -> list[Any]:
        until(page, "document.querySelectorAll('.card').length === 2")
        return page.evaluate(
            """() => { const tried = [];
                 const script = document.createElement("script");
                 for (const act of [
                   () => (document.body.innerHTML = "<b>x</b>"),
                   () => document.body.append(Object.assign(script, {textContent: "window.ran = 1"})),
                   () => document.body.setAttribute("onclick", "window.ran = 1"),
                 ]) try { act(); tried.push("done"); } catch (error) { tried.push(error.name); }
                 document.body.click();
                 fetch("https://example.org/").catch(() => {});
                 return [...tried, window.ran ?? 0]; }"""
        )

    tried, visit = page_browser.look(busy.address, look)
    assert tried[0] == tried[1] == "TypeError"
    assert tried[-1] == 0
    assert visit.network == []
    assert any("connect-src" in text for text in visit.complaints)


def test_nothing_is_wider_than_the_screen(page_browser: PageBrowser, busy: FakeWatch) -> None:
    places = {"#/": ".latest .event", "#/camera/front-door": ".editor .word", "#/events": ".event", "#/health": "td a"}

    def look(page: Any) -> list[int]:
        found = []
        for place, there in places.items():
            page.evaluate(f"location.hash = {place!r}")
            page.locator(there).first.wait_for()
            for width in (390, 800):
                page.set_viewport_size({"width": width, "height": 844})
                found.append(page.evaluate("document.documentElement.scrollWidth"))
        return found

    found, _ = page_browser.look(busy.address, look)
    assert found == [390, 800] * 4


def test_a_login_by_form(page_browser: PageBrowser, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a token of twenty-four letters")
    watch = FakeWatch(
        tmp_path, msgspec.structs.replace(SETTINGS, page=Page(port=0, token_file=str(tmp_path / "token")))
    )

    def look(page: Any) -> list[str]:
        page.locator("#token").fill("a wrong one")
        page.keyboard.press("Enter")
        until(page, "!document.getElementById('wrong').hidden")
        texts = [page.locator("#wrong").inner_text()]
        page.locator("#token").fill("a token of twenty-four letters")
        page.keyboard.press("Enter")
        page.locator(".camera").first.wait_for()
        texts.append(page.locator(".camera .name").first.inner_text())
        texts.append(page.evaluate("document.cookie"))
        page.goto(page.url.partition("#")[0] + "login", wait_until="domcontentloaded")
        page.locator(".camera").first.wait_for()
        page.keyboard.press("h")
        page.get_by_role("button", name="Log out").click()
        page.locator("#token").wait_for()
        return texts

    try:
        texts, visit = page_browser.look(watch.wait().address, look)
    finally:
        watch.close()
    assert texts == ["The token is wrong.", "front-door", ""]
    assert visit.complaints == []


def test_a_watch_without_cameras_says_so_and_one_is_added(page_browser: PageBrowser, tmp_path: Path) -> None:
    watch = FakeWatch(tmp_path, Settings(page=Page(port=0)))

    def look(page: Any) -> list[str]:
        until(page, "!document.querySelector('.empty').hidden")
        texts = [page.locator(".empty h2").inner_text()]
        page.get_by_role("link", name="Add a camera").click()
        page.get_by_label("Name").fill("barn")
        page.get_by_label("Address").fill("rtsp://u:p@barn.local/1")
        page.get_by_role("button", name="Add camera").click()
        until(page, "!document.getElementById('toast').hidden")
        texts.append(page.locator("#toast").inner_text())
        watch.configure(Settings(cameras=(Camera(name="barn", url="rtsp://u:p@barn.local/1"),), page=Page(port=0)))
        page.keyboard.press("Escape")
        page.evaluate("location.hash = '#/'")
        until(page, "document.querySelectorAll('.camera').length === 1")
        return texts

    try:
        texts, visit = page_browser.look(watch.wait().address, look)
    finally:
        watch.close()
    assert texts == ["No camera is watched yet", "barn is added."]
    assert watch.asked == [{"do": "add", "camera": {"name": "barn", "url": "rtsp://u:p@barn.local/1"}}]
    assert visit.complaints == []


def shot_is_dark(png: bytes) -> bool:
    return float(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)[:40].mean()) < 90


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_system_is(page_browser: PageBrowser, busy: FakeWatch, scheme: str) -> None:
    def look(page: Any) -> bytes:
        until(page, "document.querySelectorAll('.card').length === 2")
        return page.screenshot()

    png, _ = page_browser.look(busy.address, look, color_scheme=scheme)
    assert shot_is_dark(png) == (scheme == "dark")
