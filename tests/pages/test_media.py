"""What a browser plays as it is, and how a page refers to it."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlparse

import av
import numpy as np
import pytest

from pages.media import find, link, probe
from tests.media import Sound, make_sound, make_video


@pytest.mark.parametrize(
    ("name", "given", "obstacle"),
    [
        ("a.mp4", {"audio": Sound()}, ""),
        ("a.mov", {}, ""),
        ("a.webm", {"codec": "libvpx"}, ""),
        ("a.mkv", {}, "the container matroska"),
        ("a.avi", {"codec": "mpeg4"}, "the container avi"),
        ("a.ts", {}, "the container mpegts"),
        ("b.mp4", {"codec": "mpeg4"}, "the video codec mpeg4"),
        ("c.mp4", {"codec": "libx265"}, "the video codec hevc"),
        ("d.mp4", {"pixel_format": "yuv420p10le"}, "the pixel format yuv420p10le"),
        ("e.mp4", {"pixel_format": "yuv444p"}, "the pixel format yuv444p"),
        ("f.mp4", {"audio": Sound(codec="ac3", rate_hz=48_000)}, "the audio codec ac3"),
        ("g.mp4", {"start_s": 3.0}, "a clock that begins at 3.0 s"),
    ],
)
def test_what_a_browser_cannot_play(tmp_path: Path, name: str, given: dict[str, Any], obstacle: str) -> None:
    path = make_video(tmp_path / name, 1, 25, (64, 48), **given)
    found = probe(str(path))
    assert (found.kind, found.obstacle, found.width, found.height) == ("video", obstacle, 64, 48)


@pytest.mark.parametrize(("name", "obstacle"), [("a.mp3", ""), ("a.wav", ""), ("a.flac", "")])
def test_sound_alone(tmp_path: Path, name: str, obstacle: str) -> None:
    found = probe(str(make_sound(tmp_path / name, 2, cover=name == "a.mp3")))
    assert (found.kind, found.obstacle) == ("sound", obstacle)
    assert found.duration_s == pytest.approx(2, abs=0.1)


def test_size_is_that_of_the_upright_picture_and_a_picture_is_a_still(tmp_path: Path) -> None:
    turned = make_video(tmp_path / "turned.mp4", 1, 25, (64, 48), rotation=90)
    assert (probe(str(turned)).width, probe(str(turned)).height) == (48, 64)
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 50, 3), np.uint8))
    still = probe(str(tmp_path / "a.png"))
    assert (still.kind, still.width, still.height) == ("still", 50, 30)


def test_what_is_no_media_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises((av.error.FFmpegError, ValueError)):
        probe(str(tmp_path / "a.mp4"))


NAMES = ["plain.mp4", "a b.mp4", "a#b?c%41.mp4", "ärger 犬.mp4", 'it\'s "q".mp4', "10:30:05.mp4", "a\\b.mp4", "--x.mp4"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("folder", ["", "videos/", "../up/"])
def test_a_link_leads_from_the_page_to_the_file(tmp_path: Path, folder: str, name: str) -> None:
    page = tmp_path / "pages #1" / "page.html"
    video = page.parent / folder / name
    url = link(str(video), str(page))
    assert not urlparse(url).scheme
    assert set('"<>#? ').isdisjoint(url)
    resolved = urlparse(urljoin(page.as_uri(), url))
    assert (resolved.query, resolved.fragment) == ("", "")
    assert os.path.normpath(unquote(resolved.path)) == os.path.normpath(video)


def test_a_source_is_found_from_here_or_next_to_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    results = str(tmp_path / "out" / "a.jsonl")
    assert find("videos/talk.mp4", results) is None
    (tmp_path / "out" / "talk.mp4").touch()
    assert find("videos/talk.mp4", results) == str(tmp_path / "out" / "talk.mp4")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "talk.mp4").touch()
    assert find("videos/talk.mp4", results) == "videos/talk.mp4"
    assert find("http://example.org/talk.mp4", results) is None
