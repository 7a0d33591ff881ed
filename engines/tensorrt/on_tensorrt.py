"""The NVIDIA GPU backend: a TensorRT plan, in the precision of the exported file (strongly typed)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from engines.backends.backend import Backend, Order, Report
from engines.building.build_child import cancelled
from engines.devices.gpus import gpu_at
from engines.engine import Engine, Port
from engines.tensorrt.api import (
    capability_of,
    chosen,
    failure,
    find_tensorrt,
    free_on_error,
    is_ahead_of_time,
    listed,
    mark,
    missing,
    noting_unlisted,
    recording_logger,
    unlisted,
)
from engines.tensorrt.plan import Options, Range, build_plan
from pipeline import machine
from pipeline.arrays import Array
from pipeline.errors import ModelError

PLAN = "plan.bin"
USUAL = {"L": 16, "T": 8, "M": 8, "H": 224, "W": 224}
"""Tokens of a text and of two modalities, sides of a picture: the sizes that a plan is optimised for."""
BF16_FROM = (8, 0)
"""Lowest compute capability with bf16 arithmetic (Ampere)."""


class TensorRtEngine(Engine):
    """Runs a plan on "cuda:N", on its own stream. Inputs and outputs are in memory that torch allocates."""

    backend = "tensorrt"

    def __init__(self, plan: Path, order: Order) -> None:
        super().__init__(order.inputs, order.outputs, order.max_batch)
        self.precision = order.precision
        self.device = order.device
        self._plan = plan
        self._trt: Any = None
        self._since = 0  # log position at the start of the call
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._stream: Any = None

    def _open(self) -> None:
        self._trt = find_tensorrt(self.device)
        import torch

        if not torch.cuda.is_available():
            raise ModelError(f"device {self.device!r}: torch finds no NVIDIA GPU. Install torch with CUDA")
        try:
            with noting_unlisted(self._trt, self.device), free_on_error(), torch.cuda.device(self.device):
                self._load()  # TensorRT uses the thread's current GPU
        except BaseException:
            self._close()
            raise

    def _load(self) -> None:
        import torch

        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._since = mark(self._trt)
        self._runtime = self._trt.Runtime(recording_logger(self._trt))
        self._engine = deserialise(self._trt, self._runtime, self._plan)
        check_ports(self._trt, self._engine, self._plan, self.inputs, self.outputs)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise failure(self._trt, self._since, f"{self._plan}: no execution context; is the GPU's memory full?")

    def _run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        import torch

        self._since = mark(self._trt)
        with torch.inference_mode(), torch.cuda.device(self.device):
            self._stream.wait_stream(torch.cuda.current_stream())  # feeds on the GPU may still be being written
            with torch.cuda.stream(self._stream):
                held = [self._feed(port, feeds[port.name]) for port in self.inputs]
                results = {port.name: self._result(port) for port in self.outputs}
                if not self._context.execute_async_v3(self._stream.cuda_stream):
                    raise failure(self._trt, self._since, f"{self._plan}: running it failed")
                hosts = {name: _to_pinned(result) for name, result in results.items()}
            self._stream.synchronize()  # until here `held` and `results` are in use
            del held, results
        return {name: host.numpy().copy() for name, host in hosts.items()}

    def _feed(self, port: Port, feed: Any) -> Any:
        """Put the feed on the GPU and set its shape and address in the context."""
        import torch

        if isinstance(feed, np.ndarray):
            whole = np.ascontiguousarray(feed)
            feed = torch.from_numpy(whole if whole.flags.writeable else whole.copy()).to(self.device)
        feed = feed.contiguous()
        taken = self._context.set_input_shape(port.name, tuple(feed.shape))
        if not (taken and self._context.set_tensor_address(port.name, feed.data_ptr())):
            raise failure(self._trt, self._since, f"{self._plan}: {port.name} of shape {tuple(feed.shape)} is refused")
        return feed

    def _result(self, port: Port) -> Any:
        """Allocate an output, whose shape follows from the inputs, and set its address in the context."""
        import torch

        shape = tuple(self._context.get_tensor_shape(port.name))
        result = torch.empty(shape, dtype=getattr(torch, port.dtype), device=self.device)
        if not self._context.set_tensor_address(port.name, result.data_ptr()):
            raise failure(self._trt, self._since, f"{self._plan}: {port.name} of shape {shape} is refused")
        return result

    def _close(self) -> None:
        self._context = None  # each of these uses the next
        self._engine = None
        self._runtime = None
        self._stream = None


def deserialise(trt: ModuleType, runtime: Any, plan: Path) -> Any:
    """The plan as an engine.

    Raises:
        ModelError: it cannot be read, is damaged, or belongs to another version or GPU; includes TensorRT's log.
    """
    since = mark(trt)
    try:
        engine = runtime.deserialize_cuda_engine(plan.read_bytes())
    except OSError as error:
        raise ModelError(f"{plan}: cannot be read: {error.strerror}. Run `percept engine build`") from error
    if engine is None:
        raise failure(trt, since, f"{plan}: {trt.__name__} {trt.__version__} cannot load it")
    return engine


def check_ports(trt: ModuleType, engine: Any, plan: Path, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> None:
    """Compare name, dtype and every axis of inputs and outputs with the ports; a free axis is -1.

    Raises:
        ModelError: they differ; the message lists both.
    """
    found = {}
    for name in (engine.get_tensor_name(index) for index in range(engine.num_io_tensors)):
        kind = "input" if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else "output"
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
        found[name] = f"{kind} {dtype} {tuple(engine.get_tensor_shape(name))}"
    wanted = {}
    for kind, ports in (("input", inputs), ("output", outputs)):
        for port in ports:
            dims = tuple(int(dim) if dim.isdigit() else -1 for dim in port.dims.split())
            wanted[port.name] = f"{kind} {port.dtype} {dims}"
    if found != wanted:
        raise ModelError(f"{plan}: the plan has {found}; expected {wanted}")


def _to_pinned(result: Any) -> Any:
    import torch

    host = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
    return host.copy_(result, non_blocking=True)


class TensorRtBackend(Backend):
    """Plans are built from the exported file of the same precision.

    With "sm89" as the order's device, TensorRT-RTX builds for such GPUs on a machine without one.
    """

    name = "tensorrt"
    in_child = True

    def missing(self, device: str) -> str:
        return missing(device)

    def precisions(self, device: str) -> tuple[str, ...]:
        return ("bf16", "fp16", "fp32") if capability_of(device) >= BF16_FROM else ("fp16", "fp32")

    def other_precisions(self, device: str) -> tuple[str, ...]:
        return ()

    def graph(self, precision: str) -> str:
        return precision

    def facts(self, order: Order) -> dict[str, str]:
        """A TensorRT-RTX plan runs on every GPU of its capability; other plans only on the GPU model that built it."""
        installed, _ = chosen(order.device)
        major, minor = capability_of(order.device)
        known = {
            "tensorrt": installed.package,
            "capability": f"{major}.{minor}",
            "profile": "; ".join(f"{letter} {sizes}" for letter, sizes in sorted(_sizes(order).items())),
            "flags": "strongly typed" + (", no tf32" if order.precision == "fp32" else ""),
        }
        if installed.module == "tensorrt":
            import torch

            gpu = gpu_at(order.device)
            known |= {"gpu": gpu.name if gpu else "", "cuda": torch.version.cuda or ""}
        return known

    def build(self, order: Order, exported: Path | None, into: Path, report: Report) -> None:
        """Build the plan. If the GPU is present, also open it once, so that a crash happens in the build process."""
        if exported is None:
            raise ModelError(f"{order.network}: TensorRT needs the exported network")
        trt = find_tensorrt(order.device)
        options = Options(
            ranges={letter: sizes for letter, sizes in _sizes(order).items() if letter != "B"},
            capability=_target(trt, order.device),
            timing_cache=self._timing_cache(order) if trt.__name__ == "tensorrt" else None,
            cancelled=cancelled,
        )
        if note := unlisted(trt, order.device):
            report(f"{note}; trying anyway")
        with noting_unlisted(trt, order.device):
            build_plan(trt, order, exported, into / PLAN, report, options)
        if not is_ahead_of_time(order.device):
            engine = self.make(order, exported, into)
            engine.open()
            engine.close()

    def make(self, order: Order, exported: Path | None, built: Path) -> Engine:
        return TensorRtEngine(built / PLAN, order)

    def _timing_cache(self, order: Order) -> Path:
        """One file per version, GPU and driver: measurements are not valid for others."""
        gpu = gpu_at(order.device)
        of = hashlib.sha256(f"{chosen(order.device)[0].package}, {gpu}".encode()).hexdigest()[:16]
        return Path(order.cache_directory or machine.cache_directory()) / "timing" / of


def _sizes(order: Order) -> dict[str, Range]:
    """Smallest, usual and largest size of every letter in the inputs' dims."""
    from engines.building.export import RANGES
    from engines.models.network import network

    free = {dim for port in order.inputs for dim in port.dims.split() if not dim.isdigit()}
    own = network(order.network).ranges if free - {"B"} else {}
    known = {**RANGES, **own, "B": (1, order.max_batch)}
    usual = {**USUAL, "B": order.typical_batch}
    return {
        letter: (low, min(max(low, usual.get(letter, low)), high), high)
        for letter, (low, high) in known.items()
        if letter in free
    }


def _target(trt: ModuleType, device: str) -> tuple[int, int] | None:
    """The capability to build for; None, for the library's default, if it has no name for this kind of GPU."""
    major, minor = capability_of(device)
    if is_ahead_of_time(device) or f"SM{major}{minor}" in listed(trt):
        return major, minor
    return None


BACKEND = TensorRtBackend()
