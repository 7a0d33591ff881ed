"""Which TensorRT is here, what of it we use, and what its log says.

One adapter serves `tensorrt` 10.12 and later, 11, and `tensorrt_rtx`: what differs between them is not used, but for
the few names in `USED_OF_RTX`. With no GPU, `Runtime` and `Builder` of `tensorrt` end the process; so nothing here
touches them before the driver has shown a GPU.
"""

import importlib
import logging
import re
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from engines.devices.gpus import gpu_at
from pipeline.errors import ModelError

log = logging.getLogger("percept.engines")

DISTRIBUTIONS = {
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu13-bindings", "tensorrt-cu12-bindings"),
    "tensorrt_rtx": ("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu13-bindings"),
}
"""Modules in the order we prefer them, and the packages that bring them."""
OLDEST = {"tensorrt": (10, 12), "tensorrt_rtx": (1, 7)}
INSTALL = "pip install -U 'percept-av[tensorrt]' (or 'percept-av[tensorrt-rtx]' on RTX GPUs)"
LINES_KEPT = 64
LINES_TOLD = 8

USED = {
    "Builder": ("build_serialized_network", "create_builder_config", "create_network", "create_optimization_profile"),
    "BuilderFlag": ("TF32",),
    "IBuilderConfig": (
        "add_optimization_profile",
        "clear_flag",
        "create_timing_cache",
        "get_timing_cache",
        "progress_monitor",
        "set_timing_cache",
    ),
    "ICudaEngine": (
        "create_execution_context",
        "get_tensor_dtype",
        "get_tensor_mode",
        "get_tensor_name",
        "get_tensor_shape",
        "num_io_tensors",
    ),
    "IExecutionContext": ("execute_async_v3", "get_tensor_shape", "set_input_shape", "set_tensor_address"),
    "ILogger": ("ERROR", "INTERNAL_ERROR", "WARNING", "log"),
    "INetworkDefinition": ("get_input", "num_inputs"),
    "IOptimizationProfile": ("set_shape",),
    "IProgressMonitor": ("phase_finish", "phase_start", "step_complete"),
    "ITensor": ("name", "shape"),
    "ITimingCache": ("combine", "serialize"),
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "nptype": (),
    "OnnxParser": ("get_error", "num_errors", "parse_from_file"),
    "ParserError": ("code", "desc", "node_name", "node_operator"),
    "Runtime": ("deserialize_cuda_engine",),
    "TensorIOMode": ("INPUT",),
}
"""All that we use of any TensorRT: class or function, and members. A test holds it against 10.x, 11.x and RTX."""
USED_OF_RTX = {"ComputeCapability": (), "IBuilderConfig": ("num_compute_capabilities", "set_compute_capability")}


@dataclass(frozen=True)
class Installed:
    """A TensorRT that may be imported."""

    module: str
    package: str
    """"tensorrt-cu13 11.4.0.106", for people and for cache keys."""


def is_ahead_of_time(device: str) -> bool:
    """Whether `device` is not a GPU of this machine but a kind of GPU, "sm89": what plans can be built for anywhere."""
    return re.fullmatch(r"sm\d{2,3}", device) is not None


def capability_of(device: str) -> tuple[int, int]:
    """(8, 9) of "sm89", or of the GPU that "cuda:N" is; (0, 0) if there is none."""
    if is_ahead_of_time(device):
        return int(device[2:-1]), int(device[-1])
    gpu = gpu_at(device)
    return gpu.capability if gpu else (0, 0)


def missing(device: str) -> str:
    """Why TensorRT cannot be used on this device, and what to do; "" if it can. Imports nothing."""
    try:
        able(device)
    except ModelError as error:
        return str(error)
    return ""


def able(device: str) -> list[Installed]:
    """What may be tried for this device, best first: `tensorrt` before `tensorrt_rtx`; for a GPU elsewhere only that.

    Raises:
        ModelError: none is installed or new enough, or there is no such GPU; says what to do.
    """
    ahead = is_ahead_of_time(device)
    if not ahead and not device.startswith("cuda"):
        raise ModelError(f"TensorRT needs an NVIDIA GPU, device is {device!r}. Choose --engine openvino or onnxruntime")
    found = [installed for module in DISTRIBUTIONS if (installed := _installed(module)) is not None]
    if not found:
        raise ModelError(f"TensorRT is not installed. Run: {INSTALL}, or choose --engine torch")
    new_enough = [each for each in found if _is_new_enough(each)]
    if not new_enough:
        raise ModelError(f"{found[0].package} is too old; expected {_oldest(found[0].module)} or later. Run: {INSTALL}")
    if not ahead:
        if gpu_at(device) is None:
            raise ModelError(f"TensorRT needs an NVIDIA GPU; the driver shows no {device}. Choose --device cpu")
        return new_enough
    if rtx := [each for each in new_enough if each.module == "tensorrt_rtx"]:
        return rtx
    raise ModelError(
        f"{device}: only TensorRT-RTX builds for a GPU elsewhere. Run: pip install -U 'percept-av[tensorrt-rtx]'"
    )


def chosen(device: str) -> tuple[Installed, ModuleType]:
    """The first that can be imported: bindings may lie there without their libraries, and hide nothing then.

    Raises:
        ModelError: as `able`, or none can be imported; says why for each.
    """
    wrong = []
    for installed in able(device):
        try:
            return installed, importlib.import_module(installed.module)
        except (ImportError, OSError) as error:
            wrong.append(f"{installed.package} cannot be imported: {error}")
    raise ModelError(f"{'; '.join(wrong)}. Run again: {INSTALL}")


def find_tensorrt(device: str) -> ModuleType:
    """The module. With "sm89" instead of "cuda:0" there need be no GPU here, and plans can be built but not run.

    Raises:
        ModelError: as `chosen`.
    """
    return chosen(device)[1]


def listed(trt: ModuleType) -> list[str]:
    """The kinds of GPU that a TensorRT-RTX has names for: "SM75", "SM86"; none of other TensorRTs."""
    kinds = getattr(getattr(trt, "ComputeCapability", None), "__members__", {})
    return [name for name in kinds if name.startswith("SM")]


def unlisted(trt: ModuleType, device: str) -> str:
    """That TensorRT-RTX does not list the kind of GPU that is here, such as 9.0; "" if it does, or for other TensorRTs.

    It may work all the same: the gate decides.
    """
    major, minor = capability_of(device)
    known = listed(trt)
    if is_ahead_of_time(device) or not known or f"SM{major}{minor}" in known:
        return ""
    return f"SM{major}{minor} is not among the GPUs that {trt.__name__} {trt.__version__} lists: {', '.join(known)}"


@contextmanager
def saying_unlisted(trt: ModuleType, device: str) -> Iterator[None]:
    """Add to an error that the GPU is none of those it was made for."""
    try:
        yield
    except ModelError as error:
        if note := unlisted(trt, device):
            raise ModelError(f"{error}\n{note}") from error
        raise


_loggers: dict[ModuleType, Any] = {}
_loggers_lock = threading.Lock()


def recording_logger(trt: ModuleType) -> Any:
    """The logger for every Builder, Runtime and OnnxParser: it keeps the last errors and warnings, for our errors.

    TensorRT's own way to report is to return None and to log, and it keeps one logger for the whole process: the first
    that it was given. So there is one, never freed; who wants to quote it notes where it stands, by `mark`.
    """
    with _loggers_lock:
        if trt not in _loggers:
            _loggers[trt] = _new_logger(trt)
        return _loggers[trt]


def _new_logger(trt: ModuleType) -> Any:
    class RecordingLogger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.count = 0
            self.errors: deque[tuple[int, str]] = deque(maxlen=LINES_KEPT)
            self.warnings: deque[tuple[int, str]] = deque(maxlen=LINES_KEPT)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                kept = self.errors
            elif severity == trt.ILogger.WARNING:
                kept = self.warnings
            else:
                return
            self.count += 1
            kept.append((self.count, message.strip()))
            log.debug("%s: %s", trt.__name__, message.strip())  # the build's process prints it, in case it crashes

        def text(self, since: int) -> str:
            """The last errors after that mark, or warnings if there are none, each once; "" if it was silent."""
            for kept in (self.errors, self.warnings):
                if new := dict.fromkeys(said for number, said in tuple(kept) if number > since):
                    return "\n".join(f"  {line}" for said in list(new)[-LINES_TOLD:] for line in said.splitlines())
            return ""

    return RecordingLogger()


def mark(trt: ModuleType) -> int:
    """Where the log stands: what is logged from now on is told by `failure` of this mark."""
    return int(recording_logger(trt).count)


def failure(trt: ModuleType, since: int, what: str) -> ModelError:
    """An error of ours that carries what the library logged after that mark; other threads may have logged too."""
    said = recording_logger(trt).text(since)
    return ModelError(f"{what}\n{said}" if said else f"{what} ({trt.__name__} {trt.__version__} logged nothing)")


@contextmanager
def let_go_on_error() -> Iterator[None]:
    """Free what failed calls hold, before their error goes on.

    An error keeps the frames it went through, and they a Builder or Runtime, until garbage is collected. That may be
    while another Builder or Runtime logs, with a lock held that freeing the first one waits for: for ever.
    """
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise


def _installed(module: str) -> Installed | None:
    if find_spec(module) is None:
        return None
    for package in DISTRIBUTIONS[module]:
        try:
            return Installed(module, f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    try:
        return Installed(module, f"{module} {importlib.import_module(module).__version__}")  # not installed by pip
    except (ImportError, OSError):
        return None


def _is_new_enough(installed: Installed) -> bool:
    numbers = installed.package.rpartition(" ")[2].split(".")[:2]
    return tuple(int(number) if number.isdigit() else 0 for number in numbers) >= OLDEST[installed.module]


def _oldest(module: str) -> str:
    return ".".join(map(str, OLDEST[module]))
