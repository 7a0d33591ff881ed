"""The torch backend: precisions, batches padded to a captured size, and its facts."""

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.backends.backend import Order
from engines.backends.on_torch import BACKEND, TorchEngine, forbid_tf32
from engines.devices.cuda_graphs import Buckets, bucket_sizes, has_buckets
from engines.engine import Port
from pipeline.errors import ModelError

INPUTS = (Port("pictures", "float32", "B 3 8 8"),)
OUTPUTS = (Port("tokens", "float32", "B 5"),)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(4, 5)

    def forward(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.linear(self.conv(pictures).relu().mean((2, 3)))
        return tokens


class Words(nn.Module):
    """Integer inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rows = nn.Embedding(10, 4)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        assert ids.dtype == mask.dtype == torch.int64
        rows = self.rows(ids)
        return rows.mean(1), (rows * mask[..., None]).amax(1)


class Greedy(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def noise(batch: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((batch, 3, 8, 8)).astype(np.float32)


@pytest.fixture
def as_before() -> Iterator[None]:
    """Restores torch's TF32 settings."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_is_close_to_the_reference_but_not_equal(precision: str) -> None:
    reference, lower = TorchEngine(Small, INPUTS, OUTPUTS), TorchEngine(Small, INPUTS, OUTPUTS, precision=precision)
    assert lower.name == f"torch-{precision}"
    reference.open()
    lower.open()
    wanted, got = (engine.run({"pictures": noise(4)})["tokens"] for engine in (reference, lower))
    assert got.dtype == np.float32
    assert 0 < np.abs(got - wanted).max() < 0.02
    lower.close()
    reference.close()


def test_integers_keep_their_type_in_lower_precision() -> None:
    inputs = (Port("ids", "int64", "B L"), Port("mask", "int64", "B L"))
    outputs = (Port("mean", "float32", "B 4"), Port("most", "float32", "B 4"))
    engine = TorchEngine(Words, inputs, outputs, precision="bf16")
    engine.open()
    results = engine.run({"ids": np.ones((2, 3), np.int64), "mask": np.ones((2, 3), np.int64)})
    assert {name: (result.shape, str(result.dtype)) for name, result in results.items()} == {
        "mean": ((2, 4), "float32"),
        "most": ((2, 4), "float32"),
    }


def test_batches_above_the_limit_are_run_in_parts() -> None:
    seen: list[int] = []

    class Counting(Small):
        def forward(self, pictures: Tensor) -> Tensor:
            seen.append(len(pictures))
            return super().forward(pictures)

    engine = TorchEngine(Counting, INPUTS, OUTPUTS, max_batch=4)
    engine.open()
    assert engine.run({"pictures": noise(9)})["tokens"].shape == (9, 5)
    assert seen == [4, 4, 1]


def test_sizes_waste_little_and_end_at_the_largest_batch() -> None:
    assert bucket_sizes(64) == (1, 4, 8, 12, 16, 24, 32, 48, 64)
    assert bucket_sizes(1) == (1,)
    assert bucket_sizes(10) == (1, 4, 8, 10)
    sizes = bucket_sizes(256)
    for batch in range(8, 257):
        size = next(size for size in sizes if size >= batch)
        assert (size - batch) / size < 1 / 3


@pytest.mark.parametrize(("dims", "fixed"), [("B 3 8 8", True), ("B 77", True), ("B L", False), ("3 8 8", False)])
def test_only_networks_with_fixed_shapes_are_captured(dims: str, fixed: bool) -> None:
    assert has_buckets((Port("x", "float32", dims),)) is fixed


def test_padding_changes_no_row_and_no_earlier_rows_appear() -> None:
    network = Small().eval().requires_grad_(False)
    sizes: list[int] = []

    def function(pictures: Tensor) -> tuple[Tensor, ...]:
        sizes.append(len(pictures))
        return (network(pictures),)

    with torch.inference_mode():
        buckets = Buckets(function, INPUTS, 12, "cpu")
        assert sizes == [12, 8, 4, 1]
        sizes.clear()
        for batch in (12, 5, 1, 3, 9):
            given = torch.from_numpy(noise(batch, batch))
            (got,) = buckets.run([given])
            assert got.shape == (batch, 5)
            torch.testing.assert_close(got, network(given), atol=1e-6, rtol=1e-5)
        assert sizes == [12, 8, 1, 4, 12]


@pytest.mark.parametrize(("max_batch", "part"), [(64, "up to 64"), (0, "any size")])
def test_out_of_gpu_memory_is_reported_with_what_to_lower(max_batch: int, part: str) -> None:
    engine = TorchEngine(Greedy, INPUTS, OUTPUTS, max_batch=max_batch)
    engine.open()
    with pytest.raises(ModelError, match=part) as caught:
        engine.run({"pictures": noise(1)})
    assert "Lower the largest batch" in str(caught.value)
    assert "20.00 GiB" in str(caught.value)


def test_tf32_is_disabled_everywhere(as_before: None) -> None:
    torch.backends.cudnn.allow_tf32 = True
    forbid_tf32()
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32  # raises if only some of its settings are off
    assert torch.backends.cudnn.conv.fp32_precision != "tf32"  # type: ignore[attr-defined]


def test_a_cpu_engine_does_not_change_the_gpu_settings(as_before: None) -> None:
    torch.backends.cudnn.allow_tf32 = True
    TorchEngine(Small, INPUTS, OUTPUTS).open()
    assert torch.backends.cudnn.allow_tf32


def test_a_tensor_on_the_wrong_device_is_refused() -> None:
    engine = TorchEngine(Small, INPUTS, OUTPUTS)
    engine.open()
    with pytest.raises(ValueError, match="numpy array"):
        engine.run({"pictures": torch.zeros(1, 3, 8, 8)})


# -- the backend --------------------------------------------------------------------------------------------------


def order(device: str = "cpu", **more: Any) -> Order:
    return Order("mini_text", "somewhere", INPUTS, OUTPUTS, more.pop("precision", "fp32"), device, **more)


def test_on_the_cpu_it_offers_fp32_and_bf16_on_request() -> None:
    assert BACKEND.missing("cpu") == ""
    assert BACKEND.precisions("cpu") == ("fp32",)
    assert BACKEND.other_precisions("cpu") == ("bf16",)
    assert BACKEND.graph("fp32") == ""
    assert set(BACKEND.facts(order())) == {"torch", "precision"}


def test_a_missing_gpu_is_reported() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert "no NVIDIA GPU" in BACKEND.missing("cuda:0")


@pytest.mark.parametrize(
    ("capability", "best", "other"),
    [
        ((9, 0), ("bf16", "fp16", "fp32"), ()),
        ((8, 0), ("bf16", "fp16", "fp32"), ()),
        ((7, 5), ("fp16", "fp32"), ("bf16",)),
    ],
)
def test_the_gpus_capability_decides_the_precision(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], best: tuple[str, ...], other: tuple[str, ...]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    assert BACKEND.precisions("cuda:0") == best
    assert BACKEND.other_precisions("cuda:0") == other
    facts = BACKEND.facts(order("cuda:0", precision="bf16", max_batch=16))
    assert facts["capability"] == ".".join(map(str, capability))
    assert facts["buckets"] == "1 4 8 12 16"


def test_an_engine_can_be_pickled_before_it_is_open() -> None:
    from pathlib import Path

    made = BACKEND.make(order(precision="bf16", micro_batch=4), None, Path())
    copy = pickle.loads(pickle.dumps(made))
    assert (copy.name, copy.device, copy.max_batch) == ("torch-bf16", "cpu", 4)
    on_gpu = BACKEND.make(order("cuda", micro_batch=4), None, Path())
    assert (on_gpu.device, on_gpu.max_batch) == ("cuda:0", 64)
