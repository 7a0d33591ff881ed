"""A small ONNX file with the outputs of YOLOX, which finds one object in a bright picture."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from pipeline.arrays import Array

SIDE = 64
CELLS = 84
"""8 x 8, 4 x 4 and 2 x 2."""
BOX = (40 - 8 * np.e, 16.0, 40 + 8 * np.e, 32.0)
"""Of the object, in pixels of the input."""
CLASSES = 3


def rows_of_one_object() -> Array:
    """float32 "84 8": in cell x = 2, y = 1 of stride 16, the middle of class 1, e cells wide and 1 high."""
    rows = np.zeros((CELLS, 5 + CLASSES), np.float32)
    rows[:, 5:] = 0.25
    rows[8 * 8 + 1 * 4 + 2] = (0.5, 0.5, 1.0, 0.0, 1.0, 0.25, 1.0, 0.0)
    return rows


def write_yolox(path: Path, anchors: int = CELLS, classes: int = CLASSES, batch: int | str = 1) -> Path:
    """The probability of an object is the largest value of the picture / 255."""
    rows = np.zeros((1, anchors, 5 + classes), np.float32)
    if (anchors, classes) == (CELLS, CLASSES):
        rows[0] = rows_of_one_object()
    object_alone = rows * (np.arange(5 + classes) == 4)
    tensors = [("object", object_alone / 255), ("rest", rows - object_alone)]
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=1),
        helper.make_node("Reshape", ["brightest", "shape"], ["brightness"]),
        helper.make_node("Mul", ["brightness", "object"], ["product"]),
        helper.make_node("Add", ["product", "rest"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "yolox",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, anchors, 5 + classes])],
        [
            *(helper.make_tensor(name, TensorProto.FLOAT, rows.shape, array.ravel()) for name, array in tensors),
            helper.make_tensor("shape", TensorProto.INT64, [3], [1, 1, 1]),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path
