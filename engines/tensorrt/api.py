"""Which TensorRT is installed, which of its names we use, and its log.

One adapter serves `tensorrt` 10.12 and later, 11, and `tensorrt_rtx`: only their common names are used, plus the few in
`USED_OF_RTX`. Without a GPU, `Runtime` and `Builder` of `tensorrt` end the process, so nothing here creates them before
the driver has shown a GPU.
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
"""Modules in order of preference, and the packages that contain them."""
OLDEST = {"tensorrt": (10, 12), "tensorrt_rtx": (1, 7)}
INSTALL = "pip install -U 'percept-av[tensorrt]' (or 'percept-av[tensorrt-rtx]' on RTX GPUs)"
LINES_KEPT = 64
LINES_SHOWN = 8

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
"""All names of any TensorRT that we use: class or function, and members. A test compares it with 10.x, 11.x and RTX."""
USED_OF_RTX = {"ComputeCapability": (), "IBuilderConfig": ("num_compute_capabilities", "set_compute_capability")}


@dataclass(frozen=True)
class Installed:
    """An installed TensorRT."""

    module: str
    package: str
    """"tensorrt-cu13 11.4.0.106", for messages and cache keys."""


def is_ahead_of_time(device: str) -> bool:
    """Whether `device` is not a GPU of this machine but a kind of GPU, "sm89", to build plans for ahead of time."""
    return re.fullmatch(r"sm\d{2,3}", device) is not None


def capability_of(device: str) -> tuple[int, int]:
    """Compute capability: (8, 9) for "sm89", or that of the GPU "cuda:N"; (0, 0) if there is none."""
    if is_ahead_of_time(device):
        return int(device[2:-1]), int(device[-1])
    gpu = gpu_at(device)
    return gpu.capability if gpu else (0, 0)


def missing(device: str) -> str:
    """Return why TensorRT cannot be used on this device, and what to do; "" if it can. Imports nothing."""
    try:
        able(device)
    except ModelError as error:
        return str(error)
    return ""


def able(device: str) -> list[Installed]:
    """TensorRTs to try for this device: `tensorrt`, then `tensorrt_rtx`; for a GPU elsewhere only `tensorrt_rtx`.

    Raises:
        ModelError: none is installed or new enough, or there is no such GPU; the message says what to do.
    """
    ahead = is_ahead_of_time(device)
    if not ahead and not device.startswith("cuda"):
        raise ModelError(
            f"TensorRT needs an NVIDIA GPU, not device {device!r}. Choose --engine openvino or onnxruntime"
        )
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
    """The first TensorRT that can be imported, with its libraries, and runs on this kind of GPU.

    Raises:
        ModelError: as `able`, or there is none; the message says why for each.
    """
    wrong = []
    for installed in able(device):
        try:
            trt = importlib.import_module(installed.module)
        except (ImportError, OSError) as error:
            wrong.append(f"{installed.package} cannot be imported: {error}")
            continue
        if why := refused(trt, device):
            wrong.append(why)
            continue
        return installed, trt
    raise ModelError(f"{'; '.join(wrong)}. Run again: {INSTALL}")


def find_tensorrt(device: str) -> ModuleType:
    """Import TensorRT. For "sm89" instead of "cuda:0" no GPU is needed; plans can be built but not run.

    Raises:
        ModelError: as `chosen`.
    """
    return chosen(device)[1]


def listed(trt: ModuleType) -> list[str]:
    """The kinds of GPU that TensorRT-RTX has names for: "SM75", "SM86"; empty for other TensorRTs."""
    kinds = getattr(getattr(trt, "ComputeCapability", None), "__members__", {})
    return [name for name in kinds if name.startswith("SM")]


def refused(trt: ModuleType, device: str) -> str:
    """Why TensorRT-RTX does not run on this kind of GPU; "" if it does, or may.

    For a kind that is missing between those that it lists, such as 9.0, it builds a plan and then refuses to load it.
    """
    known, (major, minor) = listed(trt), capability_of(device)
    if not known or f"SM{major}{minor}" in known or 10 * major + minor > max(int(name[2:]) for name in known):
        return ""
    return (
        f"{trt.__name__} {trt.__version__} does not run on GPUs of compute capability {major}.{minor}. "
        f"Install the full TensorRT: {INSTALL}"
    )


def unlisted(trt: ModuleType, device: str) -> str:
    """A note if TensorRT-RTX does not list this GPU's kind; "" if it does, or for other TensorRTs.

    A newer GPU may still work: the gate decides.
    """
    major, minor = capability_of(device)
    known = listed(trt)
    if is_ahead_of_time(device) or not known or f"SM{major}{minor}" in known:
        return ""
    return f"SM{major}{minor} is not among the GPUs that {trt.__name__} {trt.__version__} lists: {', '.join(known)}"


@contextmanager
def noting_unlisted(trt: ModuleType, device: str) -> Iterator[None]:
    """Add the note of `unlisted` to a ModelError."""
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

    TensorRT reports errors by returning None and logging, and it uses the first logger of the process for all. So there
    is one logger, which is never freed; to quote only new lines, call `mark` first.
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
            log.debug("%s: %s", trt.__name__, message.strip())  # the build process prints it, in case it crashes

        def text(self, since: int) -> str:
            """The last errors after that mark, or warnings if there are no errors, each once; "" if there are none."""
            for kept in (self.errors, self.warnings):
                if new := dict.fromkeys(text for number, text in tuple(kept) if number > since):
                    return "\n".join(f"  {line}" for text in list(new)[-LINES_SHOWN:] for line in text.splitlines())
            return ""

    return RecordingLogger()


def mark(trt: ModuleType) -> int:
    """The current position in the log; `failure` of this mark quotes what is logged afterwards."""
    return int(recording_logger(trt).count)


def failure(trt: ModuleType, since: int, what: str) -> ModelError:
    """A ModelError with what the library logged after that mark, perhaps including lines from other threads."""
    text = recording_logger(trt).text(since)
    return ModelError(f"{what}\n{text}" if text else f"{what} ({trt.__name__} {trt.__version__} logged nothing)")


@contextmanager
def free_on_error() -> Iterator[None]:
    """Free the objects of failed calls before their error propagates.

    An error keeps the frames it passed through, and those keep a Builder or Runtime, until garbage is collected. That
    may happen while another Builder or Runtime logs and holds a lock that freeing the first one needs: a deadlock.
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
