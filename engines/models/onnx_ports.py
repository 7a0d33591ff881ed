"""Inputs and outputs of an ONNX file, as ports."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from engines.engine import Port, Ports
from pipeline.errors import ModelError


def ports_of_onnx(path: Path) -> Ports:
    """The first axis counts as the batch, also where the file fixes it at 1: then engines run one after another.

    Raises:
        ModelError: it cannot be read, is not one file, or another axis is not fixed.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; expected an ONNX file") from error
    return _ports(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _ports(path: Path, size_bytes: int, changed_ns: int) -> Ports:
    import onnx

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf's errors and onnx's have no common base class
        raise ModelError(f"{path}: not an ONNX file ({type(error).__name__}: {error})") from error
    if any(onnx.external_data_helper.uses_external_data(tensor) for tensor in graph.initializer):
        raise ModelError(f"{path}: keeps its weights in a second file; expected one file with all. Save it as one")
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [_port(path, each) for each in graph.input if each.name not in weights]
    if not inputs:
        raise ModelError(f"{path}: a network without inputs; expected an ONNX file of a detector")
    return tuple(inputs), tuple(_port(path, each) for each in graph.output)


def _port(path: Path, value: Any) -> Port:
    import onnx

    tensor = value.type.tensor_type
    sizes = [axis.dim_value for axis in tensor.shape.dim]
    if not sizes or sizes[0] > 1 or not all(size > 0 for size in sizes[1:]):
        shown = [axis.dim_param or axis.dim_value or "?" for axis in tensor.shape.dim]
        raise ModelError(
            f"{path}: {value.name} has shape {shown}; expected all axes to be fixed but the first, which is to be "
            "1 or free. Export it for one picture size"
        )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    return Port(value.name, dtype, " ".join(["B", *map(str, sizes[1:])]))
