"""Published data sets, in miniature."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from tests.training.data import trees
from training.data.example import Dataset
from training.data.read import PUBLISHED, read_dataset


def named(dataset: Dataset, split: str = "") -> set[tuple[str, str]]:
    """File name and label of every example."""
    chosen = dataset.take(split) if split else dataset
    return {(Path(example.path).name, example.label) for example in chosen.examples}


@pytest.mark.parametrize("lists_outside", [False, True], ids=["lists inside", "lists next to the videos"])
def test_ucf101(tmp_path: Path, lists_outside: bool) -> None:
    dataset = read_dataset(trees.ucf101(tmp_path / "data", lists_outside))
    assert dataset.layout == "ucf101"
    assert dataset.labels == ("apply eye makeup", "handstand pushups", "yo yo")
    assert named(dataset, "test") == {
        ("v_ApplyEyeMakeup_g01_c01.avi", "apply eye makeup"),
        ("v_HandStandPushups_g01_c01.avi", "handstand pushups"),
        ("v_YoYo_g01_c01.avi", "yo yo"),
    }
    assert dataset.splits["test"] == dataset.splits["test1"]
    assert named(dataset, "test2") == {
        ("v_ApplyEyeMakeup_g08_c01.avi", "apply eye makeup"),
        ("v_YoYo_g09_c03.avi", "yo yo"),
    }
    groups = {Path(example.path).name: example.group for example in dataset.examples}
    assert groups["v_ApplyEyeMakeup_g08_c01.avi"] == groups["v_ApplyEyeMakeup_g08_c02.avi"] == "v_applyeyemakeup_g08"
    assert any("1 of 8 listed examples have no file" in note and "v_YoYo_g01_c02.avi" in note for note in dataset.notes)


def test_ucf101_without_its_lists(tmp_path: Path) -> None:
    shutil.rmtree(trees.ucf101(tmp_path) / "ucfTrainTestlist")
    dataset = read_dataset(tmp_path, split=PUBLISHED)
    assert (dataset.layout, dataset.split, len(dataset.examples)) == ("ucf101", "", 7)
    assert dataset.labels == ("apply eye makeup", "handstand pushups", "yo yo")
    assert any("there are no splits" in note for note in dataset.notes)


def test_lists_of_something_else_are_reported(tmp_path: Path) -> None:
    (trees.kinetics(tmp_path) / "annotations" / "val.csv").write_text(
        "label,youtube_id,time_start,time_end\nabseiling,0wR5jVB-WPk,soon,later\n"
    )
    with pytest.raises(ConfigError, match=r"its lists are not those of kinetics: .*'soon'"):
        read_dataset(tmp_path)


def test_hmdb51(tmp_path: Path) -> None:
    dataset = read_dataset(trees.hmdb51(tmp_path))
    assert (dataset.layout, dataset.labels, dataset.evaluated) == ("hmdb51", ("brush hair", "wave"), "test")
    assert len(dataset.examples) == 4
    assert named(dataset, "train") == {("April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "brush hair")}
    assert named(dataset, "test2") == {("April_09_brush_hair_u_nm_np1_ba_goo_1.avi", "brush hair")}
    assert {example.group for example in dataset.examples} == {
        "April_09",
        "Haarek_mmen",
        "20060723sfjffbartsinger",
    }


def test_kinetics_by_its_lists(tmp_path: Path) -> None:
    dataset = read_dataset(trees.kinetics(tmp_path))
    assert (dataset.layout, dataset.evaluated) == ("kinetics", "val")
    assert named(dataset, "val") == {("0wR5jVB-WPk_000417_000427.mp4", "abseiling")}
    assert named(dataset, "train") == {("-3B32lodo2M_000059_000069.mp4", "abseiling")}
    assert "massaging person's head" in dataset.labels, "a label, although its only file is missing"
    assert any("test.csv has no labels" in note for note in dataset.notes)
    assert any("1 of 3 listed examples have no file" in note for note in dataset.notes)
    assert {example.group for example in dataset.examples} == {"0wR5jVB-WPk", "-3B32lodo2M"}


def test_kinetics_by_its_folders(tmp_path: Path) -> None:
    dataset = read_dataset(trees.kinetics_folders(tmp_path), split=PUBLISHED)
    assert (dataset.layout, dataset.split) == ("kinetics", "val")
    assert named(dataset) == {
        ("0wR5jVB-WPk_000417_000427.mp4", "playing guitar"),
        ("aaaaaaaaaaa_000001_000011.mp4", "abseiling"),
    }


def test_vggsound(tmp_path: Path) -> None:
    dataset = read_dataset(trees.vggsound(tmp_path))
    assert dataset.layout == "vggsound"
    assert named(dataset, "test") == {("---g-f_I2yQ_000001.mp4", "people marching")}
    assert named(dataset, "train") == {
        ("--0PQM4-hqg_30.mp4", "waterfall burbling"),
        ("--56QUhyDQM_185000_195000.mp4", "playing tennis"),
    }
    assert "race car, auto racing" in dataset.labels


def test_esc50(tmp_path: Path) -> None:
    dataset = read_dataset(trees.esc50(tmp_path))
    assert (dataset.layout, dataset.labels) == ("esc50", ("dog", "chirping birds"))
    assert named(dataset, "fold1") == {("1-100032-A-0.wav", "dog"), ("1-100038-A-14.wav", "chirping birds")}
    assert [example.group for example in dataset.examples] == ["100032", "100038", "114280", "9032"]
    assert read_dataset(tmp_path, split="esc10").labels == ("dog",), "a split has only its own labels"


def test_ave(tmp_path: Path) -> None:
    dataset = read_dataset(trees.ave(tmp_path))
    assert dataset.layout == "ave"
    assert named(dataset, "test") == {("3hOUxVAvqJ4.mp4", "Bark")}
    assert named(dataset, "val") == {("2LtAfCPQKQM.mp4", "Male speech, man speaking")}
    assert len(dataset.examples) == 3


def test_a_folder_per_label(tmp_path: Path) -> None:
    dataset = read_dataset(trees.folders(tmp_path))
    assert (dataset.layout, dataset.labels) == ("folder", ("dog barking", "rain"))
    assert named(dataset) == {("a.mp4", "dog barking"), ("b.wav", "dog barking"), ("c.ogg", "rain")}


def test_folders_of_splits(tmp_path: Path) -> None:
    trees.put(tmp_path, "train/rain/a.wav", "validation/rain/b.wav", "test/wind/c.wav")
    dataset = read_dataset(tmp_path)
    assert set(dataset.splits) == {"train", "val", "test"}
    assert named(dataset, "test") == {("c.wav", "wind")}
    assert dataset.evaluated == "test"


def test_folders_without_media_do_not_prevent_the_detection_of_splits(tmp_path: Path) -> None:
    trees.put(tmp_path, "train/dog/a.wav", "train/cat/b.wav", "test/dog/c.wav", "test/cat/d.wav", "annotations/all.csv")
    dataset = read_dataset(tmp_path)
    assert (dataset.labels, set(dataset.splits)) == (("cat", "dog"), {"train", "test"})
    trees.put(tmp_path, "bird/e.wav")
    with pytest.raises(ConfigError, match=r"test/ contains folders of labels, but bird/ next to it is a folder of a"):
        read_dataset(tmp_path)


def test_a_label_may_have_the_name_of_a_split(tmp_path: Path) -> None:
    trees.put(tmp_path, "train/a.wav", "rain/b.wav")
    (tmp_path / "val").mkdir()
    assert read_dataset(tmp_path).labels == ("rain", "train")


def test_a_label_without_clips_is_kept_and_reported(tmp_path: Path) -> None:
    trees.put(tmp_path, "rain/a.wav", "wind/b.wav")
    (tmp_path / "light_hail").mkdir()
    dataset = read_dataset(tmp_path)
    assert dataset.labels == ("light hail", "rain", "wind")
    assert dataset.notes[0].endswith("2 examples of 3 labels")
    assert "no clips in light_hail/: kept as labels without examples" in dataset.notes


def test_a_label_without_clips_belongs_to_its_split(tmp_path: Path) -> None:
    trees.put(tmp_path, "train/rain/a.wav", "train/wind/b.wav", "test/rain/c.wav")
    (tmp_path / "test" / "wind").mkdir()
    (tmp_path / "train" / "hail").mkdir()
    assert read_dataset(tmp_path, split="test").labels == ("rain", "wind")
    assert read_dataset(tmp_path).labels == ("hail", "rain", "wind")


def test_files_with_names_of_esc50_have_its_folds(tmp_path: Path) -> None:
    trees.put(tmp_path, "rain/1-17367-A.ogg", "rain/2-101676-A.ogg", "dog_bark/3-100032-A.ogg")
    dataset = read_dataset(tmp_path)
    assert named(dataset, "fold3") == {("3-100032-A.ogg", "dog bark")}
    assert {example.group for example in dataset.examples} == {"17367", "101676", "100032"}


@pytest.mark.parametrize(
    ("make", "name"),
    [(trees.ucf101, "ucf101"), (trees.esc50, "esc50"), (trees.ave, "ave"), (trees.vggsound, "vggsound")],
)
def test_the_detected_layout_is_reported(tmp_path: Path, make: Callable[[Path], Path], name: str) -> None:
    assert f"layout {name}" in read_dataset(make(tmp_path)).notes[0]
