"""Commands become changes, or are refused with a sentence, before anything happens."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from live.control import Control, Refused, Words
from live.read_settings import check, read, read_shared
from live.settings import Camera, Settings
from live.write_settings import write
from pipeline.config import Config

SETTINGS = Settings(cameras=(Camera(name="door", url="rtsp://cam/1", labels=("dog",)), Camera(name="yard")))


def control(*problems: str) -> Control:
    return Control(Config(), lambda settings: list(problems))


def test_a_change_of_labels_needs_no_new_reader() -> None:
    (change,) = control().change(SETTINGS, "door", {"labels": ["dog", {"label": "cat", "threshold": 0.7}]})
    assert change.words == Words(("dog", "cat"), ())
    assert not change.needs_reader
    assert SETTINGS.cameras[0].labels == ("dog",), "the settings themselves are as they were"


def test_other_things_to_find_are_other_words_and_need_no_new_reader() -> None:
    (change,) = control().change(SETTINGS, "door", {"find": ["red car", "dog"], "lines": {"gate": [[0, 0], [1, 1]]}})
    assert change.words == Words(("dog",), ("red car", "dog"))
    assert not change.needs_reader


@pytest.mark.parametrize("part", [{"threshold": 0.7}, {"labels": ["dog"]}, {"labels": [{"label": "dog", "hold_s": 2}]}])
def test_another_threshold_needs_no_new_vectors(part: dict[str, Any]) -> None:
    (change,) = control().change(SETTINGS, "door", part)
    assert change.words is None


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
    assert added.words == Words(("car",), ())
    with pytest.raises(Refused, match="already"):
        control().add(SETTINGS, {"name": "yard"})
    removed = control().remove(added.settings, "door")
    assert [camera.name for camera in removed.settings.cameras] == ["yard", "gate"]
    assert (removed.words, removed.needs_reader) == (None, False)


SHARED = """\
labels = "@words.txt"
threshold = 0.3
user = "viewer"
password_env = "PASSWORD"
modalities = ["image"]

[[camera]]
name = "door"
url = "rtsp://cam/1"

[[rule]]
name = "waits"
when = "person for 30 s"
"""


def test_a_camera_that_is_added_has_what_the_file_has_for_all(tmp_path: Path) -> None:
    """Except for the login: it would go to whatever address is added."""
    path = tmp_path / "cameras.toml"
    path.write_text(SHARED)
    (tmp_path / "words.txt").write_text("person\ndog\n")
    settings = read(path)
    commands = Control(Config(), check, read_shared(path))
    added = commands.add(settings, {"name": "yard", "url": "rtsp://other/1"}).after
    expected = {"name": "yard", "url": "rtsp://other/1", "user": "", "password_env": ""}
    assert added == msgspec.structs.replace(settings.cameras[0], **expected)
    assert (added.threshold, added.labels, added.rules[0].name) == (0.3, ("person", "dog"), "waits")
    own = commands.add(settings, {"name": "yard", "url": "rtsp://other/1", "threshold": 0.7, "labels": ["person"]})
    assert own.after is not None
    assert (own.after.threshold, own.after.labels) == (0.7, ("person",))


def test_what_the_file_has_for_all_is_not_written_once_more(tmp_path: Path) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text(SHARED.replace('"@words.txt"', '["person"]'))
    settings = read(path)
    added = Control(Config(), check, read_shared(path)).add(settings, {"name": "yard", "url": "rtsp://other/1"})
    write(path, added.settings, settings)
    assert read(path) == added.settings
    written = path.read_text()
    assert (written.count("threshold"), written.count("labels"), written.count("modalities")) == (1, 1, 1)
