"""Pictures for viewers are right, whole, bounded in number, and never stop the reader."""

import io
import logging
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.arrays import Array
from stages.decode.live.stills import KEPT, Jpeg, Stills


def grey(level: int = 100) -> Array:
    return np.full((36, 64, 3), level, np.uint8)


def opened(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def smooth(height: int, width: int) -> Array:
    """Colours that change slowly, from dark to bright."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], axis=2).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(360, 640), (101, 77), (1080, 1920), (2, 2)])
def test_a_jpeg_has_the_colours_and_the_size_of_the_picture(height: int, width: int) -> None:
    picture = smooth(height, width) if height > 2 else grey()[:2, :2]
    shown = opened(Jpeg().encode(picture))
    assert shown.shape == picture.shape
    assert np.abs(shown.astype(int) - picture).mean() < 3


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)])
def test_black_white_and_pure_colours_keep_their_range(colour: tuple[int, int, int]) -> None:
    shown = opened(Jpeg().encode(np.full((32, 32, 3), colour, np.uint8)))
    assert np.abs(shown.astype(int) - colour).max() <= 3


def test_an_encoder_follows_a_camera_that_changes_its_size() -> None:
    jpeg = Jpeg()
    for height, width in [(36, 64), (64, 36), (36, 64)]:
        assert opened(jpeg.encode(smooth(height, width))).shape == (height, width, 3)


def test_the_newest_pictures_are_kept_also_over_a_restart(tmp_path: Path) -> None:
    for first in (0, 40):
        stills = Stills(tmp_path / "door")
        for index in range(first, first + 40):
            stills.clip(index, grey(index))
    names = sorted((tmp_path / "door").iterdir(), key=lambda path: int(path.stem[5:]))
    assert [path.name for path in names] == [f"clip-{index}.jpg" for index in range(80 - KEPT, 80)]
    assert abs(int(opened(names[-1].read_bytes()).mean()) - 79) <= 1


def test_a_repeated_index_replaces_its_picture(tmp_path: Path) -> None:
    stills = Stills(tmp_path)
    for level in (10, 200):
        stills.clip(5, grey(level))
    assert [path.name for path in tmp_path.iterdir()] == ["clip-5.jpg"]
    assert opened((tmp_path / "clip-5.jpg").read_bytes()).mean() > 190


def test_the_live_picture_is_written_only_while_somebody_watches(tmp_path: Path) -> None:
    stills, live, watched = Stills(tmp_path), tmp_path / "live.jpg", tmp_path / "watched"
    assert not stills.live(grey())
    watched.touch()
    assert stills.is_watched()
    assert stills.live(grey(50))
    assert abs(int(opened(live.read_bytes()).mean()) - 50) <= 1
    time.sleep(0.15)
    assert stills.live(grey(50), time.monotonic_ns() - 3_000_000_000)
    assert time.time() - live.stat().st_mtime == pytest.approx(3, abs=1), "its time is that of its capture"
    ago = time.time() - 6
    os.utime(watched, (ago, ago))
    assert not stills.is_watched()
    assert not Stills(tmp_path).live(grey())


def test_the_live_picture_comes_no_more_than_ten_times_a_second(tmp_path: Path) -> None:
    (tmp_path / "watched").touch()
    stills = Stills(tmp_path)
    until, written = time.monotonic() + 0.5, 0
    start = time.monotonic()
    while time.monotonic() < until:
        written += stills.live(grey())
    assert 1 <= written <= (time.monotonic() - start) * 10 + 2


def test_a_folder_that_cannot_be_written_is_reported_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "door"
    with caplog.at_level(logging.WARNING):
        stills = Stills(folder)
        for index in range(3):
            stills.clip(index, grey())
        assert not stills.live(grey())
    assert [record.getMessage() for record in caplog.records] == ["pictures of door cannot be written: Not a directory"]


def test_without_a_folder_nothing_is_written() -> None:
    stills = Stills("")
    stills.clip(0, grey())
    assert not stills.live(grey())
    assert not stills.is_watched()
