"""Inputs and outputs that are read from an ONNX file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.engine import Port
from engines.models.onnx_ports import ports_of_onnx
from pipeline.errors import ModelError


def relu(path: Path, dims: Sequence[int | str | None], kind: int = TensorProto.FLOAT) -> Path:
    """ "before" -> "after", both of these dims; beside them a weight, which old files list among the inputs."""
    values = [helper.make_tensor_value_info(name, kind, dims) for name in ("before", "after")]
    weight = helper.make_tensor("weight", kind, [1], [2])
    nodes = [helper.make_node("Mul", ["before", "weight"], ["after"])]
    inputs = [values[0], helper.make_tensor_value_info("weight", kind, [1])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "relu", inputs, values[1:], [weight])), path)
    return path


@pytest.mark.parametrize("batch", [1, "batch", None])
def test_the_first_axis_is_the_batch_whether_it_is_fixed_or_free(tmp_path: Path, batch: int | str | None) -> None:
    path = relu(tmp_path / "a.onnx", [batch, 3, 64, 32])
    ports = ((Port("before", "float32", "B 3 64 32"),), (Port("after", "float32", "B 3 64 32"),))
    assert ports_of_onnx(path) == ports


def test_ports_have_the_types_of_the_file_also_after_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    assert ports_of_onnx(relu(path, [1, 4]))[0] == (Port("before", "float32", "B 4"),)
    assert ports_of_onnx(relu(path, [1, 1024], TensorProto.INT64))[0] == (Port("before", "int64", "B 1024"),)


@pytest.mark.parametrize(
    ("dims", "shown"), [([1, 3, "height", 32], r"\[1, 3, 'height', 32\]"), ([2, 3], r"\[2, 3\]"), ([], r"\[\]")]
)
def test_a_free_side_or_a_larger_batch_is_refused(tmp_path: Path, dims: list[int | str], shown: str) -> None:
    path = relu(tmp_path / "a.onnx", dims)
    with pytest.raises(ModelError, match=rf"a\.onnx: before has shape {shown}; expected .* Export it for one picture"):
        ports_of_onnx(path)


def test_a_missing_file_and_one_of_another_kind_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    with pytest.raises(ModelError, match=r"a\.onnx: cannot be read: No such file or directory; expected an ONNX file"):
        ports_of_onnx(path)
    path.write_text("Not Found")
    with pytest.raises(ModelError, match=r"a\.onnx: not an ONNX file \(DecodeError: "):
        ports_of_onnx(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"a\.onnx: a network without inputs"):
        ports_of_onnx(path)


def test_weights_in_a_second_file_are_refused_because_engines_would_not_notice_their_change(tmp_path: Path) -> None:
    path = relu(tmp_path / "a.onnx", [1, 3])
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "weight"))
    onnx.save(model, path, save_as_external_data=True, size_threshold=0)
    with pytest.raises(ModelError, match=r"a\.onnx: keeps its weights in a second file; expected one file"):
        ports_of_onnx(path)
