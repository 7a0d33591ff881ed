"""Engines of a network that is given as an ONNX file, without a PyTorch module."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engines.backends.table import Settings
from engines.building.building import open_network, prepare_network
from pipeline.arrays import Array
from pipeline.errors import ModelError

PICTURES = np.random.default_rng(0).uniform(0, 255, (3, 3, 8, 8)).astype(np.float32)


def settings(cache: Path, engine: str) -> Settings:
    return Settings(engine, "fp32", "cpu", 1, str(cache))


def conv(path: Path, seed: int = 0) -> Array:
    """Write a network of one convolution that takes one picture, "1 3 8 8" -> "1 2 8 8". Returns its weights."""
    weights = np.random.default_rng(seed).normal(size=(2, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["pictures", "weights"], ["maps"])],
        "conv",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, [1, 2, 8, 8])],
        [helper.make_tensor("weights", TensorProto.FLOAT, [2, 3, 1, 1], weights.ravel())],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return weights


def check_maps(path: Path, run: Settings, weights: Array) -> str:
    """Run a batch of 3, and return the name of the engine."""
    engine = open_network("onnx_file", str(path), run)
    maps = engine.run({"pictures": PICTURES})["maps"]
    engine.close()
    np.testing.assert_allclose(maps, np.einsum("oc,bchw->bohw", weights, PICTURES), rtol=1e-4, atol=1e-2)
    return engine.name


@pytest.mark.parametrize("engine", ["auto", "openvino", "onnxruntime"])
def test_a_file_for_one_picture_runs_in_batches(tmp_path: Path, engine: str) -> None:
    weights = conv(tmp_path / "a.onnx")
    run = settings(tmp_path / "cache", engine)
    record = prepare_network("onnx_file", str(tmp_path / "a.onnx"), run, lambda text: None)
    assert record is not None
    assert record.gate.passed
    name = check_maps(tmp_path / "a.onnx", run, weights)
    assert name == record.name
    assert name in (["openvino-fp32", "onnxruntime-fp32"] if engine == "auto" else [f"{engine}-fp32"])
    assert not (tmp_path / "cache" / "exports").exists()  # the file is the export


def test_it_is_built_once_until_the_file_changes(tmp_path: Path) -> None:
    path, run, reported = tmp_path / "a.onnx", settings(tmp_path / "cache", "openvino"), list[str]()
    for seed in (0, 0, 1):
        weights = conv(path, seed)
        prepare_network("onnx_file", str(path), run, reported.append)
        check_maps(path, run, weights)
    assert len([line for line in reported if line.startswith("building onnx_file for openvino-fp32")]) == 2


def test_pytorch_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    path, run, reported = tmp_path / "a.onnx", settings(tmp_path / "cache", "torch"), list[str]()
    conv(path)
    told = r"torch-fp32: needs the network in PyTorch; .*a\.onnx is an ONNX file in fp32"
    with pytest.raises(ModelError, match=rf"^detector: no engine can be used\. {told}"):
        prepare_network("onnx_file", str(path), run, reported.append, what="detector")
    with pytest.raises(ModelError, match=told):
        open_network("onnx_file", str(path), run)
    assert not any(line.startswith("building") for line in reported)
