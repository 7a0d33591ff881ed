"""The torch engine on a GPU: the same numbers as on the CPU, with and without CUDA graphs."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.backends.on_torch import BACKEND, TorchEngine
from engines.engine import Port
from pipeline.errors import ModelError

pytestmark = pytest.mark.gpu

INPUTS = (Port("pictures", "float32", "B 3 32 32"),)
OUTPUTS = (Port("tokens", "float32", "B 64"),)
TOLERANCE = {"fp32": 1e-4, "bf16": 3e-2, "fp16": 5e-3}
"""Largest allowed difference from the CPU in fp32, relative to the largest output."""


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 128, 8, 8)
        layer = nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.out = nn.Linear(128, 64)

    def forward(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.out(self.layers(self.patches(pictures).flatten(2).transpose(1, 2)).mean(1))
        return tokens


class ReadsOnHost(Network):
    """Reads values on the host in `forward`, which cannot be captured in a graph."""

    def forward(self, pictures: Tensor) -> Tensor:
        return super().forward(pictures) * (2.0 if float(pictures.mean()) > 1e9 else 1.0)


def noise(batch: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((batch, 3, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def reference() -> Iterator[TorchEngine]:
    engine = TorchEngine(Network, INPUTS, OUTPUTS)
    engine.open()
    yield engine
    engine.close()


def opened(network: Any = Network, precision: str = "fp32", max_batch: int = 16) -> TorchEngine:
    engine = TorchEngine(network, INPUTS, OUTPUTS, "cuda", precision=precision, max_batch=max_batch)
    engine.open()
    return engine


def near(got: Any, wanted: Any, precision: str = "fp32") -> bool:
    return bool(np.abs(got - wanted).max() <= TOLERANCE[precision] * np.abs(wanted).max())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("max_batch", [0, 16])
def test_every_batch_equals_the_cpu(reference: TorchEngine, precision: str, max_batch: int) -> None:
    engine = opened(precision=precision, max_batch=max_batch)
    assert (engine._buckets is not None) is bool(max_batch)
    for batch in (16, *range(1, 18), 33, 1):
        feeds = {"pictures": noise(batch, batch)}
        got = engine.run(feeds)["tokens"]
        assert got.dtype == np.float32
        assert near(got, reference.run(feeds)["tokens"], precision), f"batch {batch}"
    engine.close()


def test_fp32_has_no_shortened_mantissas() -> None:
    """A product whose fourth digit would be wrong with TF32."""
    engine = TorchEngine(lambda: nn.Linear(4096, 64), (Port("x", "float32", "B 4096"),), OUTPUTS, "cuda")
    torch.manual_seed(0)
    engine.open()
    x = np.random.default_rng(0).standard_normal((8, 4096)).astype(np.float32)
    exact = torch.from_numpy(x).double() @ engine._module.weight.cpu().double().T + engine._module.bias.cpu().double()
    assert np.abs(engine.run({"x": x})["tokens"] - exact.numpy()).max() < 2e-5
    engine.close()


def test_outputs_belong_to_the_caller() -> None:
    engine = opened()
    first = engine.run({"pictures": noise(3)})["tokens"]
    kept = first.copy()
    engine.run({"pictures": noise(3, 1)})
    np.testing.assert_array_equal(first, kept)
    engine.close()
    np.testing.assert_array_equal(first, kept)


def test_a_gpu_tensor_is_read_after_its_producer_has_finished(reference: TorchEngine) -> None:
    engine, pictures = opened(), noise(8)
    wanted = reference.run({"pictures": pictures})["tokens"]
    for _ in range(5):
        late = torch.zeros(8, 3, 32, 32, device="cuda")
        torch.cuda._sleep(50_000_000)  # the producer's stream is busy for about 30 ms
        late.copy_(torch.from_numpy(pictures).pin_memory(), non_blocking=True)
        assert near(engine.run({"pictures": late})["tokens"], wanted)
    engine.close()


def test_a_network_that_cannot_be_captured_still_runs(reference: TorchEngine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        engine = opened(ReadsOnHost)
    assert "cannot be captured" in caplog.text
    for batch in (3, 20):
        feeds = {"pictures": noise(batch)}
        assert near(engine.run(feeds)["tokens"], reference.run(feeds)["tokens"])
    engine.close()
    after = opened()
    assert after._buckets is not None, "the failed capture left nothing behind"
    assert near(after.run({"pictures": noise(2)})["tokens"], reference.run({"pictures": noise(2)})["tokens"])
    after.close()


def test_a_network_with_variable_lengths_is_not_captured() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = nn.Embedding(10, 64)

        def forward(self, ids: Tensor) -> Tensor:
            mean: Tensor = self.rows(ids).mean(1)
            return mean

    engine = TorchEngine(Words, (Port("ids", "int64", "B L"),), OUTPUTS, "cuda", precision="bf16", max_batch=8)
    engine.open()
    assert engine._buckets is None
    for length in (1, 7):
        assert engine.run({"ids": np.ones((2, length), np.int64)})["tokens"].shape == (2, 64)
    engine.close()


def test_two_engines_run_in_two_threads(reference: TorchEngine) -> None:
    wanted = [reference.run({"pictures": noise(5, seed)})["tokens"] for seed in range(20)]
    found: list[list[Any]] = [[], []]

    def work(index: int) -> None:
        engine = opened()
        found[index] = [engine.run({"pictures": noise(5, seed)})["tokens"] for seed in range(20)]
        engine.close()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    for each in found:
        assert len(each) == 20
        assert all(near(got, want) for got, want in zip(each, wanted, strict=True))


def test_closing_frees_the_memory() -> None:
    class Heavy(Network):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("ballast", torch.zeros(250_000_000))

    before = torch.cuda.memory_allocated()
    engine = opened(Heavy)
    assert torch.cuda.memory_allocated() > before + 1_000_000_000
    engine.run({"pictures": noise(4)})
    engine.close()
    engine.close()
    assert torch.cuda.memory_allocated() < before + 200_000_000, "all but the libraries' workspaces"
    with pytest.raises(RuntimeError, match="not open"):
        engine.run({"pictures": noise(1)})


def test_out_of_memory_is_reported_with_what_to_lower() -> None:
    free, _ = torch.cuda.mem_get_info()

    class Greedy(Network):
        def forward(self, pictures: Tensor) -> Tensor:
            torch.empty(2 * free, dtype=torch.uint8, device=pictures.device)
            return super().forward(pictures)

    engine = opened(Greedy, max_batch=0)
    with pytest.raises(ModelError, match="Lower the largest batch"):
        engine.run({"pictures": noise(1)})
    engine.close()
    with pytest.raises(ModelError, match="Lower the largest batch"):
        opened(Greedy)


def test_the_backend_finds_its_gpu() -> None:
    assert BACKEND.missing("cuda") == ""
    assert "expected cuda:0" in BACKEND.missing("cuda:99")
    assert BACKEND.precisions("cuda:0")[-1] == "fp32"
