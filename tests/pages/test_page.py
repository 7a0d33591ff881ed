"""The page in a real browser: it plays, draws, seeks and filters, and asks nobody for anything."""

import io
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from commands.main import main
from pages.recording import ERROR
from pipeline.arrays import Array
from pipeline.result import ClipRecord, Region
from tests.media import make_sound, make_video
from tests.pages.conftest import Browser
from tests.pages.records import clip, following, label, square_box, written

SIZE = (320, 240)
SHOWN = "document.querySelector('.label-bars .word').textContent"
TIME = "percept.page.player.clock.time"


def picture(png: bytes) -> Array:
    """RGB of a screenshot."""
    decoded = cv2.imdecode(np.frombuffer(io.BytesIO(png).getvalue(), np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))


def until(page: Any, expression: str, timeout_s: float = 20.0) -> None:
    """Wait until an expression is true. Playwright's own waiting evaluates strings, which the policy forbids."""
    end_s = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < end_s, f"never true: {expression}"
        page.wait_for_timeout(50)


def seek(page: Any, ms: float) -> None:
    """Seek, and wait until the picture is there."""
    page.evaluate(f"percept.page.seek({ms})")
    until(page, "(m => !m || (!m.seeking && m.readyState >= 2))(document.querySelector('video, audio'))")
    page.wait_for_timeout(150)


def box_of(mask: Array) -> tuple[int, int, int, int]:
    """The extent of the pixels in a mask: x0, y0, x1, y1."""
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def drawn_box(page: Any) -> list[int]:
    """The extent of the thick outline of track 1 on the canvas, in pixels of the source."""
    return page.evaluate(
        """() => {
          const canvas = document.querySelector(".stage canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const [red, green, blue] = percept.trackColour(1);
          let [x0, y0, x1, y1] = [1e9, 1e9, -1, -1];
          for (let y = 0; y < canvas.height; y++) for (let x = 0, run = 0; x < canvas.width; x++) {
            const at = (y * canvas.width + x) * 4;
            const hit = data[at] === red && data[at + 1] === green && data[at + 2] === blue && data[at + 3] === 255;
            if (!hit) continue;
            [x0, y0, x1, y1] = [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x + 1), Math.max(y1, y + 1)];
          }
          const scale = canvas.width / 320;
          return [x0, y0, x1, y1].map((edge) => edge / scale);
        }"""
    )


@pytest.mark.parametrize("time_s", [2.0, 5.3])
def test_boxes_are_where_the_objects_are_at_that_time(browser: Browser, square: Path, time_s: float) -> None:
    def look(page: Any) -> tuple[list[int], bytes]:
        seek(page, time_s * 1000)
        return drawn_box(page), page.locator(".stage").screenshot()

    (drawn, png), visit = browser.visit(square, look)
    x0, y0, x1, y1 = square_box(time_s, SIZE)
    assert drawn[0] == pytest.approx(x0, abs=2)
    assert drawn[3] == pytest.approx(y1, abs=2)
    shot = picture(png)
    scale = shot.shape[1] / SIZE[0]
    red = (shot[:, :, 0] > 200) & (shot[:, :, 1] < 110) & (shot[:, :, 2] < 90)
    found = [edge / scale for edge in box_of(red)]
    assert found == pytest.approx([x0, y0, x1, y1], abs=5)  # the outline covers the edges of the square
    assert visit.complaints == []
    assert [url.rsplit("/", 1)[1] for url in visit.requests] == ["square%20%231.mp4"]


def test_it_plays_and_everything_moves_along(browser: Browser, square: Path) -> None:
    def look(page: Any) -> dict[str, Any]:
        until(page, "document.querySelector('video').readyState >= 3")
        page.keyboard.press("Space")
        until(page, f"{TIME} > 2300")
        page.keyboard.press("Space")
        until(page, "document.querySelector('video').paused")
        page.wait_for_timeout(100)
        return page.evaluate(
            """() => ({
              time: percept.page.player.clock.time,
              media: document.querySelector("video").currentTime * 1000,
              shown: document.querySelector(".label-bars .word").textContent,
              playhead: document.querySelector(".box .playhead").getBoundingClientRect().left,
              box: document.querySelector(".box").getBoundingClientRect(),
              current: document.querySelector(".event-list [aria-current]").textContent,
            })"""
        )

    found, visit = browser.visit(square, look)
    assert found["time"] == pytest.approx(found["media"], abs=1)
    assert found["shown"] == "grey noise"
    assert "grey noise" in found["current"]
    at = found["box"]["x"] + found["time"] / 8000 * found["box"]["width"]
    assert found["playhead"] == pytest.approx(at, abs=2)
    assert visit.complaints == []


def test_the_timeline_events_thumbnails_and_keys_seek(browser: Browser, square: Path) -> None:
    def look(page: Any) -> tuple[list[float], bool]:
        times: list[float] = []
        box = page.locator(".timeline .box")
        page.wait_for_timeout(200)
        bounds = box.bounding_box()
        box.click(position={"x": bounds["width"] * 0.75, "y": 30})
        times.append(page.evaluate(TIME))
        for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowRight", "Home", "ArrowRight", "End"):
            page.keyboard.press(key)
            times.append(page.evaluate(TIME))
        page.locator(".event-list button", has_text="grey noise").first.click()
        times.append(page.evaluate(TIME))
        page.locator(".contact-sheet button").last.click()
        times.append(page.evaluate(TIME))
        page.keyboard.press("Space")
        until(page, f"{TIME} > 7100")
        return times, not page.evaluate("percept.page.player.clock.paused")

    (times, plays), visit = browser.visit(square, look)
    assert times[0] == pytest.approx(6000, abs=30)
    assert times[1:4] == [4000, 2000, 7000]
    assert times[4:8] == [0, 2000, 6000, 2000]
    assert times[8] == pytest.approx(7000, abs=1)
    assert plays, "after a click, space plays and does not press the button again"
    assert visit.complaints == []


def test_the_filter_shows_what_fits(browser: Browser, square: Path) -> None:
    texts = "els => els.filter(each => each.offsetParent).map(each => each.textContent)"

    def names(page: Any) -> tuple[list[str], int, int]:
        lanes = page.eval_on_selector_all(".timeline .names button", texts)
        events = page.locator(".event-list li").count()
        thumbnails = len(page.eval_on_selector_all(".contact-sheet li", texts))
        return lanes, events, thumbnails

    def look(page: Any) -> list[tuple[list[str], int, int]]:
        found = [names(page)]
        page.keyboard.press("/")
        page.keyboard.type("SQUARE, nothing")
        found.append(names(page))
        page.keyboard.press("Escape")
        found.append(names(page))
        page.locator("input[aria-label='Least probability']").fill("80")
        found.append(names(page))
        page.locator("input[aria-label='Least probability']").fill("0")
        found.append(names(page))
        return found

    found, visit = browser.visit(square, look)
    assert found == [
        (["red square", "grey noise"], 4, 4),
        (["red square"], 2, 2),
        (["red square", "grey noise"], 4, 4),
        (["red square"], 2, 2),
        (["beep", "red square", "grey noise"], 4, 4),
    ]
    assert visit.complaints == []


def test_a_lane_opens_into_its_modalities_in_their_colours(browser: Browser, square: Path) -> None:
    def look(page: Any) -> tuple[bytes, list[str]]:
        seek(page, 7900)
        page.locator(".timeline .names button", has_text="red square").click()
        page.mouse.move(0, 0)
        page.wait_for_timeout(200)
        return page.locator(".timeline .box").screenshot(), page.locator(".timeline .sub").all_text_contents()

    (png, names), _ = browser.visit(square, look)
    assert names == ["picture", "motion", "sound"]
    from pipeline.sinks.panel import COLOURS

    shot = picture(png)[26 + 38 : 26 + 38 + 66, : shot_width(png) // 8].astype(int)  # within the first clip
    heights = [int((np.abs(shot - COLOURS[name]).sum(axis=2) < 12).any(axis=1).sum()) for name in COLOURS]
    assert heights == pytest.approx([16 * 0.95, 16 * 0.6, 1], abs=1.1)


def shot_width(png: bytes) -> int:
    return int(picture(png).shape[1])


def test_light_and_dark(browser: Browser, square: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"

    def look(page: Any) -> tuple[str, str]:
        before = page.evaluate(ground)
        page.keyboard.press("t")
        return before, page.evaluate(ground)

    (light, dark), _ = browser.visit(square, look, color_scheme="light")
    assert browser.visit(square, look, color_scheme="dark")[0] == (dark, light)
    assert sum(map(int, light[4:-1].split(","))) > 600 > 150 > sum(map(int, dark[4:-1].split(",")))


def test_without_its_video_the_page_still_works(browser: Browser, square: Path, tmp_path: Path) -> None:
    (tmp_path / "moved.html").write_bytes(square.read_bytes())

    def look(page: Any) -> tuple[str, float, int]:
        page.wait_for_selector(".player.failed")
        page.keyboard.press("End")
        return (
            page.locator(".player .message").text_content(),
            page.evaluate(TIME),
            page.locator(".contact-sheet img").count(),
        )

    (message, time_ms, thumbnails), _ = browser.visit(tmp_path / "moved.html", look)
    assert message.startswith("square #1.mp4 cannot be played")
    assert (time_ms, thumbnails) == (6000, 4)


def test_regions_are_drawn_while_their_clip_lasts(browser: Browser, tmp_path: Path) -> None:
    records = [clip("gone.mp4", index, [label("red square", 0.9)]) for index in range(2)]
    records[1].parts["regions"] = [Region("red square", 3.0, (80, 60, 240, 180), 0.25, 0.9)]
    assert main(["view", str(written(tmp_path / "regions.jsonl", records)), "-q"]) == 0
    bright = """() => {
      const canvas = document.querySelector(".stage canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const scale = canvas.height / 240;
      const columns = [];
      for (let y = Math.round(75 * scale); y < 120 * scale; y++) for (let x = 0; x < canvas.width; x++) {
        if (data[(y * canvas.width + x) * 4] > 200) columns.push((x - canvas.width / 2) / scale + 160);
      }
      return columns.length ? [Math.min(...columns), Math.max(...columns)] : [];
    }"""

    def look(page: Any) -> list[list[float]]:
        sides = []
        for time_ms in (1000, 3000):
            page.evaluate(f"percept.page.seek({time_ms})")
            page.wait_for_timeout(150)
            sides.append(page.evaluate(bright))
        return sides

    (before, during), visit = browser.visit(tmp_path / "regions.html", look)
    assert before == []
    assert during == pytest.approx([80, 240], abs=3)
    assert [text for text in visit.complaints if "willReadFrequently" not in text] == []


def test_several_sources_errors_gaps_and_sound(browser: Browser, tmp_path: Path) -> None:
    make_sound(tmp_path / "tone.mp3", 6)
    tone = str(tmp_path / "tone.mp3")
    records = [
        clip("gone.mp4", 0, [label("rain", 0.8, audio=0.9)], width=0, height=0),
        ClipRecord(source="gone.mp4", epoch=0, clip=1, start_s=2, end_s=4, error="no frame could be decoded"),
        ClipRecord(source="gone.mp4", epoch=0, clip=-1, start_s=4, end_s=14, gap=True),
        *(clip(tone, index, [label("beep", 0.9, audio=0.9)], width=0, height=0) for index in range(3)),
        ClipRecord(source="never.mp4", epoch=0, clip=-1, start_s=0, end_s=0, error="never.mp4: no such file"),
    ]
    assert main(["view", str(written(tmp_path / "all.jsonl", records)), "-q"]) == 0

    def look(page: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"facts": page.locator(".facts").text_content()}
        seek(page, 3000)
        found["error"] = page.locator(".label-bars .notes").text_content()
        seek(page, 9000)
        found["gap"] = page.locator(".label-bars .notes").text_content()
        found["states"] = page.evaluate("percept.page.recording.state")
        page.locator("select[aria-label='Source']").select_option("1")
        until(page, "document.querySelector('audio').readyState >= 3")
        page.keyboard.press("Space")
        until(page, f"{TIME} > 200")
        found["sound"] = page.evaluate(SHOWN)
        page.locator("select[aria-label='Source']").select_option("2")
        found["warnings"] = page.locator(".warnings li").all_text_contents()
        return found

    found, visit = browser.visit(tmp_path / "all.html", look)
    assert found["facts"] == "0:14  ·  1 clip  ·  1 error  ·  1 gap"
    assert found["error"] == "no frame could be decoded"
    assert found["gap"] == "a stretch without media"
    assert found["states"] == [0, ERROR, 3]
    assert found["sound"] == "beep"
    assert found["warnings"][0] == "There are no results: never.mp4: no such file"
    assert visit.complaints == []


def test_a_preview_has_the_times_of_the_results(browser: Browser, tmp_path: Path) -> None:
    """Of an AVI, which no browser plays: the square in the preview is where the results say."""
    make_video(tmp_path / "old.avi", 6, 25, SIZE, codec="mpeg4")
    results = written(tmp_path / "old.jsonl", following(str(tmp_path / "old.avi"), 6, SIZE))
    assert main(["view", str(results), "-q"]) == 0

    def look(page: Any) -> tuple[list[int], bytes]:
        until(page, "document.querySelector('video').readyState >= 2")
        seek(page, 3400)
        return drawn_box(page), page.locator(".stage").screenshot()

    (drawn, png), visit = browser.visit(tmp_path / "old.html", look)
    assert drawn[0] == pytest.approx(square_box(3.4, SIZE)[0], abs=2)
    shot = picture(png)
    red = (shot[:, :, 0] > 180) & (shot[:, :, 1] < 120) & (shot[:, :, 2] < 110)
    assert box_of(red)[0] * SIZE[0] / shot.shape[1] == pytest.approx(drawn[0], abs=5)
    assert [url.rsplit("/", 1)[1] for url in visit.requests] == ["old-preview.mp4"]
    assert visit.complaints == []


def test_ten_hours_are_drawn_without_an_element_per_clip(browser: Browser, tmp_path: Path) -> None:
    words = [label(f"word {number}", 0.9 - number / 10, image=0.5) for number in range(5)]
    records = (clip("long.mp4", index, words) for index in range(18_000))
    assert main(["view", str(written(tmp_path / "long.jsonl", records)), "-q"]) == 0
    assert (tmp_path / "long.html").stat().st_size < 4e6

    def look(page: Any) -> tuple[int, list[int], float]:
        page.wait_for_timeout(300)
        elements = page.evaluate("document.querySelectorAll('*').length")
        for key in "+++":
            page.keyboard.press(key)
        lane = page.evaluate(
            """() => { percept.page.timeline.paint();
              const canvas = document.querySelector(".timeline .box canvas");
              return [...canvas.getContext("2d").getImageData(canvas.width / 2, 26 + 31, 1, 1).data]; }"""
        )
        return elements, lane, page.evaluate("percept.page.timeline.to - percept.page.timeline.from")

    (elements, lane, span_ms), visit = browser.visit(tmp_path / "long.html", look)
    assert elements < 500
    assert lane == [96, 165, 250, 255]
    assert span_ms == pytest.approx(36_000_000 / 8)
    assert visit.complaints == []
