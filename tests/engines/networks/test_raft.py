"""RAFT-small compared with the published code and with known motion, and as an exported network.

`GOLDEN` and `GOLDEN_REAL` are outputs of github.com/princeton-vl/RAFT (2888e15); print them again with
python -m tests.engines.networks.test_raft PATH/TO/RAFT/core
"""

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.building.export import export
from engines.models.network import NETWORKS
from engines.networks.raft import RaftSmall, correlation_pyramid, load_raft, look_up, positions
from pipeline.arrays import Array
from pipeline.errors import ModelError

LAYOUT = "47ac81a003b9e9c319fedbaab48d24ea37efe356ed0e80d72ae76d77cb20a142"
"""sha-256 of the names and shapes in the published `raft-small.pth`."""
GOLDEN = [[-1.865, 2.532], [-6.017, 5.883], [-1.751, 2.713], [-3.815, 3.053]]
GOLDEN_REAL = {
    "raft_frame_0016.png": [
        [-1.316, 0.272], [-3.537, 0.646], [-3.593, 0.415], [-1.115, 0.251],
        [-1.44, 0.219], [-3.524, 0.8], [-3.442, 0.417], [-1.151, 0.279],
        [-1.458, 0.263], [-3.524, 0.911], [-3.273, 0.423], [-1.101, 0.339],
        [-1.822, 0.334], [-3.607, 1.014], [-4.378, 0.543], [-1.037, 0.382],
    ],
    "fastflownet_000038_10.png": [
        [-4.775, -1.513], [-3.886, -1.352], [-1.452, -1.237], [-0.851, -1.02],
        [-8.259, -0.297], [-4.661, -0.91], [-1.946, -0.585], [-0.754, -0.87],
        [-47.263, 10.424], [-68.589, 21.933], [-7.75, 4.137], [-0.476, 4.077],
        [-74.604, 28.831], [-43.141, 26.333], [-11.981, 14.933], [1.316, 18.125],
    ],
}  # fmt: skip
PAIRS = {
    "raft_frame_0016.png": "raft_frame_0017.png",
    "fastflownet_000038_10.png": "fastflownet_000038_11.png",
}


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights in the published layout, scaled so that activations neither vanish nor explode."""
    random = np.random.default_rng(seed)
    state = {}
    for name, tensor in sorted(RaftSmall().state_dict().items()):
        size = 1.0 / np.sqrt(np.prod(tensor.shape[1:])) if tensor.ndim > 1 else 0.1
        size *= 0.1 if "flow_head.conv2" in name else 1.0
        state["module." + name] = torch.from_numpy(random.standard_normal(tensor.shape) * size).float()
    return state


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures "1 3 128 136" of waves that move 3 px to the right and 2 px up."""
    y, x = np.mgrid[:128, :136].astype(np.float64)

    def at(x: Array, y: Array) -> torch.Tensor:
        waves = [np.sin(x / (5 + c) + y / 7) + np.cos(x / 13 - y / (4 + c)) for c in range(3)]
        return torch.from_numpy(np.stack(waves)[None] / 2).float()

    return at(x, y), at(x - 3, y + 2)


def sampled(flow: torch.Tensor) -> Array:
    """A few vectors of a flow "1 2 H W": "N 2"."""
    return np.asarray(flow[0, :, 20::60, 20::100].flatten(1).T.numpy())


def real(folder: Path, name: str) -> torch.Tensor:
    """A crop of a real frame at its original resolution, in [-1, 1]: "1 3 224 400"."""
    picture = cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB)[100:324, 300:700]
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1


def layout(state: dict[str, torch.Tensor]) -> str:
    lines = [f"{name} {tuple(tensor.shape)}\n" for name, tensor in sorted(state.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.fixture
def published_weights(shared_data: Path) -> Path:
    return shared_data / "weights" / "raft-small.pth"


def saved(state: dict[str, torch.Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


def test_names_and_shapes_are_the_published_ones() -> None:
    assert layout(weights()) == LAYOUT


def test_random_weights_compute_the_same_as_the_published_code(tmp_path: Path) -> None:
    flow = load_raft(saved(weights(), tmp_path / "raft-small.pth"))(*pictures())
    assert np.allclose(sampled(flow), GOLDEN, atol=2e-3)


@pytest.mark.parametrize("name", PAIRS)
def test_the_published_weights_compute_the_same_as_the_published_code(
    name: str, shared_data: Path, published_weights: Path
) -> None:
    flow = load_raft(published_weights)(*(real(shared_data / "flow", each) for each in (name, PAIRS[name])))
    assert np.allclose(sampled(flow), GOLDEN_REAL[name], atol=5e-3)


@pytest.mark.parametrize("shift_px", [(2.0, -1.0), (7.5, 4.0), (-16.0, 12.0)])
def test_the_published_weights_find_known_shifts(
    shift_px: tuple[float, float], shared_data: Path, published_weights: Path
) -> None:
    before = real(shared_data / "flow", "raft_frame_0016.png")
    matrix = torch.tensor([[[1, 0, -2 * shift_px[0] / 400], [0, 1, -2 * shift_px[1] / 224]]])
    at = F.affine_grid(matrix, list(before.shape), align_corners=False)
    after = F.grid_sample(before, at, mode="bicubic", padding_mode="reflection", align_corners=False).clamp(-1, 1)
    flow = load_raft(published_weights)(before, after)
    error = (flow - torch.tensor(shift_px).view(1, 2, 1, 1)).norm(dim=1)[:, 24:-24, 24:-24]
    assert error.mean() < 0.3


@pytest.mark.parametrize("name", PAIRS)
def test_flow_explains_most_of_the_change_between_real_frames(
    name: str, shared_data: Path, published_weights: Path
) -> None:
    before, after = (real(shared_data / "flow", each) for each in (name, PAIRS[name]))
    flow = load_raft(published_weights)(before, after)
    size = torch.tensor([400.0, 224.0]).view(2, 1, 1)
    at = (2 * (positions(before) + flow[0] + 0.5) / size - 1).permute(1, 2, 0)[None]
    back = F.grid_sample(after, at, align_corners=False)
    inside = (at.abs() < 1).all(-1)
    left, change = ((picture - before).abs().mean(1)[inside].mean() for picture in (back, after))
    assert left < 0.5 * change


def test_pairs_of_a_batch_are_independent(tmp_path: Path) -> None:
    network = load_raft(saved(weights(), tmp_path / "raft-small.pth"))
    before, after = pictures()
    alone = torch.cat([network(before, after), network(after, before)])
    assert torch.allclose(network(torch.cat([before, after]), torch.cat([after, before])), alone, atol=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (64, 128), (120, 72)])
def test_any_multiple_of_eight_is_a_valid_size(size: tuple[int, int]) -> None:
    flow = RaftSmall(iterations=2)(torch.zeros(1, 3, *size), torch.zeros(1, 3, *size))
    assert flow.shape == (1, 2, *size)
    assert flow.isfinite().all()


def test_looking_up_is_bilinear_sampling_with_zeros_outside() -> None:
    torch.manual_seed(0)
    before, after = torch.randn(2, 5, 16, 24), torch.randn(2, 5, 16, 24)
    pyramid = correlation_pyramid(before, after)
    at = positions(before) + 9 * torch.randn(2, 2, 16, 24)
    found = look_up(pyramid, at)
    assert found.shape == (2, 196, 16, 24)
    for level, right in enumerate((0, -3, 3, 1)):
        down, height, width = 2 - level, 16 >> level, 24 >> level
        x, y = at[:, 0] / 2**level + right, at[:, 1] / 2**level + down
        grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1).view(2 * 384, 1, 1, 2)
        planes = pyramid[level].reshape(2 * 384, 1, height, width)
        wanted = F.grid_sample(planes, grid, align_corners=True).view(2, 16, 24)
        assert torch.allclose(found[:, level * 49 + (right + 3) * 7 + down + 3], wanted, atol=1e-4)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_is_close(precision: torch.dtype, tmp_path: Path) -> None:
    network = load_raft(saved(weights(), tmp_path / "raft-small.pth"))
    feeds = pictures()
    wanted = network(*feeds)
    flow = network.to(precision)(*(feed.to(precision) for feed in feeds))
    assert flow.dtype == torch.float32
    assert torch.cosine_similarity(flow.flatten(), wanted.flatten(), 0) > 0.999


@pytest.mark.minutes
def test_it_exports_with_any_batch_and_any_sides(tmp_path: Path) -> None:
    network, described = RaftSmall(iterations=1).eval(), NETWORKS["raft_small"]
    network.load_state_dict({name.removeprefix("module."): tensor for name, tensor in weights().items()})
    ports = described.ports(tmp_path)
    export(network, *ports, tmp_path / "network.onnx", ranges=described.ranges)
    engine = OnnxRuntimeEngine(tmp_path / "network.onnx", *ports)
    engine.open()
    for size in ((64, 64), (64, 200), (136, 72)):
        before = torch.randn(3, 3, *size)
        feeds = {"before": before, "after": before.roll((2, 3), (2, 3))}
        flow = engine.run({name: feed.numpy() for name, feed in feeds.items()})["flow"]
        assert np.allclose(flow, network(**feeds).detach(), atol=1e-3)
    engine.close()


def test_weights_with_and_without_the_prefix_load_the_same(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(weights(), tmp_path / "a.safetensors")
    save_file({name.removeprefix("module."): tensor for name, tensor in weights().items()}, tmp_path / "b.safetensors")
    states = [load_raft(tmp_path / name).state_dict() for name in ("a.safetensors", "b.safetensors")]
    states.append(load_raft(saved(weights(), tmp_path / "c.pth")).state_dict())
    for name, tensor in states[0].items():
        assert all(torch.equal(tensor, other[name]) for other in states[1:])


def test_wrong_weights_are_named(tmp_path: Path) -> None:
    state = weights()
    state["module.update_block.mask.0.weight"] = state.pop("module.fnet.conv1.bias")
    state["module.cnet.conv2.bias"] = torch.zeros(256)
    with pytest.raises(ModelError) as error:
        load_raft(saved(state, tmp_path / "raft-things.pth"))
    for text in (
        "raft-things.pth: not the weights of RAFT-small: fnet.conv1.bias is missing",
        "update_block.mask.0.weight is unknown",
        "cnet.conv2.bias is (256,); expected (160,)",
    ):
        assert text in str(error.value)


class Runs:
    """Unpickling this runs code, which loading weights must never do."""

    def __reduce__(self) -> Any:
        return (Path("ran").touch, ())


@pytest.mark.parametrize("content", [b"", b"not weights", Runs(), [1, 2], {"conv": 3}])
def test_a_file_without_weights_is_named(content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "raft-small.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ModelError, match=r"raft-small.pth: (cannot be read|contains a)"):
        load_raft(path)
    assert not Path("ran").exists()


if __name__ == "__main__":
    import argparse
    import sys

    sys.path.insert(0, sys.argv[1])
    from raft import RAFT

    def published(state: dict[str, Any], before: torch.Tensor, after: torch.Tensor) -> list[list[float]]:
        network = RAFT(argparse.Namespace(small=True, mixed_precision=False, alternate_corr=False, dropout=0)).eval()
        network.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()})
        with torch.inference_mode():
            flow = network((before + 1) * 127.5, (after + 1) * 127.5, iters=12, test_mode=True)[1]
        return np.round(sampled(flow).astype(float), 3).tolist()

    shared = Path("../shared/data")
    print("GOLDEN =", published(weights(), *pictures()))
    file = torch.load(shared / "weights" / "raft-small.pth", map_location="cpu", weights_only=True)
    for name, after in PAIRS.items():
        print(name, published(file, *(real(shared / "flow", each) for each in (name, after))))
    print("LAYOUT =", layout(file))
