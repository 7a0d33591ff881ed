"""The TensorRT engine: on a GPU, and without one on a stand-in that computes in host memory."""

import contextlib
import ctypes
import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engines.backends.backend import Order
from engines.building.build_child import build_in_child
from engines.devices.gpus import Gpu
from engines.engine import Port
from engines.tensorrt import api as tensorrt_api
from engines.tensorrt import on_tensorrt
from engines.tensorrt.api import Installed
from engines.tensorrt.on_tensorrt import BACKEND, PLAN, TensorRtEngine, check_ports
from pipeline.arrays import Array
from pipeline.errors import ModelError
from tests.engines.stubs.onnx_files import INPUTS, OUTPUTS, order, weights, write_onnx

H200 = Gpu("NVIDIA H200", (9, 0), 141 << 30, "13.1")
TEXT = dataclasses.replace(order(), network="mini_text", inputs=(Port("ids", "int64", "B L"),))
RAFT = dataclasses.replace(order(), network="raft_small", inputs=(Port("before", "float32", "B 3 H W"),))


def wanted(pictures: Array) -> Array:
    return np.maximum(pictures.reshape(len(pictures), -1) @ weights(), 0)


def noise(batch: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((batch, 3, 8, 8)).astype(np.float32)


def with_gpu(monkeypatch: pytest.MonkeyPatch, module: str, package: str, gpu: Gpu = H200) -> None:
    """Simulates a machine with that GPU and that package."""
    for where in (tensorrt_api, on_tensorrt):
        monkeypatch.setattr(where, "gpu_at", lambda device: gpu)
        monkeypatch.setattr(where, "chosen", lambda device: (Installed(module, package), None))


@pytest.mark.parametrize(("device", "first"), [("sm80", "bf16"), ("sm120", "bf16"), ("sm75", "fp16")])
def test_bf16_comes_first_if_the_gpu_has_it(device: str, first: str) -> None:
    assert BACKEND.precisions(device) == tuple(dict.fromkeys((first, "fp16", "fp32")))
    assert BACKEND.graph(first) == first


def test_every_free_axis_is_in_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch, "tensorrt_rtx", "tensorrt-rtx 1.7.1.116")
    assert BACKEND.facts(order(typical_batch=8, max_batch=64))["profile"] == "B (1, 8, 64)"
    assert BACKEND.facts(order(typical_batch=8, max_batch=4))["profile"] == "B (1, 4, 4)"
    assert BACKEND.facts(TEXT)["profile"] == "B (1, 8, 64); L (2, 16, 128)"
    assert BACKEND.facts(RAFT)["profile"].startswith("B (1, 8, 64); H (64, 224, ")


def test_an_rtx_plan_depends_only_on_the_kind_of_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a plan built ahead of time is found on the machine that runs it."""
    with_gpu(monkeypatch, "tensorrt_rtx", "tensorrt-rtx 1.7.1.116", dataclasses.replace(H200, capability=(8, 6)))
    assert BACKEND.facts(order(device="cuda:0")) == BACKEND.facts(order(device="sm86"))
    assert BACKEND.facts(order(device="cuda:0")) != BACKEND.facts(order(device="sm89"))


def test_a_plan_of_the_full_library_depends_on_the_gpu_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch, "tensorrt", "tensorrt-cu13 11.4.0.106")
    facts = BACKEND.facts(order(device="cuda:0"))
    assert facts["tensorrt"] == "tensorrt-cu13 11.4.0.106"
    assert (facts["gpu"], facts["capability"]) == ("NVIDIA H200", "9.0")
    assert facts["flags"] == "strongly typed, no tf32"
    assert BACKEND.facts(order("bf16", "cuda:0"))["flags"] == "strongly typed"


def test_without_an_exported_file_nothing_can_be_built(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="TensorRT needs the exported network"):
        BACKEND.build(order(), None, tmp_path, lambda line: None)


def test_rtx_gets_a_target_only_if_it_has_a_name_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    with_gpu(monkeypatch, "tensorrt_rtx", "")
    assert on_tensorrt._target(trt, "sm89") == (8, 9)
    assert on_tensorrt._target(trt, "sm90") == (9, 0)  # the build then refuses it and names it
    assert on_tensorrt._target(trt, "cuda:0") is None
    with_gpu(monkeypatch, "tensorrt_rtx", "", dataclasses.replace(H200, capability=(8, 9)))
    assert on_tensorrt._target(trt, "cuda:0") == (8, 9)


def test_the_engine_can_be_pickled_before_it_is_open(tmp_path: Path) -> None:
    engine = pickle.loads(pickle.dumps(TensorRtEngine(tmp_path / PLAN, order("bf16", "cuda:0", max_batch=4))))
    assert (engine.name, engine.device, engine.max_batch) == ("tensorrt-bf16", "cuda:0", 4)


def test_opening_without_a_gpu_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ModelError, match="the driver shows no cuda:0"):
        TensorRtEngine(tmp_path / PLAN, order(device="cuda:0")).open()


class StandIn:
    """Stand-in for TensorRT's engine and context of `write_onnx`'s network; computes on the host."""

    def __init__(self, trt: Any) -> None:
        self.modes = {"pictures": trt.TensorIOMode.INPUT, "tokens": trt.TensorIOMode.OUTPUT}
        self.dims = {"pictures": (-1, 3, 8, 8), "tokens": (-1, 5)}
        self.dtype = trt.DataType.FLOAT
        self.num_io_tensors = 2
        self.addresses: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def get_tensor_name(self, index: int) -> str:
        return list(self.modes)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self.modes[name]

    def get_tensor_dtype(self, name: str) -> Any:
        return self.dtype

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self.shapes["pictures"][0], 5) if name == "tokens" and self.shapes else self.dims[name]

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return shape[0] <= 4

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 7
        pictures = _at(self.addresses["pictures"], self.shapes["pictures"])
        _at(self.addresses["tokens"], (len(pictures), 5))[:] = wanted(pictures)
        return True


def _at(address: int, shape: tuple[int, ...]) -> Array:
    flat = (ctypes.c_float * int(np.prod(shape))).from_address(address)
    return np.frombuffer(flat, np.float32).reshape(shape)


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn(pytest.importorskip("tensorrt_rtx"))


@pytest.fixture
def on_the_host(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> TensorRtEngine:
    """An open engine that uses host memory instead of a GPU, and the stand-in as its context."""
    waits = SimpleNamespace(wait_stream=lambda other: None, synchronize=lambda: None, cuda_stream=7)
    for name in ("device", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda which: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    monkeypatch.setattr(on_tensorrt, "_to_pinned", lambda result: result.clone())
    engine = TensorRtEngine(Path(PLAN), order(device="cpu", max_batch=4))
    engine._trt = pytest.importorskip("tensorrt_rtx")
    engine._context, engine._stream, engine._is_open = stand_in, waits, True
    return engine


@pytest.mark.parametrize("batch", [1, 3, 4, 9])
def test_inputs_and_outputs_are_at_the_addresses_set_in_the_context(on_the_host: TensorRtEngine, batch: int) -> None:
    feeds = noise(batch)
    feeds.setflags(write=False)
    outputs = on_the_host.run({"pictures": feeds})
    np.testing.assert_allclose(outputs["tokens"], wanted(feeds), atol=1e-5)
    assert outputs["tokens"].flags.writeable


def test_pictures_that_are_not_contiguous_are_copied(on_the_host: TensorRtEngine) -> None:
    feeds = noise(8)[::2]
    np.testing.assert_allclose(on_the_host.run({"pictures": feeds})["tokens"], wanted(feeds), atol=1e-5)


def test_a_shape_that_is_refused_is_an_error(on_the_host: TensorRtEngine) -> None:
    on_the_host.max_batch = 0
    with pytest.raises(ModelError, match=r"pictures of shape \(5, 3, 8, 8\) is refused"):
        on_the_host.run({"pictures": noise(5)})


def test_a_failed_run_quotes_only_its_own_log(
    on_the_host: TensorRtEngine, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, error = tensorrt_api.recording_logger(on_the_host._trt), on_the_host._trt.ILogger.ERROR
    logger.log(error, "an error of an earlier run")
    monkeypatch.setattr(stand_in, "execute_async_v3", lambda stream: bool(logger.log(error, "illegal memory access")))
    with pytest.raises(ModelError, match=r"running it failed\n  illegal memory access$"):
        on_the_host.run({"pictures": noise(1)})


def test_a_plan_of_another_network_is_refused(stand_in: StandIn) -> None:
    trt: Any = pytest.importorskip("tensorrt_rtx")
    check_ports(trt, stand_in, Path(PLAN), INPUTS, OUTPUTS)
    for ports in (
        (INPUTS, (Port("tokens", "float32", "B 6"),)),
        (INPUTS, (Port("vectors", "float32", "B 5"),)),
        ((Port("pictures", "float16", "B 3 8 8"),), OUTPUTS),
        ((Port("pictures", "float32", "2 3 8 8"),), OUTPUTS),
        (OUTPUTS, INPUTS),
    ):
        with pytest.raises(ModelError, match=r"plan.bin: the plan has .*input float32 \(-1, 3, 8, 8\).*; expected "):
            check_ports(trt, stand_in, Path(PLAN), *ports)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Order, Path]:
    """A plan for the GPU of this machine, built in the same way as the product does."""
    if why := BACKEND.missing("cuda:0"):
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("plan")
    wanted_order = order("fp32", "cuda:0", max_batch=4, typical_batch=2, cache_directory=str(folder / "cache"))
    exported = write_onnx(folder / "network.onnx")
    build_in_child("tensorrt", wanted_order, exported, folder, print, 300.0)
    return wanted_order, folder


@pytest.fixture
def engine(built: tuple[Order, Path]) -> Iterator[TensorRtEngine]:
    made = TensorRtEngine(built[1] / PLAN, built[0])
    made.open()
    yield made
    made.close()


@pytest.mark.gpu
@pytest.mark.parametrize("batch", [1, 2, 4, 5, 9])
def test_it_computes_the_same_as_the_network(engine: TensorRtEngine, batch: int) -> None:
    feeds = noise(batch, seed=batch)
    np.testing.assert_allclose(engine.run({"pictures": feeds})["tokens"], wanted(feeds), atol=1e-5)


@pytest.mark.gpu
def test_feeds_on_the_gpu_may_still_be_being_written(engine: TensorRtEngine) -> None:
    feeds = torch.zeros(4, 3, 8, 8, device="cuda:0")
    slow = torch.randn(4096, 4096, device="cuda:0")
    for _ in range(50):
        slow = slow @ slow * 1e-4
    feeds.copy_(torch.from_numpy(noise(4)).to("cuda:0") + 0 * slow[0, 0].nan_to_num(0, 0, 0))
    np.testing.assert_allclose(engine.run({"pictures": feeds})["tokens"], wanted(noise(4)), atol=1e-5)


@pytest.mark.gpu
def test_two_engines_of_one_plan_do_not_disturb_each_other(engine: TensorRtEngine, built: tuple[Order, Path]) -> None:
    other = TensorRtEngine(built[1] / PLAN, built[0])
    other.open()
    for seed in range(20):
        a, b = noise(3, seed), noise(2, 100 + seed)
        np.testing.assert_allclose(engine.run({"pictures": a})["tokens"], wanted(a), atol=1e-5)
        np.testing.assert_allclose(other.run({"pictures": b})["tokens"], wanted(b), atol=1e-5)
    other.close()
    np.testing.assert_allclose(engine.run({"pictures": noise(1)})["tokens"], wanted(noise(1)), atol=1e-5)


@pytest.mark.gpu
def test_a_truncated_plan_is_refused_and_the_whole_one_still_opens(built: tuple[Order, Path], tmp_path: Path) -> None:
    plan = (built[1] / PLAN).read_bytes()
    (tmp_path / PLAN).write_bytes(plan[: len(plan) // 2])
    broken = TensorRtEngine(tmp_path / PLAN, built[0])
    with pytest.raises(ModelError, match="cannot load it"):
        broken.open()
    (tmp_path / PLAN).write_bytes(plan)
    broken.open()
    broken.close()


@pytest.mark.gpu
def test_a_plan_of_other_ports_is_refused_on_the_gpu(built: tuple[Order, Path]) -> None:
    wrong = dataclasses.replace(built[0], outputs=(Port("tokens", "float32", "B 6"),))
    with pytest.raises(ModelError, match=r"output float32 \(-1, 5\)"):
        TensorRtEngine(built[1] / PLAN, wrong).open()


@pytest.mark.gpu
def test_the_gpus_timings_are_kept(built: tuple[Order, Path]) -> None:
    if tensorrt_api.chosen("cuda:0")[0].module != "tensorrt":
        pytest.skip("TensorRT-RTX measures nothing while it builds")
    assert [path for path in (built[1] / "cache" / "timing").iterdir() if path.suffix == ""]


@pytest.mark.gpu
def test_memory_is_freed_when_engines_are_closed(built: tuple[Order, Path]) -> None:
    def open_and_close() -> None:
        one = TensorRtEngine(built[1] / PLAN, built[0])
        one.open()
        one.run({"pictures": noise(4)})
        one.close()

    open_and_close()
    before, _ = torch.cuda.mem_get_info(0)
    for _ in range(10):
        open_and_close()
    after, _ = torch.cuda.mem_get_info(0)
    assert before - after < 64 << 20
