"""The labels of cameras: each camera has its own, in versions, and a preview says what a clip would have said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.models.checkpoint import read_model
from pipeline.clip import Clip, ClipInfo
from pipeline.errors import ConfigError
from pipeline.machine import cache_directory
from pipeline.stage import Budget, Resources, RunSettings
from stages.classify_watch import ClassifyWatch, WatchOptions
from stages.words.versions import LabelVersions

MODALITIES = ("image", "audio")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> ClassifyWatch:
    run = RunSettings(
        labels=("dog", "cat", "siren"),
        modalities=MODALITIES,
        top_k=5,
        directory=str(tmp_path_factory.mktemp("run")),
        cache_directory=str(cache_directory()),
    )
    made = ClassifyWatch(WatchOptions(labels=(("dog", "cat"), ("siren",))), run, Budget())
    made.prepare(lambda text: None)
    made.open(Resources())
    return made


def vectors() -> dict[str, Any]:
    """An embedding per modality, of unit length."""
    model, random = read_model("percept-mini", ""), np.random.default_rng(7)
    found = {}
    for name in MODALITIES:
        vector = random.standard_normal(model.texts[model.towers()[name].space].dim).astype(np.float32)
        found[f"{name}_embedding"] = vector / np.linalg.norm(vector)
    return found


def answered(stage: ClassifyWatch, camera: int, version: int) -> dict[str, float]:
    info = ClipInfo("camera", camera, 0, 0, 2_000_000_000, labels_version=version)
    labels = stage.process(Clip(info, vectors()))["labels"]
    return {row["label"]: row["probability"] for row in labels}


def test_a_clip_is_asked_the_labels_of_its_camera_in_its_version(stage: ClassifyWatch) -> None:
    assert set(answered(stage, 0, 1)) == {"dog", "cat"}
    assert set(answered(stage, 1, 1)) == {"siren"}
    assert stage.ask({"labels": ["dog", "rain"], "camera": 0, "version": 2}) == {}
    assert set(answered(stage, 0, 2)) == {"dog", "rain"}
    assert answered(stage, 0, 2)["dog"] == pytest.approx(answered(stage, 0, 1)["dog"]), "others do not move it"
    assert set(answered(stage, 0, 1)) == {"dog", "cat"}, "clips that came before keep their version"


def test_words_to_find_are_part_of_a_version_and_name_tracks(stage: ClassifyWatch) -> None:
    assert stage.ask({"labels": ["dog"], "find": ["red car", "bus"], "camera": 1, "version": 2}) == {}
    assert set(answered(stage, 1, 2)) == {"dog"}
    labels = LabelVersions(Path(stage.run.directory)).get(1, 2)
    assert labels.find == ("red car", "bus")
    assert labels.box_names is not None
    assert labels.box_names.names[: labels.box_names.own] == ("bus", "car"), "the colour is measured"


def test_a_preview_says_what_the_clip_would_have_said(stage: ClassifyWatch) -> None:
    packed = {name: (vector.shape, vector.tobytes()) for name, vector in vectors().items()}
    (first, second) = stage.ask({"labels": ["dog", "cat"], "clips": [packed, {}]})["clips"]
    assert {row["label"]: row["probability"] for row in first} == pytest.approx(answered(stage, 0, 1))
    assert second == []


@pytest.mark.parametrize("labels", [[], [""], ["dog > cat", "dog > cat > dog"]])
def test_labels_that_cannot_be_used_are_refused_with_a_reason(stage: ClassifyWatch, labels: list[str]) -> None:
    with pytest.raises(ConfigError):
        stage.ask({"labels": labels, "camera": 0, "version": 9})
    assert not list(Path(stage.run.directory).glob("labels-of-0-9*"))


def test_files_of_labels_do_not_pile_up(stage: ClassifyWatch) -> None:
    for version in range(2, 9):
        stage.ask({"labels": ["siren", f"word {version}"], "camera": 1, "version": version})
    files = {path.name for path in Path(stage.run.directory).glob("labels-of-*")}
    assert {f"labels-of-1-{version}.safetensors" for version in range(5, 9)} <= files
    assert "labels-of-1-4.safetensors" not in files
    assert len([name for name in files if name.startswith("labels-of-all-")]) <= 6
