from pathlib import Path

import numpy as np
import pytest
import torch

from engines.models.checkpoint import read_model
from engines.networks.motion import ACTIONS, PICTURES, SIDE_PX, WORDS, ConceptMotion, load_motion
from stages.pictures import flow_clips

BUNDLED = Path(__file__).parents[3] / "engines" / "bundled" / "percept-mini"


@pytest.fixture
def network() -> ConceptMotion:
    torch.manual_seed(3)
    network = ConceptMotion(dimensions=16).eval()
    network.concepts.normal_()
    return network


def clips(count: int) -> torch.Tensor:
    return torch.rand(count, PICTURES, 3, SIDE_PX, SIDE_PX) * 2 - 1


def test_tokens_are_the_scores_times_the_concepts(network: ConceptMotion) -> None:
    seen = clips(3)
    scores = 1 / (1 + np.exp(-network.logits(seen).detach().double().numpy()))
    expected = scores @ network.concepts.double().numpy()
    assert expected.shape == (3, 16)
    np.testing.assert_allclose(network(seen).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_clips_of_a_batch_are_independent(network: ConceptMotion) -> None:
    seen = clips(4)
    torch.testing.assert_close(network(seen)[2:3], network(seen[2:3]), atol=1e-5, rtol=1e-5)


def test_the_order_of_the_pictures_matters(network: ConceptMotion) -> None:
    seen = clips(1)
    assert (network.logits(seen) - network.logits(seen.flip(1))).abs().max() > 1e-4


def test_planes_contain_a_finer_scale_and_pixel_coordinates(network: ConceptMotion) -> None:
    pictures = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    pictures[:, 0], pictures[:, 1] = 0.05, -0.5
    planes = network.planes(pictures)[0]
    assert planes[0, 0, 0] == pytest.approx(0.05)
    assert planes[2, 0, 0] == pytest.approx(0.4)
    assert planes[3, 0, 0] == -1, "fast motion is clipped there"
    assert [planes[5, 0, 0], planes[5, 0, -1], planes[6, 0, -1], planes[6, -1, 0]] == [-1, 1, -1, 1]


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"motion\.safetensors: not found.*percept_mini\.train_mo"):
        load_motion(tmp_path)


def test_it_is_small(network: ConceptMotion) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_000_000
    assert network.logits(clips(1)).shape == (1, WORDS + ACTIONS)


def test_the_bundled_tower_is_small_and_complete() -> None:
    assert (BUNDLED / "motion.safetensors").stat().st_size < 2_000_000
    network = load_motion(BUNDLED)
    assert not network.training
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert network.concepts.shape == (WORDS + ACTIONS, 384)
    assert network.concepts.norm(dim=-1).tolist() == pytest.approx([1] * (WORDS + ACTIONS), abs=1e-3)


@pytest.mark.parametrize(
    ("right", "down", "word"),
    [(0.0, 0.0, "still"), (0.5, 0.0, "panning left"), (-0.5, 0.0, "panning right"), (0.0, 0.5, "panning up")],
)
def test_the_bundled_tower_recognises_uniform_flow(right: float, down: float, word: str) -> None:
    """If everything moves to the right, the camera pans left."""
    flow = np.empty((5, 112, 160, 2), np.float16)
    flow[..., 0], flow[..., 1] = right, down
    tower = read_model("percept-mini").motion
    assert tower is not None
    with torch.inference_mode():
        logits = load_motion(BUNDLED).logits(torch.from_numpy(flow_clips(flow, tower)))
    words = [line.split("|")[0] for line in (BUNDLED / "motion_words.txt").read_text().splitlines() if line[0] != "#"]
    assert len(words) == WORDS + ACTIONS
    assert words[int(logits[0, : WORDS - 2].argmax())] == word
    assert logits[0, WORDS:].max() < 0, "nobody does anything"
