"""A PyTorch module as an ONNX file: dynamic batch, axes checked, nothing in it that tells where it was made.

Precision lives in the graph (strongly typed): fp32 is the master, bf16 and fp16 are derived from the same module, with
fp32 inputs and outputs. Weights of more than 2 GB lie in a file beside it.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.engine import Port
from engines.gate.golden import moved
from pipeline.arrays import Array
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

EXPORTER_VERSION = 3
"""Part of every cache key: raise it when the files change."""
OPSET = 20
BF16_OPSET = 22
"""The first in which a convolution may be bf16. From 23 on attention becomes one node, which few can run."""
RANGES = {"B": (1, 1024), "L": (2, 77)}
"""Smallest and largest size of each letter; a network may say otherwise of its own."""
TOLERANCE = 1e-4
"""Largest difference to the module, relative to the largest output."""
PARITY_BATCHES = (1, 3, 16)
"""Smallest, typical and largest batch the file is compared with the module at."""
TRACED = {"B": 2, "L": 9, "T": 6, "M": 4, "H": 136, "W": 152}
"""Sizes the exporter sees."""
PARITY_SIDES = ((64, 80), (80, 64), (96, 136))
"""Height and width of pictures of free size, one for each of those batches; none is what was traced."""
PROTOBUF_BYTES = 2_000_000_000
"""A single ONNX file cannot be larger; beyond, weights go beside it."""


def export(
    module: "nn.Module",
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    path: Path,
    precision: str = "fp32",
    ranges: Mapping[str, tuple[int, int]] = RANGES,
) -> None:
    """Write the module to `path`; letters in the ports' dims become dynamic axes of the sizes in `ranges`.

    The same module gives the same bytes. Files beside `path` may hold weights and belong to it. What is compared with
    the module is the fp32 file; derived ones are held to it by the gate of the engine that is made of them.

    Raises:
        ModelError: an axis came out other than the port says, or the file does not compute what the module does.
    """
    import torch

    from engines.building.precision import cast

    if precision != "fp32":
        module = cast(module, precision)
    arguments = tuple(torch.from_numpy(array) for array in example(inputs, TRACED).values())
    with _quiet(), torch.inference_mode():
        program: Any = torch.onnx.export(
            module,
            arguments,
            dynamo=True,
            verbose=False,
            opset_version=BF16_OPSET if precision == "bf16" else OPSET,
            input_names=[port.name for port in inputs],
            output_names=[port.name for port in outputs],
            dynamic_shapes=_dynamic_shapes(inputs, precision, {**RANGES, **ranges}),
        )
    strip(program.model)
    check_axes(program.model, inputs, outputs)
    _cast_folded_weights(program.model)
    weight_bytes = sum(tensor.nbytes for tensor in module.state_dict().values())
    program.save(str(path), external_data=weight_bytes > PROTOBUF_BYTES)
    check_types(path)
    if precision == "fp32":
        check_parity(module, path, inputs, outputs)


def example(inputs: Sequence[Port], sizes: dict[str, int], seed: int = 0) -> dict[str, Array]:
    """Feeds of the right dtype and shape: noise for floats, ones for whole numbers, which are ids and masks.

    A second picture is the first one, moved.
    """
    random = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for port in inputs:
        shape = tuple(int(dim) if dim.isdigit() else sizes[dim] for dim in port.dims.split())
        first = feeds[inputs[0].name] if feeds else None
        if first is not None and first.shape == shape and len(shape) == 4:
            feeds[port.name] = moved(first)
        elif np.issubdtype(np.dtype(port.dtype), np.floating):
            feeds[port.name] = random.standard_normal(shape).astype(port.dtype)
        else:
            feeds[port.name] = np.ones(shape, port.dtype)
    return feeds


def strip(model: Any) -> None:
    """Take out what the exporter notes of its own run: source paths, stack traces, shapes of intermediate values."""
    graphs = [model.graph, *model.functions.values()]
    model.metadata_props.clear()
    model.doc_string = None
    for graph in graphs:
        graph.metadata_props.clear()
        graph.doc_string = None
        for value in [*graph.inputs, *graph.outputs, *getattr(graph, "initializers", {}).values()]:
            value.metadata_props.clear()
            value.doc_string = None
        for node in graph.all_nodes():
            node.metadata_props.clear()
            node.doc_string = None
            for value in node.outputs:
                value.metadata_props.clear()
                value.doc_string = None


def check_axes(model: Any, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """Compare every axis of the exported graph with its port: the exporter may fix a dynamic one without a word.

    Raises:
        ModelError: names every port that differs.
    """
    wrong: list[str] = []
    letters: dict[str, str] = {}
    for ports, values in ((inputs, model.graph.inputs), (outputs, model.graph.outputs)):
        found = {value.name: value for value in values}
        if set(found) != {port.name for port in ports}:
            wrong.append(f"{sorted(found)}; expected {sorted(port.name for port in ports)}")
            continue
        for port in ports:
            axes = list(found[port.name].shape or ())
            wanted = port.dims.split()
            fits = len(axes) == len(wanted) and all(
                axis == int(dim) if dim.isdigit() else _is_named(axis, dim, letters)
                for axis, dim in zip(axes, wanted, strict=True)
            )
            if not fits:
                wrong.append(f"{port.name} has axes ({', '.join(map(str, axes))}); expected ({', '.join(wanted)})")
    if wrong:
        raise ModelError(f"exported network: {'; '.join(wrong)}")


def _is_named(axis: Any, letter: str, letters: dict[str, str]) -> bool:
    """Whether a free axis has a name, the same wherever its letter stands.

    A side of a picture may also be an expression of it, such as the next multiple of 8.
    """
    name = None if isinstance(axis, int) else axis.value
    if name is None or (letter in "HW" and not name.isidentifier()):
        return bool(name)
    return bool(letters.setdefault(letter, name) == name)


def _cast_folded_weights(model: Any) -> None:
    """Give convolutions weights of their input's type: the exporter leaves fp32 where it folded a batch norm in."""
    import onnx_ir

    for node in model.graph.all_nodes():
        if node.op_type != "Conv":
            continue
        wanted = node.inputs[0].dtype
        for weights in node.inputs[1:]:
            if wanted is not None and weights.const_value is not None and weights.dtype != wanted:
                cast = weights.const_value.numpy().astype(wanted.numpy())
                weights.const_value = onnx_ir.tensor(cast, dtype=wanted, name=weights.name)
                weights.dtype = wanted


def check_types(path: Path) -> None:
    """Infer the type of every value in the file, strictly.

    Raises:
        ModelError: an operator gets a type that it does not take, or two that differ.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(f"exported network: {error}") from error


def check_parity(module: "nn.Module", path: Path, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """Run the file and the module on the same feeds at the smallest, a typical and the largest batch.

    Raises:
        ModelError: they differ by more than `TOLERANCE`.
    """
    from engines.backends.on_onnxruntime import OnnxRuntimeEngine
    from engines.backends.on_torch import TorchEngine

    engine = OnnxRuntimeEngine(path, tuple(inputs), tuple(outputs))
    reference = TorchEngine(lambda: module, tuple(inputs), tuple(outputs))
    with contextlib.closing(engine), contextlib.closing(reference):
        engine.open()
        reference.open()
        for batch, (height, width) in zip(PARITY_BATCHES, PARITY_SIDES, strict=True):
            tokens = {"L": 4 + batch, "T": batch, "M": PARITY_BATCHES[-1] + 1 - batch}
            feeds = example(inputs, {"B": batch, **tokens, "H": height, "W": width}, seed=batch)
            wanted, got = reference.run(feeds), engine.run(feeds)
            for port in outputs:
                scale = max(1.0, float(np.abs(wanted[port.name]).max()))
                worst = float(np.abs(wanted[port.name] - got[port.name]).max()) / scale
                if not worst <= TOLERANCE:
                    raise ModelError(f"exported network: {port.name} is off by {worst:.2g} at batch {batch}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of its own internals and of packages that are not installed."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("torch.onnx", "onnxscript"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _dynamic_shapes(inputs: Sequence[Port], precision: str, ranges: Mapping[str, tuple[int, int]]) -> Any:
    from torch.export import Dim

    dims = {
        letter: Dim({"B": "batch", "L": "length"}.get(letter, letter), min=low, max=high)
        for letter, (low, high) in ranges.items()
    }
    axes = tuple(
        {axis: dims[dim] for axis, dim in enumerate(port.dims.split()) if not dim.isdigit()} for port in inputs
    )
    return axes if precision == "fp32" else (axes,)  # a cast module takes its inputs as one list
