"""Changed settings go back into the file; what did not change stays as it was written."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live.read_settings import read, read_toml, settings_of
from live.settings import Camera, Rule, Settings, Watched
from live.write_settings import write
from pipeline.errors import OutputError

TEXT = """\
# my cameras
threshold = 0.6  # for all
labels = "@words.txt"

[[camera]]
# the front
name = "door"
url = "rtsp://me:secret@cam/1"   # the old one
labels = ["dog", { label = "person", threshold = 0.7 }]  # by hand
hold_s = 5

[[camera.rule]]
# at night
name = "alone"
when = "dog and not person"

[[camera]]
name = "yard"
url_env = "YARD_URL"

# all of it
[keep]
days = 3
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text("rain\nwind\n")
    file = tmp_path / "cameras.toml"
    file.write_text(TEXT)
    return file


def changed(settings: Settings, index: int, **keys: object) -> Settings:
    cameras = list(settings.cameras)
    cameras[index] = msgspec.structs.replace(cameras[index], **keys)
    return msgspec.structs.replace(settings, cameras=tuple(cameras))


def test_what_did_not_change_is_written_as_it_was(path: Path) -> None:
    settings = read(path)
    assert write(path, settings, settings) == []
    assert path.read_text() == TEXT


def test_a_changed_key_changes_its_line_alone(path: Path) -> None:
    settings = read(path)
    new = changed(settings, 0, hold_s=8.5)
    write(path, new, settings)
    assert path.read_text() == TEXT.replace("hold_s = 5", "hold_s = 8.5")
    assert read(path) == new
    assert path.with_name("cameras.toml.bak").read_text() == TEXT


def test_labels_of_one_camera_become_its_own_and_the_file_of_all_stays(path: Path) -> None:
    settings = read(path)
    new = changed(settings, 1, labels=("rain", Watched(label="hail", hold_s=9.0)))
    write(path, new, settings)
    assert read(path) == new
    assert 'labels = "@words.txt"' in path.read_text()
    assert 'labels = ["rain", {label = "hail", hold_s = 9.0}]' in path.read_text()


def test_a_key_that_is_as_for_all_cameras_again_leaves_the_camera(path: Path) -> None:
    settings = read(path)
    apart = changed(settings, 1, threshold=0.8)
    write(path, apart, settings)
    assert "threshold = 0.8" in path.read_text()
    write(path, settings, apart)
    assert "threshold = 0.8" not in path.read_text()
    assert read(path) == settings


def test_rules_are_changed_added_and_removed(path: Path) -> None:
    settings = read(path)
    rules = (Rule(name="alone", when="dog", min_s=3.0), Rule(name="both", when="dog and person"))
    new = changed(settings, 0, rules=rules)
    write(path, new, settings)
    assert read(path) == new
    assert "# at night" in path.read_text()
    write(path, changed(new, 0, rules=()), new)
    assert read(path).cameras[0].rules == ()


def test_cameras_are_added_and_removed(path: Path) -> None:
    settings = read(path)
    added = Camera(
        name="gate",
        url="rtsp://gate/1",
        labels=("car",),
        zones={"way": ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))},
        lines={"in": ((0.5, 0.0), (0.5, 1.0))},
    )
    new = msgspec.structs.replace(settings, cameras=(settings.cameras[1], added))
    write(path, new, settings)
    assert read(path) == new
    assert "threshold = 0.5" in path.read_text()  # that of the new camera, which is not that of all cameras
    assert "the front" not in path.read_text()
    assert "# all of it" in path.read_text()


def test_other_sections_are_changed(path: Path) -> None:
    settings = read(path)
    keep = msgspec.structs.replace(settings.keep, gigabytes=2.0)
    page = msgspec.structs.replace(settings.page, port=9000)
    new = msgspec.structs.replace(settings, keep=keep, page=page)
    write(path, new, settings)
    assert read(path) == new


def test_a_new_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(cameras=(Camera(name="door", url="rtsp://door/1", labels=("dog",)),))
    write(tmp_path / "new.toml", settings, Settings())
    assert read(tmp_path / "new.toml") == settings
    assert (tmp_path / "new.toml").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_was_not_in_the_file_is_not_written(path: Path) -> None:
    settings = read(path)
    added = Camera(name="gate.1", url="rtsp://me:other@gate/1?token=abcd", labels=("car",), threshold=0.6)
    new = msgspec.structs.replace(settings, cameras=(*settings.cameras, added))
    (note,) = write(path, new, settings)
    assert "PERCEPT_GATE_1_URL" in note
    assert "other" not in note
    text = path.read_text()
    assert "other" not in text
    assert "abcd" not in text
    assert "me:secret@cam" in text
    assert read(path).cameras[2].url_env == "PERCEPT_GATE_1_URL"


def test_what_others_changed_in_the_file_stays(path: Path) -> None:
    settings = read(path)
    added = '[[camera]]\nname = "shed"\nurl = "rtsp://shed/1"\n'
    path.write_text(TEXT.replace("days = 3", "days = 4").replace('"dog", {', '"dog", "cat", {') + added)
    write(path, changed(settings, 0, hold_s=8.0), settings)
    found = read(path)
    assert (found.keep.days, found.cameras[0].hold_s, found.cameras[0].labels[1]) == (4.0, 8.0, "cat")
    assert [camera.name for camera in found.cameras] == ["door", "yard", "shed"]


def test_what_the_command_line_set_is_not_written(path: Path) -> None:
    """A watch begins with settings that are not all from the file: its port, its folder, its labels."""
    page = msgspec.structs.replace(read(path).page, port=9000)
    begun = msgspec.structs.replace(changed(read(path), 1, labels=("dog",)), directory="/var/watch", page=page)
    write(path, changed(begun, 0, hold_s=8.0), begun)
    assert path.read_text() == TEXT.replace("hold_s = 5", "hold_s = 8.0")


def test_a_file_that_cannot_be_written_is_an_error_and_stays_as_it_was(path: Path) -> None:
    settings = read(path)
    path.with_name("cameras.toml.part").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(path, changed(settings, 0, hold_s=8.0), settings)
    assert path.read_text() == TEXT


LABELS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())
)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(LABELS.filter(bool), min_size=1, max_size=6, unique=True),
    threshold=st.floats(0, 1),
    zone=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=5),
)
def test_any_camera_reads_back_as_it_was_written(
    labels: list[str], threshold: float, zone: list[tuple[float, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "cameras.toml"
    camera = Camera(name="door", url="rtsp://x", labels=tuple(labels), threshold=threshold, zones={"way": tuple(zone)})
    settings = Settings(cameras=(camera,))
    write(path, settings, Settings())
    assert settings_of(read_toml(path), path) == (settings, [])
