"""Small strongly typed ONNX files, written directly, which is faster than exporting."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.backends.backend import Order
from engines.engine import Port

TYPES = {"fp32": TensorProto.FLOAT, "bf16": TensorProto.BFLOAT16, "fp16": TensorProto.FLOAT16}
INPUTS = (Port("pictures", "float32", "B 3 8 8"),)
OUTPUTS = (Port("tokens", "float32", "B 5"),)


def order(precision: str = "fp32", device: str = "sm86", **changes: Any) -> Order:
    return Order("clip_vision", "", INPUTS, OUTPUTS, precision, device, **changes)


def weights() -> "np.ndarray[Any, Any]":
    return np.random.default_rng(0).standard_normal((192, 5)).astype(np.float32) / 14


def write_onnx(path: Path, precision: str = "fp32", last: str = "Relu", external: bool = False) -> Path:
    """pictures "B 3 8 8" -> tokens "B 5": flatten, multiply by `weights()`, and the operator `last`.

    external: store the weights, fp32, in a second file.
    """
    kind = TYPES[precision]
    nodes = [
        helper.make_node("Cast", ["pictures"], ["cast"], to=kind),
        helper.make_node("Flatten", ["cast"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node(last, ["product"], ["last"], name=f"the_{last}"),
        helper.make_node("Cast", ["last"], ["tokens"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["B", 3, 8, 8])],
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["B", 5] if last == "Relu" else ["N"])],
        [helper.make_tensor("weights", kind, (192, 5), weights().ravel())],
    )
    if external:  # only raw bytes can be stored in a second file
        graph.initializer[0].CopyFrom(numpy_helper.from_array(weights(), "weights"))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path, save_as_external_data=external, location=f"{path.name}.data", size_threshold=0)
    return path
