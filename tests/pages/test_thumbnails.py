"""Thumbnails show the right moment, upright, and fit a budget."""

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from pages.thumbnails import LONG_SIDE_PX, poster, thumbnails, within_budget
from tests.media import make_video, read_time_ms


def decoded(uri: str) -> np.ndarray:
    assert uri.startswith("data:image/jpeg;base64,")
    data = np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("gop", [0, 250])
def test_a_thumbnail_is_of_its_time(tmp_path: Path, gop: int) -> None:
    path = make_video(tmp_path / "a.mp4", 8, 25, (320, 240), gop=gop)
    times_s = [1.0, 3.02, 7.0, 100.0]
    found = [decoded(uri) for uri in thumbnails(str(path), times_s, (320, 240))]
    assert [picture.shape for picture in found] == [(192, LONG_SIDE_PX, 3)] * 4
    assert [read_time_ms(picture) for picture in found] == pytest.approx([1000, 3000, 7000, 7960], abs=1)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_has_upright_thumbnails(tmp_path: Path, rotation: int) -> None:
    """A red stripe that is stored on the left is where a player shows it."""

    def stripe(time_s: float, width: int, height: int) -> np.ndarray:
        picture = np.full((height, width, 3), 40, np.uint8)
        picture[:, : width // 4] = (230, 20, 20)
        return picture

    path = make_video(tmp_path / "a.mp4", 1, 25, (128, 96), rotation=rotation, picture=stripe)
    size = (96, 128) if rotation % 180 else (128, 96)
    (uri,) = thumbnails(str(path), [0.5], size)
    picture = decoded(uri)
    assert picture.shape[1::-1] == size
    expected = np.rot90(stripe(0, 128, 96), rotation // 90)
    assert np.abs(picture.astype(int) - expected).mean() < 12


def test_without_pictures_there_are_no_thumbnails(tmp_path: Path) -> None:
    from tests.media import make_sound

    assert list(thumbnails(str(make_sound(tmp_path / "a.mp3", 1)), [0.5, 1.0], (1, 1))) == ["", ""]


def test_a_poster_is_large_unless_there_are_many(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((1000, 2000, 3), np.uint8))
    assert decoded(poster(str(tmp_path / "a.png"), (2000, 1000))).shape == (480, 960, 3)
    assert decoded(poster(str(tmp_path / "a.png"), (2000, 1000), 20_000)).shape == (128, 256, 3)


def test_pictures_are_left_out_until_the_rest_fits() -> None:
    uris = [f"{number:02}" + "x" * 98 for number in range(16)]
    assert within_budget(uris, 1600) == uris
    assert [place for place, uri in enumerate(within_budget(uris, 450)) if uri] == [0, 4, 8, 12]
