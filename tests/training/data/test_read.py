from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from tests.training.data.trees import folders, put, ucf101, write
from training.data.example import Example
from training.data.read import read_dataset


def table(folder: Path, *lines: str) -> Path:
    put(folder, "a.mp4", "b.mp4", "c.mp4")
    return write(folder / "clips.csv", *lines)


def test_a_table_of_clips(tmp_path: Path) -> None:
    path = table(
        tmp_path, "file,label,start_s,end_s,group,split,note", "a.mp4,dog  barking,1.5,4,film 1,train,x", "b.mp4,rain"
    )
    dataset = read_dataset(path)
    assert dataset.examples == (
        Example(str(tmp_path / "a.mp4"), "dog barking", 1.5, 4.0, "film 1"),
        Example(str(tmp_path / "b.mp4"), "rain"),
    )
    assert dataset.splits == {"train": (0,)}
    assert dataset.name == "clips"


def test_a_table_without_its_columns_is_refused_with_the_columns_it_has(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"clips\.csv: has the columns a\.mp4, rain; expected file and label"):
        read_dataset(table(tmp_path, "a.mp4,rain"))


def test_all_wrong_lines_of_a_table_are_reported_at_once(tmp_path: Path) -> None:
    path = table(tmp_path, "file,label,start_s,end_s", "a.mp4,rain,soon,", "b.mp4,rain,5,2", "c.mp4,,,")
    with pytest.raises(ConfigError) as raised:
        read_dataset(path)
    for part in ("line 2: start_s is 'soon'", "line 3: end_s 2 must be after start_s 5", "line 4: file or label is"):
        assert part in str(raised.value)


def test_missing_and_repeated_files_are_reported(tmp_path: Path) -> None:
    dataset = read_dataset(table(tmp_path, "file,label", "a.mp4,rain", "a.mp4,rain", "b.mp4,rain", "gone.mp4,wind"))
    assert len(dataset.examples) == 2
    assert dataset.labels == ("rain", "wind")
    assert any("1 of 4 listed examples have no file" in note and "gone.mp4" in note for note in dataset.notes)
    assert any("1 example listed twice" in note and "a.mp4" in note for note in dataset.notes)


def test_copies_of_a_file_are_reported_and_stay_in_one_group(tmp_path: Path) -> None:
    put(tmp_path, "rain/a.wav", "rain/b.wav", "wind/d.wav")
    for name in ("rain/copy.wav", "wind/copy.wav"):
        (tmp_path / name).write_bytes((tmp_path / "rain/a.wav").read_bytes())
    dataset = read_dataset(tmp_path)
    groups = {Path(example.path).name: example.group for example in dataset.examples}
    assert groups["a.wav"] == groups["copy.wav"] != ""
    assert groups["b.wav"] == ""
    assert any("3 files are copies" in note for note in dataset.notes)
    assert any("1 file with several labels" in note for note in dataset.notes)


def test_two_time_ranges_of_one_file_may_have_different_labels(tmp_path: Path) -> None:
    dataset = read_dataset(table(tmp_path, "file,label,start_s,end_s", "a.mp4,rain,0,2", "a.mp4,wind,2,4"))
    assert len(dataset.examples) == 2
    assert len(dataset.notes) == 1


def test_no_existing_file_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "clips.csv", "file,label", "gone.mp4,rain")
    with pytest.raises(ConfigError, match=r"none of the 1 listed media files exists, such as .*gone\.mp4"):
        read_dataset(path)


@pytest.mark.parametrize(
    ("layout", "split", "message"),
    [
        ("imagenet", "", "--layout imagenet: unknown; expected auto or one of: csv, ucf101"),
        ("auto", "test7", "has no such split; expected one of: test, test1, test2, train"),
    ],
)
def test_unknown_layouts_and_splits_are_reported_with_the_known_ones(
    tmp_path: Path, layout: str, split: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_dataset(ucf101(tmp_path), layout, split)


def test_a_folder_without_media_is_refused_with_the_expected_layouts(tmp_path: Path) -> None:
    put(tmp_path, "texts/a.txt")
    with pytest.raises(ConfigError, match=r"no labelled media recognised; expected a CSV .* a folder per label"):
        read_dataset(tmp_path)
    with pytest.raises(ConfigError, match="no such file or folder"):
        read_dataset(tmp_path / "nowhere")


def test_a_layout_can_be_forced(tmp_path: Path) -> None:
    assert read_dataset(ucf101(tmp_path, lists_outside=True), "folder").labels == (
        "ApplyEyeMakeup",
        "HandstandPushups",
        "YoYo",
    )


def test_a_key_depends_on_the_file_and_the_time_range_but_not_on_the_folder(tmp_path: Path) -> None:
    first = folders(tmp_path / "one") / "rain" / "c.ogg"
    key = Example(str(first), "rain").key
    moved = tmp_path / "two"
    (tmp_path / "one").rename(moved)
    again = str(moved / "rain" / "c.ogg")
    assert Example(again, "anything").key == key
    assert Example(again, "rain", 1.0).key != key
    (moved / "rain" / "c.ogg").write_text("other")
    assert Example(again, "rain").key != key


def test_one_label_is_written_in_the_singular(tmp_path: Path) -> None:
    dataset = read_dataset(put(tmp_path, "rain/a.wav"))
    assert dataset.notes[0].endswith("1 example of 1 label")
