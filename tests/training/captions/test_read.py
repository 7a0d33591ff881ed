from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from tests.training.data.trees import put, write
from training.captions.read import Captioned, read_captions
from training.data.example import Example


def table(folder: Path, *lines: str) -> Path:
    put(folder, "a.jpg", "b.png", "film.mp4")
    return write(folder / "photos.csv", *lines)


def test_lines_of_one_file_are_captions_of_one_item(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "file,caption",
        "a.jpg,A  dog.",
        "b.png,Two cats",
        "a.jpg,An animal runs",
        "a.jpg,Two cats",
        "a.jpg,A dog.",
    )
    found = read_captions(path)
    files = [str(tmp_path / name) for name in ("a.jpg", "b.png")]
    assert found.items == (
        Captioned(Example(files[0], "", group=files[0]), ("A dog.", "An animal runs", "Two cats")),
        Captioned(Example(files[1], "", group=files[1]), ("Two cats",)),
    )
    assert found.notes == (f"{path}: 2 items with 4 captions",)


def test_time_ranges_of_a_film_are_items_of_one_group(tmp_path: Path) -> None:
    path = table(tmp_path, "file,caption,start_s,end_s", "film.mp4,A dog,0,2", "film.mp4,A cat,2,4.5", "a.jpg,A cow,,")
    dog, cat, cow = (item.example for item in read_captions(path).items)
    assert [(each.start_s, each.end_s) for each in (dog, cat, cow)] == [(0.0, 2.0), (2.0, 4.5), (0.0, None)]
    assert dog.group == cat.group != cow.group


def test_a_group_of_the_list_counts_and_copies_of_a_file_are_one(tmp_path: Path) -> None:
    path = table(
        tmp_path, "file,caption,group", "a.jpg,A dog,walk", "b.png,A dog,walk", "film.mp4,A cat,", "copy.mp4,A cat,"
    )
    (tmp_path / "copy.mp4").write_text("film.mp4")
    groups = [item.example.group for item in read_captions(path).items]
    assert groups[:2] == ["walk", "walk"]
    assert groups[2] == groups[3] != "walk"


def test_what_cannot_be_used_costs_only_itself(tmp_path: Path) -> None:
    path = table(tmp_path, "file,caption", "a.jpg,A dog", "gone.jpg,A cat", "b.png,  ", ",A cow", "film.mp4,A pig")
    found = read_captions(path)
    assert [Path(item.example.path).name for item in found.items] == ["a.jpg", "film.mp4"]
    assert "2 lines without a file or a caption: skipped (4, 5)" in found.notes
    assert any("1 of 3 listed examples have no file" in note and "gone.jpg" in note for note in found.notes)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,text", "a.jpg,A dog"], "has the columns file, text; expected file and caption, and optionally start_s"),
        (["file,label", "a.jpg,dog"], r"expected file and caption.*To learn from labels, leave out --captions"),
        (["file,caption", "a.jpg,"], "no line has a file and a caption"),
        (["file,caption", "gone.jpg,A dog"], "none of the 1 listed media files exists"),
        (["file,caption,start_s", "a.jpg,A dog,soon", "b.png,A cat,-1"], "line 2: start_s is 'soon'.*line 3: start_s"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read_captions(table(tmp_path, *lines))


def test_a_folder_is_no_list_of_captions(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--captions needs a \.csv or \.tsv with the columns file, caption"):
        read_captions(tmp_path)
