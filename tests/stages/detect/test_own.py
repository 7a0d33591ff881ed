"""A model's own detector, with a random head: pictures of any shape, boxes in pixels of the frame, unit vectors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engines.models.checkpoint import read_model
from engines.models.detector import detector_tower
from engines.networks.detector import DetectorHead
from engines.networks.detector_facts import WEIGHTS_FILE
from pipeline.stage import Resources, RunSettings
from stages.detect.own import LONG_SIDE_PX, OwnDetector, pictures_of, shifted


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """percept-mini with a head that nobody trained."""
    folder = tmp_path_factory.mktemp("model")
    for file in Path(read_model("percept-mini").directory).iterdir():
        if file.is_file() and file.name != WEIGHTS_FILE:
            (folder / file.name).symlink_to(file)
    torch.manual_seed(3)
    head = DetectorHead()
    torch.nn.init.constant_(head.objectness.bias, 2.0)
    save_file(dict(head.state_dict()), folder / WEIGHTS_FILE)
    return folder


def test_a_detector_belongs_to_the_picture_tower_of_its_model(model: Path, tmp_path: Path) -> None:
    tower = detector_tower(read_model(str(model)))
    assert tower is not None
    assert (tower.network, tower.directory) == ("concept_detector", str(model))
    for file in model.iterdir():
        if file.name != WEIGHTS_FILE:
            (tmp_path / file.name).symlink_to(file.resolve())
    assert detector_tower(read_model(str(tmp_path))) is None


@pytest.mark.parametrize(
    ("size", "shape"), [((360, 640), (192, 320)), ((640, 360), (320, 192)), ((40, 60), (224, 320))]
)
def test_frames_are_as_large_as_fits_with_grey_around(size: tuple[int, int], shape: tuple[int, int]) -> None:
    pictures, scale = pictures_of([np.full((*size, 3), 255, np.uint8)] * 2)
    assert pictures.shape == (2, 3, *shape)
    assert scale == LONG_SIDE_PX / max(size)
    assert pictures.max() == pytest.approx(1.0)
    assert (pictures[0, 0, -1] == 0).all() == (round(size[0] * scale) < shape[0])


def test_boxes_are_in_pixels_of_the_frame_and_each_has_a_unit_vector(model: Path, tmp_path: Path) -> None:
    """With PyTorch: the network is exported and passes its gate when the bundled detector's engine is built."""
    run = RunSettings(model=str(model), engine="torch", precision="fp32", cache_directory=str(tmp_path))
    detector = OwnDetector(str(model), 0.05, run)
    detector.prepare(lambda line: None)
    detector.open(Resources())
    frames = [np.random.default_rng(seed).integers(0, 255, (180, 320, 3), np.uint8) for seed in range(3)]
    found = detector.detect(frames)
    assert len(found) == 3
    for each in found:
        assert each.vectors is not None
        assert len(each.boxes) == len(each.scores) == len(each.vectors) > 0
        assert (np.diff(each.scores) <= 0).all()
        assert np.allclose(np.linalg.norm(each.vectors, axis=1), 1, atol=1e-3)
    large = [np.repeat(np.repeat(frame, 2, axis=0), 2, axis=1) for frame in frames]
    for small_one, large_one in zip(found, detector.detect(large), strict=True):
        count = min(len(small_one.boxes), len(large_one.boxes), 3)
        assert np.allclose(2 * small_one.boxes[:count], large_one.boxes[:count], atol=4)
    assert detector.name == f"own-torch-fp32@{LONG_SIDE_PX}"


def test_scores_are_raised_for_tracks_and_stay_probabilities_in_order() -> None:
    scores = np.linspace(0.01, 0.99, 9, dtype=np.float32)
    raised = shifted(scores)
    assert ((raised > scores) & (raised < 1)).all()
    assert (np.diff(raised) > 0).all()
    assert shifted(np.float32(0.5)) == pytest.approx(0.711, abs=1e-3)
