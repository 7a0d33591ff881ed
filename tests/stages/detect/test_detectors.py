"""Which detector an option stands for."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigError, ModelError
from pipeline.stage import RunSettings
from stages.detect.detectors import make_detector
from stages.detect.owl import OwlDetector
from stages.detect.yolox import Yolox
from tests.stages.detect.yolox_file import write_yolox
from tests.tiny_models import make_tiny_owl


def test_none_is_no_detector() -> None:
    assert make_detector("none", "", 0.1, RunSettings()) is None


def test_an_onnx_file_is_a_yolox_with_the_names_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("dog\ncat\nbus\n")
    path = write_yolox(tmp_path / "a.onnx")
    detector = make_detector(str(path), str(tmp_path / "names.txt"), 0.1, RunSettings())
    assert isinstance(detector, Yolox)
    assert (detector.path, detector.names) == (path, ("dog", "cat", "bus"))


def test_a_missing_file_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--detector .*a\.onnx: not a file; expected own, none, a network in ONNX"):
        make_detector(str(tmp_path / "a.onnx"), "", 0.1, RunSettings())
    (tmp_path / "a.pt").touch()
    with pytest.raises(
        ConfigError, match=r"--detector .*a\.pt: expected an ONNX file \(\.onnx\) with the outputs of Y"
    ):
        make_detector(str(tmp_path / "a.pt"), "", 0.1, RunSettings())


def test_a_directory_is_a_detector_that_looks_for_the_words_of_the_run(tmp_path: Path) -> None:
    directory = make_tiny_owl(tmp_path / "owl")
    detector = make_detector(str(directory), "", 0.1, RunSettings(find=("dog", "red car"), follow="found"))
    assert isinstance(detector, OwlDetector)
    assert [word.name for word in detector.words] == ["dog", "car"], "the colour is measured in its boxes"
    with pytest.raises(
        ConfigError, match=r"detect\.names: .*owl looks for the words of the run; use --find or --labels"
    ):
        make_detector(str(directory), "names.txt", 0.1, RunSettings())
    with pytest.raises(ConfigError, match="--detector: no words to look for"):
        make_detector(str(directory), "", 0.1, RunSettings(labels=("rain",)))


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json: missing; expected a model directory"):
        make_detector(str(tmp_path), "", 0.1, RunSettings())
