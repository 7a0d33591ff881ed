"""Vision transformers on pictures of another shape: which position embeddings are kept, and how others are resized."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from engines.models.checkpoint import read_model
from engines.models.network import network
from engines.models.tower import open_tower
from engines.networks.position_embedding import resized_positions
from pipeline.errors import ModelError
from pipeline.stage import RunSettings
from tests.tiny_models import make_tiny_clip, make_tiny_siglip


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("models") / "tiny-clip")


def cubic(x: Any) -> Any:
    """Keys' kernel with a = -0.5, as PIL and torch use it with antialiasing."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def resampling(before: int, after: int) -> Any:
    """Weights "after before" of one axis, by hand: the kernel is widened if the axis becomes shorter."""
    scale = before / after
    middles = (np.arange(after) + 0.5) * scale
    weights = cubic((np.arange(before) + 0.5 - middles[:, None]) / max(scale, 1))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("grid", [(2, 9), (4, 3), (7, 7), (3, 3)])
@pytest.mark.parametrize("apart", [0, 1])
def test_positions_are_interpolated_as_computed_by_hand(grid: tuple[int, int], apart: int) -> None:
    positions = np.random.default_rng(0).standard_normal((apart + 16, 5)).astype(np.float32)
    got = resized_positions(torch.from_numpy(positions), grid, apart).numpy()
    rows, columns = resampling(4, grid[0]), resampling(4, grid[1])
    wanted = np.einsum("hy,wx,yxd->hwd", rows, columns, positions[apart:].reshape(4, 4, 5)).reshape(-1, 5)
    np.testing.assert_array_equal(got[:apart], positions[:apart])
    np.testing.assert_allclose(got[apart:], wanted, atol=1e-5)


def test_the_same_grid_is_the_identity() -> None:
    positions = torch.randn(17, 5)
    assert resized_positions(positions, (4, 4), 1) is positions


@pytest.mark.parametrize("make", [make_tiny_clip, make_tiny_siglip])
def test_a_tower_at_its_own_size_computes_the_same(make: Any, tmp_path: Path) -> None:
    directory = make(tmp_path / "model")
    key = network(f"{make.__name__.rpartition('_')[2]}_vision")
    sized = network(f"{make.__name__.rpartition('_')[2]}_vision@32x32")
    pictures = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(sized.load(directory)(pictures), key.load(directory)(pictures))


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_a_tower_reads_a_wide_picture(tiny_clip: Path, engine: str, cache_without_engines: Path) -> None:
    spec = read_model(str(tiny_clip))
    assert spec.image is not None
    wide = msgspec.structs.replace(spec, image=msgspec.structs.replace(spec.image, network="clip_vision@16x75"))
    run = RunSettings(engine=engine, cache_directory=str(cache_without_engines))
    pictures = np.random.default_rng(0).standard_normal((2, 3, 16, 75)).astype(np.float32)
    got = open_tower(wide, "image", run, build=True).run({"pictures": pictures})["tokens"]
    np.testing.assert_allclose(got, by_hand(tiny_clip, torch.from_numpy(pictures), (2, 9)).numpy(), atol=1e-4)


def by_hand(directory: Path, pictures: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Patch embedding by hand, positions interpolated by `resampling`, the rest with transformers' own layers."""
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(directory).eval()
    vision, patch = model.vision_model, 8
    embeddings = vision.embeddings
    positions = embeddings.position_embedding.weight.detach()
    square = positions[1:].reshape(4, 4, -1).numpy()
    placed = np.einsum("hy,wx,yxd->hwd", resampling(4, grid[0]), resampling(4, grid[1]), square)
    with torch.inference_mode():
        kernel = embeddings.patch_embedding.weight.flatten(1)
        tokens = [
            pictures[:, :, y * patch : (y + 1) * patch, x * patch : (x + 1) * patch].flatten(1) @ kernel.T
            + torch.from_numpy(placed[y, x]).float()
            for y in range(grid[0])
            for x in range(grid[1])
        ]
        first = (embeddings.class_embedding + positions[0]).expand(len(pictures), -1)
        states = vision.pre_layrnorm(torch.stack([first, *tokens], 1))
        last = vision.encoder(inputs_embeds=states).last_hidden_state
        projected: torch.Tensor = model.visual_projection(vision.post_layernorm(last[:, 0]))
        return projected


def test_engines_of_different_sizes_have_different_keys(tiny_clip: Path) -> None:
    facts = [network(key).fingerprint(tiny_clip) for key in ("clip_vision", "clip_vision@16x72", "clip_vision@72x16")]
    assert len({tuple(sorted(fact.items())) for fact in facts}) == 3


@pytest.mark.parametrize("key", ["clip_text@16x72", "clip_vision@wide", "align_vision@16x72"])
def test_an_invalid_size_is_refused(key: str) -> None:
    with pytest.raises(ModelError, match=r"expected @HEIGHTxWIDTH after one of clip_vision, metaclip_2_vision"):
        network(key)
