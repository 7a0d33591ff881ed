"""The contract of every engine backend, on one small network."""

import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.engine import Engine, Port
from engines.export import export
from engines.on_onnxruntime import OnnxRuntimeEngine
from engines.on_torch import TorchEngine
from pipeline.errors import ModelError

INPUTS = (Port("pictures", "float32", "B 3 8 8"),)
OUTPUTS = (Port("tokens", "float32", "B 5"),)

Make = Callable[[], Engine]


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.look = nn.Conv2d(3, 4, 3)
        self.say = nn.Linear(4, 5)

    def forward(self, pictures: Tensor) -> Tensor:
        said: Tensor = self.say(self.look(pictures).relu().mean((2, 3)))
        return said


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "network.onnx"
    export(Small().eval(), INPUTS, OUTPUTS, path)
    return path


@pytest.fixture(params=["torch", "onnxruntime", "onnxruntime in parts"])
def make(request: pytest.FixtureRequest, exported: Path) -> Make:
    if request.param == "torch":
        return lambda: TorchEngine(Small, INPUTS, OUTPUTS)
    micro_batch = 3 if request.param.endswith("parts") else 0
    return lambda: OnnxRuntimeEngine(exported, INPUTS, OUTPUTS, max_batch=micro_batch)


@pytest.fixture
def engine(make: Make) -> Iterator[Engine]:
    made = make()
    made.open()
    yield made
    made.close()


def noise(batch: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((batch, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("batch", range(1, 10))
def test_any_batch_gives_what_the_network_gives(engine: Engine, batch: int) -> None:
    feeds = {"pictures": noise(batch)}
    outputs = engine.run(feeds)
    assert list(outputs) == ["tokens"]
    assert (outputs["tokens"].shape, outputs["tokens"].dtype) == ((batch, 5), np.float32)
    with torch.inference_mode():
        wanted = Small()(torch.from_numpy(feeds["pictures"])).numpy()
    np.testing.assert_allclose(outputs["tokens"], wanted, atol=1e-5)


def test_its_name_is_backend_and_precision(engine: Engine) -> None:
    assert engine.name in ("torch-fp32", "onnxruntime-fp32")


@pytest.mark.parametrize(
    ("feeds", "part"),
    [
        ({}, r"takes inputs \['pictures'\], got \[\]"),
        ({"pictures": noise(1), "sound": noise(1)}, "sound"),
        ({"pictures": noise(1).astype(np.float64)}, "pictures must be float32"),
        ({"pictures": noise(1)[:, :, :7]}, r"pictures must be float32 \(B, 3, 8, 8\), got float32 \(1, 3, 7, 8\)"),
        ({"pictures": noise(1)[0]}, "pictures"),
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
    np.testing.assert_allclose(engine.run({"pictures": pictures[::2]})["tokens"], wanted, atol=1e-6)
    np.testing.assert_array_equal(pictures, before)


def test_closing_twice_is_fine_and_running_after_it_is_not(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="not open"):
        engine.run({"pictures": noise(1)})
    engine.open()
    engine.open()
    assert engine.run({"pictures": noise(1)})["tokens"].shape == (1, 5)


def test_two_engines_at_once_in_two_threads(make: Make) -> None:
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
    np.testing.assert_allclose(engines[1].run({"pictures": noise(3, 0)})["tokens"], found[1][0], atol=1e-6)
    engines[1].close()


def test_it_travels_to_another_process_before_it_is_open(exported: Path) -> None:
    for made in (TorchEngine(Small, INPUTS, OUTPUTS), OnnxRuntimeEngine(exported, INPUTS, OUTPUTS, threads=2)):
        copy = pickle.loads(pickle.dumps(made))
        copy.open()
        assert copy.run({"pictures": noise(1)})["tokens"].shape == (1, 5)


def test_a_file_that_is_no_network_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"network\.onnx: ONNX Runtime cannot load it"):
        OnnxRuntimeEngine(tmp_path / "network.onnx", INPUTS, OUTPUTS).open()


def test_other_names_than_the_ports_are_a_model_error(exported: Path) -> None:
    with pytest.raises(ModelError, match=r"inputs are \['pictures'\]; expected \['sounds'\]"):
        OnnxRuntimeEngine(exported, (Port("sounds", "float32", "B 3 8 8"),), OUTPUTS).open()


def test_a_gpu_that_is_not_there_is_said() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(ModelError, match="no NVIDIA GPU"):
        TorchEngine(Small, INPUTS, OUTPUTS, device="cuda").open()
