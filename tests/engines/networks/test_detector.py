"""The detector's head on the picture tower: shapes, sides of any multiple of 32, and what a score means."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from engines.models.checkpoint import read_model
from engines.networks.detector import COARSE, DetectorHead, detector_of, load_detector
from engines.networks.detector_facts import STRIDES_PX, TOKEN, WEIGHTS_FILE
from engines.networks.picture import load_network

DIRECTORY = Path(read_model("percept-mini").image.directory)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.randn(2, 3, 96, 160, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_every_place_of_both_strides_has_a_score_sides_and_a_unit_vector(pictures: torch.Tensor) -> None:
    told = detector_of(DIRECTORY, DetectorHead()).eval()(pictures)
    for cells, vectors, stride in zip(told[::2], told[1::2], STRIDES_PX, strict=True):
        assert cells.shape == (2, 5, 96 // stride, 160 // stride)
        assert vectors.shape == (2, TOKEN, 96 // stride, 160 // stride)
        assert ((cells[:, 0] > 0) & (cells[:, 0] < 1)).all()
        assert (cells[:, 1:] > 0).all()
        assert torch.allclose(vectors.norm(dim=1), torch.ones(()), atol=1e-5)


@torch.inference_mode()
def test_padding_that_does_not_depend_on_the_sides_is_that_of_the_tower(pictures: torch.Tensor) -> None:
    network = load_network()
    wanted = pictures
    for part in (network._conv_stem, network._bn0):
        wanted = part(wanted)
    wanted = functional.relu6(wanted)
    for block in network._blocks[:COARSE]:
        wanted = block(wanted)
    _, coarse, _ = detector_of(DIRECTORY, DetectorHead()).eval().read(pictures)
    assert torch.allclose(coarse, wanted, atol=1e-4)


def test_certainty_moves_scores_and_keeps_their_order() -> None:
    head = DetectorHead()
    logits = torch.linspace(-4, 4, 9)
    before = head.score(logits, logits)
    assert torch.allclose(before, logits.sigmoid(), atol=1e-5)
    head.certainty.copy_(torch.tensor([0.5, 1.0]))
    after = head.score(logits, logits)
    assert torch.allclose(after, torch.sigmoid(0.5 * logits + 1), atol=1e-5)
    assert (after.diff() > 0).all()


def test_objectness_does_not_shape_the_features_of_places() -> None:
    head = DetectorHead()
    fine, coarse, tokens = torch.randn(1, 112, 4, 4), torch.randn(1, 320, 2, 2), torch.randn(1, TOKEN, 2, 2)
    objectness, *_ = head(fine, coarse, tokens)[0]
    objectness.sum().backward()
    assert head.objectness.weight.grad is not None
    assert head.place[0].pointwise.weight.grad is None  # type: ignore[union-attr, index]


def test_a_model_without_a_detector_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no detector of its own"):
        load_detector(tmp_path)


def test_weights_are_read_from_the_directory_of_the_tower(tmp_path: Path, pictures: torch.Tensor) -> None:
    for file in DIRECTORY.iterdir():
        if file.is_file() and file.name != WEIGHTS_FILE:
            (tmp_path / file.name).symlink_to(file)
    head = DetectorHead()
    torch.nn.init.normal_(head.change.weight, std=0.1)
    save_file({name: weight.half() for name, weight in head.state_dict().items()}, tmp_path / WEIGHTS_FILE)
    with torch.inference_mode():
        found, made = load_detector(tmp_path)(pictures), detector_of(DIRECTORY, head).eval()(pictures)
    assert torch.allclose(found[1], made[1], atol=1e-2)
