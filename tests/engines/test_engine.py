"""The contract of every engine backend, on one small network that is built and gated like a real one."""

import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from engines.backends.backend import Order
from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.backends.on_torch import TorchEngine
from engines.backends.table import backend
from engines.building.building import engine_facts, ensure, ensure_export
from engines.cache.cache import Cache, key_of
from engines.engine import Engine, Port
from pipeline.errors import ModelError
from tests.engines.small import INPUTS, MAX_BATCH, OUTPUTS, Small, small_order

Make = Callable[[], Engine]

KINDS = [
    *(("torch", precision, "cpu") for precision in ("fp32", "bf16")),
    ("onnxruntime", "fp32", "cpu"),
    *(("openvino", precision, "cpu") for precision in ("fp32", "bf16")),
    *(("torch", precision, "cuda:0") for precision in ("fp32", "bf16", "fp16")),
    *(("tensorrt", precision, "cuda:0") for precision in ("fp32", "bf16", "fp16")),
]
TOLERANCE = {"fp32": 1e-5, "fp16": 1e-2, "bf16": 5e-2}


def _params() -> list[Any]:
    marks = {"cpu": (), "cuda:0": (pytest.mark.gpu,)}
    return [pytest.param(kind, id="-".join(kind), marks=marks[kind[2]]) for kind in KINDS]


@pytest.fixture(scope="module", params=_params())
def order(request: pytest.FixtureRequest, small: Path, cache_directory: Path) -> Order:
    """The order to open; skips if this machine cannot run it."""
    name, precision, device = request.param
    chosen = backend(name)
    if why := chosen.missing(device):
        pytest.skip(why)
    if precision not in (*chosen.precisions(device), *chosen.other_precisions(device)):
        pytest.skip(f"{name} has no {precision} on this machine")
    wanted = small_order(small, cache_directory, precision, device)
    assert ensure(wanted, chosen, lambda text: None).gate.passed
    return wanted


@pytest.fixture
def make(order: Order, request: pytest.FixtureRequest) -> Make:
    name = request.node.callspec.params["order"][0]
    chosen = backend(name)
    built = Cache(order.cache_directory, "engines").find(key_of(engine_facts(order, chosen)))
    assert built is not None
    exported = ensure_export(order, chosen.graph(order.precision), lambda text: None)
    return lambda: chosen.make(order, exported, built)


@pytest.fixture
def engine(make: Make) -> Iterator[Engine]:
    made = make()
    made.open()
    yield made
    made.close()


def noise(batch: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((batch, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("batch", range(1, 2 * MAX_BATCH + 2))
def test_any_batch_equals_the_network(engine: Engine, batch: int) -> None:
    feeds = {"pictures": noise(batch)}
    outputs = engine.run(feeds)
    assert list(outputs) == ["tokens"]
    assert (outputs["tokens"].shape, outputs["tokens"].dtype) == ((batch, 5), np.float32)
    with torch.inference_mode():
        wanted = Small()(torch.from_numpy(feeds["pictures"])).numpy()
    np.testing.assert_allclose(outputs["tokens"], wanted, atol=TOLERANCE[engine.precision])


def test_no_batch_is_larger_than_it_was_built_for(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    inner = engine._run
    monkeypatch.setattr(engine, "_run", lambda feeds: batches.append(len(feeds["pictures"])) or inner(feeds))
    engine.run({"pictures": noise(2 * MAX_BATCH + 1)})
    assert batches == [MAX_BATCH, MAX_BATCH, 1]


def test_its_name_is_backend_and_precision(engine: Engine, order: Order) -> None:
    assert engine.name == f"{engine.backend}-{order.precision}"
    assert engine.device == order.device


@pytest.mark.parametrize(
    ("feeds", "part"),
    [
        ({}, r"expects inputs \['pictures'\], got \[\]"),
        ({"pictures": noise(1), "sound": noise(1)}, "sound"),
        ({"pictures": noise(1).astype(np.float64)}, "pictures must be float32"),
        ({"pictures": noise(1)[:, :, :7]}, r"pictures must be float32 \(B, 3, 8, 8\), got float32 \(1, 3, 7, 8\)"),
        ({"pictures": noise(1)[0]}, "pictures"),
        ({"pictures": noise(0)}, "pictures is empty"),
        ({"pictures": torch.zeros(1, 3, 8, 8)}, "pictures must be a numpy array"),
    ],
)
def test_a_wrong_input_is_named(engine: Engine, feeds: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        engine.run(feeds)
    assert engine.run({"pictures": noise(1)})["tokens"].shape == (1, 5)


def test_outputs_belong_to_the_caller(engine: Engine) -> None:
    first = engine.run({"pictures": noise(2)})["tokens"]
    kept = first.copy()
    engine.run({"pictures": noise(2, seed=1)})
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    np.testing.assert_array_equal(engine.run({"pictures": noise(2)})["tokens"], kept)
    engine.close()
    assert first.sum() == 0


def test_inputs_may_be_read_only_or_strided_and_are_not_changed(engine: Engine) -> None:
    pictures = noise(4)
    wanted = engine.run({"pictures": pictures})["tokens"][::2]
    before = pictures.copy()
    pictures.flags.writeable = False
    tolerance = TOLERANCE[engine.precision] / 10
    np.testing.assert_allclose(engine.run({"pictures": pictures[::2]})["tokens"], wanted, atol=tolerance)
    np.testing.assert_array_equal(pictures, before)


def test_closing_twice_is_allowed_and_running_afterwards_is_not(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="not open"):
        engine.run({"pictures": noise(1)})
    engine.open()
    engine.open()
    assert engine.run({"pictures": noise(1)})["tokens"].shape == (1, 5)


def test_two_engines_run_in_two_threads(make: Make) -> None:
    engines = [make(), make()]
    found: list[Any] = [None, None]

    def work(index: int) -> None:
        engines[index].open()
        found[index] = [engines[index].run({"pictures": noise(3, seed)})["tokens"] for seed in range(20)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    engines[0].close()
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    with torch.inference_mode():
        wanted = Small()(torch.from_numpy(noise(3, 19))).numpy()
    np.testing.assert_allclose(found[0][19], wanted, atol=TOLERANCE[engines[0].precision])
    np.testing.assert_allclose(engines[1].run({"pictures": noise(3, 0)})["tokens"], found[1][0], atol=1e-6)
    engines[1].close()


def test_it_can_be_pickled_before_it_is_open(make: Make) -> None:
    copy = pickle.loads(pickle.dumps(make()))
    copy.open()
    assert copy.run({"pictures": noise(1)})["tokens"].shape == (1, 5)
    copy.close()


def test_the_outcome_of_the_gate_is_kept(order: Order, request: pytest.FixtureRequest) -> None:
    chosen = backend(request.node.callspec.params["order"][0])
    meta = Cache(order.cache_directory, "engines").meta(key_of(engine_facts(order, chosen)))
    assert meta.outcome["gate"]["passed"] is True
    assert [each["batch"] for each in meta.outcome["gate"]["figures"]] == [1, 3, MAX_BATCH]
    assert msgspec.json.encode(meta)


def test_a_file_that_is_not_a_network_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"network\.onnx: ONNX Runtime cannot load it"):
        OnnxRuntimeEngine(tmp_path / "network.onnx", INPUTS, OUTPUTS).open()


def test_names_that_differ_from_the_ports_are_a_model_error(small: Path, cache_directory: Path) -> None:
    exported = ensure_export(small_order(small, cache_directory), "fp32", lambda text: None)
    assert exported is not None
    with pytest.raises(ModelError, match=r"inputs are \['pictures'\]; expected \['sounds'\]"):
        OnnxRuntimeEngine(exported, (Port("sounds", "float32", "B 3 8 8"),), OUTPUTS).open()


def test_inputs_that_disagree_on_the_batch_are_named() -> None:
    ports = (Port("ids", "int64", "B L"), Port("mask", "int64", "B L"))
    engine = TorchEngine(torch.nn.Identity, ports, OUTPUTS)
    engine.open()
    with pytest.raises(ValueError, match="mask has L = 4; another input has 3"):
        engine.run({"ids": np.ones((2, 3), np.int64), "mask": np.ones((2, 4), np.int64)})
    engine.close()


def test_a_missing_gpu_is_reported() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ModelError, match="no NVIDIA GPU"):
        TorchEngine(Small, INPUTS, OUTPUTS, device="cuda").open()
