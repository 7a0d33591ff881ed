"""Exports a PyTorch module to an ONNX file: dynamic batch, checked axes, no traces of the machine that made it.

The graph is strongly typed: fp32 is the master; bf16 and fp16 are derived from the same module, with fp32 inputs and
outputs. Weights of more than 2 GB are stored in a second file next to it.
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
"""The first opset with bf16 convolutions. From 23 on attention becomes one node, which few runtimes support."""
RANGES = {"B": (1, 1024), "L": (2, 77)}
"""Smallest and largest size of each letter; a network may override them."""
TOLERANCE = 1e-4
"""Largest allowed difference from the module, relative to the largest output."""
PARITY_BATCHES = (1, 3, 16)
"""Smallest, typical and largest batch at which the file is compared with the module."""
TRACED = {"B": 2, "L": 9, "T": 6, "M": 4, "H": 136, "W": 152}
"""Sizes of the example inputs that the exporter traces."""
PARITY_SIDES = ((64, 80), (80, 64), (96, 136))
"""Height and width of pictures of free size, one pair per parity batch; none equals the traced size."""
PROTOBUF_BYTES = 2_000_000_000
"""Upper limit for a single ONNX file; larger weights go into a second file."""


def export(
    module: "nn.Module",
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    path: Path,
    precision: str = "fp32",
    ranges: Mapping[str, tuple[int, int]] = RANGES,
    max_batch: int = PARITY_BATCHES[-1],
) -> None:
    """Write the module to `path`; letters in the ports' dims become dynamic axes with the sizes in `ranges`.

    max_batch: the largest at which the file is compared with the module, for networks with much to do for a sample.

    The same module always yields the same bytes. Weights may be in a second file next to `path`. Only the fp32 file is
    compared with the module; lower precisions are checked by the gate of the engine that is built from them.

    Raises:
        ModelError: an exported axis differs from its port, or the file does not compute what the module does.
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
        check_parity(module, path, inputs, outputs, max_batch)


def example(inputs: Sequence[Port], sizes: dict[str, int], seed: int = 0) -> dict[str, Array]:
    """Feeds of the right dtype and shape: noise for floats, ones for integers, which are ids and masks.

    A second picture is the first one, shifted.
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
    """Remove the exporter's metadata about its own run: source paths, stack traces, shapes of intermediate values."""
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
    """Compare every axis of the exported graph with its port: the exporter may silently fix a dynamic axis.

    Raises:
        ModelError: an axis differs; the message names every such port.
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
    """Whether a free axis has a name, the same wherever its letter occurs.

    A side of a picture may also be an expression of that name, such as the next multiple of 8.
    """
    name = None if isinstance(axis, int) else axis.value
    if name is None or (letter in "HW" and not name.isidentifier()):
        return bool(name)
    return bool(letters.setdefault(letter, name) == name)


def _cast_folded_weights(model: Any) -> None:
    """Cast convolution weights to the type of their input: the exporter leaves fp32 after folding a batch norm."""
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
        ModelError: an operator gets a type that it does not accept, or two that differ.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(f"exported network: {error}") from error


def check_parity(
    module: "nn.Module",
    path: Path,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    max_batch: int = PARITY_BATCHES[-1],
) -> None:
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
        for number, (height, width) in zip(PARITY_BATCHES, PARITY_SIDES, strict=True):
            batch = min(number, max_batch)
            tokens = {"L": 4 + batch, "T": batch, "M": PARITY_BATCHES[-1] + 1 - batch}
            feeds = example(inputs, {"B": batch, **tokens, "H": height, "W": width}, seed=batch)
            wanted, got = reference.run(feeds), engine.run(feeds)
            for port in outputs:
                scale = max(1.0, float(np.abs(wanted[port.name]).max()))
                worst = float(np.abs(wanted[port.name] - got[port.name]).max()) / scale
                if not worst <= TOLERANCE:
                    raise ModelError(f"exported network: {port.name} differs by {worst:.2g} at batch {batch}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's messages about its internals and about packages that are not installed."""
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
    return axes if precision == "fp32" else (axes,)  # a cast module has one parameter, `*feeds`
