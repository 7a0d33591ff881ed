"""The page of a search's hits."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from archive.search.hits import Hit
from archive.search.sheet import write_sheet
from tests.pages.conftest import Browser
from tests.pages.test_hostile import HOSTILE


def jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((36, 64, 3), 128, np.uint8))[1].tobytes())


def test_hits_are_shown_with_pictures_and_links_and_hostile_text_is_only_text(tmp_path: Path, browser: Browser) -> None:
    words = [word.encode("utf-8", "replace").decode() for word in HOSTILE]
    film = tmp_path / "x'\"><img src=q onerror=alert(1)>?#%41.mp4"
    film.write_bytes(b"film")
    hits = [
        Hit(str(film), words[0], 10, 14, 12, "probability", 0.93, 2, {}, tuple((word, 0.5) for word in words), jpeg()),
        Hit("javascript:alert(1)", words[2], 0, 2, 0, "similarity", 0.25, 1, {}, ()),
    ]
    write_sheet(str(tmp_path / "hits.html"), words[1], hits)

    def look(page: Any) -> dict[str, Any]:
        return {
            "title": page.locator("h1").text_content(),
            "names": page.locator(".name").all_text_contents(),
            "when": page.locator("li .when").all_text_contents(),
            "words": page.locator(".words").first.text_content(),
            "links": page.eval_on_selector_all("a", "all => all.map(each => each.href)"),
            "pictures": page.eval_on_selector_all("img", "all => all.map(each => each.naturalWidth)"),
        }

    found, visit = browser.visit(tmp_path / "hits.html", look)
    assert found["title"] == words[1]
    assert found["names"] == [words[0], words[2]]
    assert found["when"] == ["0:10.0 – 0:14.0 · 93 %", "0:00.0 – 0:02.0 · 0.250"]
    assert all(word in found["words"] for word in words if "\x00" not in word)
    assert found["links"] == [f"{film.as_uri()}#t=12.00"], "only files that are here are linked to"
    assert found["pictures"] == [64]
    assert visit.complaints == visit.requests == []


def test_no_hits_are_told(tmp_path: Path, browser: Browser) -> None:
    write_sheet(str(tmp_path / "hits.html"), "dog", [])
    found, _ = browser.visit(tmp_path / "hits.html", lambda page: page.inner_text("main"))
    assert found.split() == ["dog", "Nothing", "was", "found."]
