"""Commands become changes, or are refused with a sentence, before anything happens."""

from typing import Any

import pytest

from live.control import Control, Refused
from live.settings import Camera, Settings
from pipeline.config import Config

SETTINGS = Settings(cameras=(Camera(name="door", url="rtsp://cam/1", labels=("dog",)), Camera(name="yard")))


def control(*problems: str) -> Control:
    return Control(Config(), lambda settings: list(problems))


def test_a_change_of_labels_needs_no_new_reader() -> None:
    (change,) = control().change(SETTINGS, "door", {"labels": ["dog", {"label": "cat", "threshold": 0.7}]})
    assert change.labels == ("dog", "cat")
    assert not change.needs_reader
    assert SETTINGS.cameras[0].labels == ("dog",), "the settings themselves are as they were"


@pytest.mark.parametrize("part", [{"threshold": 0.7}, {"labels": ["dog"]}, {"labels": [{"label": "dog", "hold_s": 2}]}])
def test_another_threshold_needs_no_new_vectors(part: dict[str, Any]) -> None:
    (change,) = control().change(SETTINGS, "door", part)
    assert change.labels is None


@pytest.mark.parametrize(
    "part",
    [{"url": "rtsp://cam/2"}, {"masks": [[[0, 0], [1, 0], [1, 1]]]}, {"fps": 4}, {"record": True}, {"reuse": False}],
)
def test_what_the_reader_must_know_opens_the_camera_again(part: dict[str, Any]) -> None:
    (change,) = control().change(SETTINGS, "door", part)
    assert change.needs_reader


def test_a_change_without_a_camera_is_one_for_all() -> None:
    changes = control().change(SETTINGS, None, {"threshold": 0.9})
    assert [camera.threshold for camera in changes[-1].settings.cameras] == [0.9, 0.9]


@pytest.mark.parametrize(
    ("name", "part", "status", "text"),
    [
        ("nowhere", {}, 404, "expected one of: door, yard"),
        ("door", {"colour": "red"}, 400, "colour"),
        ("door", {"threshold": "high"}, 400, "threshold"),
        ("door", {"name": "gate"}, 400, "remove it"),
        ("door", {"fps": 100.0}, 409, "restart"),
        ("door", {"clip_seconds": 30.0}, 409, "restart"),
        ("door", {"policy": "every"}, 409, "start"),
    ],
)
def test_a_wrong_change_is_refused(name: str, part: dict[str, Any], status: int, text: str) -> None:
    with pytest.raises(Refused, match=text) as refused:
        control().change(SETTINGS, name, part)
    assert refused.value.status == status


def test_what_the_settings_do_not_allow_is_refused() -> None:
    with pytest.raises(Refused, match="two problems; with it"):
        control("two problems", "with it").change(SETTINGS, "door", {"threshold": 0.7})
    with pytest.raises(Refused, match="no good"):
        control("no good").add(SETTINGS, {"name": "gate"})


def test_cameras_come_and_go() -> None:
    added = control().add(SETTINGS, {"name": "gate", "labels": ["car"]})
    assert [camera.name for camera in added.settings.cameras] == ["door", "yard", "gate"]
    assert added.labels == ("car",)
    with pytest.raises(Refused, match="already"):
        control().add(SETTINGS, {"name": "yard"})
    removed = control().remove(added.settings, "door")
    assert [camera.name for camera in removed.settings.cameras] == ["yard", "gate"]
    assert (removed.labels, removed.needs_reader) == (None, False)
