"""What containers tell of their recording."""

from pathlib import Path

import pytest
from PIL import Image

from stages.decode.device import LONGEST, device, timecode
from tests.media import make_video
from tests.stages.decode.reading import read

APPLE = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "iPhone 15 Pro"}


@pytest.mark.parametrize("name", ["tmcd.mov", "tags.mkv", "d10.mxf"])
def test_the_timecode_of_a_container_is_read(tmp_path: Path, name: str) -> None:
    codec = "mpeg2video" if name.endswith("mxf") else "libx264"
    path = make_video(tmp_path / name, 0.4, 25, (64, 48), codec=codec, metadata={"timecode": "10:11:12:13"})
    assert read(path).info.timecode == "10:11:12:13"


def test_a_phone_tells_make_model_and_date(tmp_path: Path) -> None:
    tags = APPLE | {"com.apple.quicktime.creationdate": "2024-05-06T12:34:56+0200"}
    options = {"movflags": "use_metadata_tags"}
    path = make_video(tmp_path / "phone.mov", 0.4, size=(64, 48), metadata=tags, container_options=options)
    info = read(path).info
    assert (info.device, info.start_wall) == ("Apple iPhone 15 Pro", "2024-05-06T12:34:56.000+02:00")


def test_a_camera_tells_make_and_model_in_user_data(tmp_path: Path) -> None:
    tags = {"make": "Canon", "model": "Canon EOS R5"}
    assert read(make_video(tmp_path / "camera.mov", 0.4, size=(64, 48), metadata=tags)).info.device == "Canon EOS R5"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_photo_tells_make_model_and_date_in_its_exif(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (64, 48), (10, 200, 30))
    exif = image.getexif()
    exif[0x010F], exif[0x0110] = "ACME", "X100"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:06 12:34:56", 0x9011: "+02:00"})
    image.save(tmp_path / f"photo.{suffix}", exif=exif)
    info = read(tmp_path / f"photo.{suffix}").info
    assert (info.device, info.start_wall) == ("ACME X100", "2024-05-06T12:34:56.000+02:00")


def test_a_source_that_tells_nothing_has_nothing(tmp_path: Path) -> None:
    info = read(make_video(tmp_path / "plain.mp4", 0.4, size=(64, 48))).info
    assert (info.timecode, info.device, info.start_wall) == ("", "", "")


def test_an_action_camera_names_itself_in_its_tracks() -> None:
    assert device([{"firmware": "HD7.01"}, {"handler_name": "GoPro AVC"}]) == "GoPro"
    assert device([{}, {"handler_name": "VideoHandler"}]) == ""


def test_tags_are_text_from_outside() -> None:
    assert device([{"make": "Ev\x1b[31mil\n", "model": "x" * 500}]) == f"Ev[31mil {'x' * 500}"[:LONGEST]
    assert timecode([{"timecode": "<script>"}, {"timecode": "01:02:03;04"}]) == "01:02:03;04"
