"""Which backends there are, and in which order "auto" tries them."""

import importlib
from dataclasses import dataclass
from typing import Protocol

from engines.backends.backend import Backend
from engines.devices.gpus import gpu_here, why_no_gpu_here
from pipeline.errors import ModelError

BACKENDS = {
    "torch": "engines.backends.on_torch",
    "onnxruntime": "engines.backends.on_onnxruntime",
    "openvino": "engines.backends.on_openvino",
    "tensorrt": "engines.tensorrt.on_tensorrt",
}
AUTO = {"cpu": ("openvino", "onnxruntime", "torch"), "cuda": ("tensorrt", "torch"), "sm": ("tensorrt",)}
"""What "auto" prefers, by kind of device; "sm89" is a kind of GPU that is not here, for which plans can be built."""


CPU_ALONE = ("onnxruntime", "openvino")
"""Backends that run on the CPU only."""


class EngineSettings(Protocol):
    """What of a run's settings concerns engines; `RunSettings` has it all."""

    @property
    def engine(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def cache_directory(self) -> str: ...


@dataclass(frozen=True)
class Settings:
    """`EngineSettings` of no run: the reference, unless told otherwise."""

    engine: str = "torch"
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 1
    cache_directory: str = ""


@dataclass(frozen=True)
class Candidate:
    """One way to run networks here."""

    backend: str
    precision: str
    device: str

    @property
    def name(self) -> str:
        """`openvino-bf16`"""
        return f"{backend(self.backend).name}-{self.precision}"


@dataclass(frozen=True)
class PassedOver:
    """A way to run a network that is not used.

    short: one clause, such as "openvino-bf16 failed its gate". detail: the same with figures, or with what to do.
    """

    short: str
    detail: str


def backend(name: str) -> Backend:
    """The backend of this name in `BACKENDS`, or at "package.module:NAME".

    Raises:
        ModelError: there is no such backend; the message lists those there are.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(BACKENDS.get(name, module)), attribute or "BACKEND")
    except (ImportError, AttributeError, ValueError) as error:
        own = f" ({error})" if attribute else ""
        raise ModelError(f"--engine {name}: not known{own}; expected auto, {', '.join(BACKENDS)}") from error
    if not isinstance(found, Backend):
        raise ModelError(f"--engine {name}: is no backend; expected an instance of engines.backends.backend.Backend")
    return found


def check_engine(run: EngineSettings) -> None:
    """Find out whether what a run asks for by name can be had on this machine, without importing a runtime.

    Raises:
        ModelError: engine, device or precision cannot be had; says what to do.
    """
    if run.engine != "auto":
        backend(run.engine)
    if run.device.startswith("cuda"):
        if why := why_no_gpu_here(run.device):
            raise ModelError(why)
        return  # the processes that use the GPU ask it for the rest: this one may still fork
    if run.device == "auto" and gpu_here() and run.engine not in CPU_ALONE:
        return
    device = "cpu" if run.device == "auto" else run.device
    candidates(Settings(run.engine, run.precision, device, run.threads, run.cache_directory))


def device_of(run: EngineSettings) -> str:
    """ "cpu" or "cuda:N"; "auto" is the first GPU that torch finds, or the CPU."""
    if run.device == "cuda":
        return "cuda:0"
    if run.device != "auto":
        return run.device
    if run.engine in CPU_ALONE:
        return "cpu"
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def candidates(run: EngineSettings) -> tuple[list[Candidate], list[PassedOver]]:
    """What may be tried for a run, in order, and what "auto" knows but cannot use.

    Raises:
        ModelError: an engine or precision asked for by name cannot be had here; says what to do.
    """
    device = device_of(run)
    found: list[Candidate] = []
    skipped: list[PassedOver] = []
    for name in AUTO[device.partition(":")[0].rstrip("0123456789")] if run.engine == "auto" else (run.engine,):
        chosen = backend(name)
        if why := chosen.missing(device):
            skipped.append(PassedOver(why.partition(". ")[0], f"{chosen.name}: {why}"))
            continue
        able = chosen.precisions(device)
        if run.precision == "int8" and "int8" in chosen.other_precisions(device):
            able = ("int8", *able)  # it is made network by network; the others keep their precision, with a warning
        elif run.precision != "auto":
            able = tuple(each for each in (*able, *chosen.other_precisions(device)) if each == run.precision)
            if not able:
                text = f"{chosen.name} has no {run.precision} here"
                skipped.append(PassedOver(text, text))
        found += [Candidate(name, precision, device) for precision in dict.fromkeys(able)]
    if not found:
        wanted = f"--engine {run.engine}" + (f" --precision {run.precision}" if run.precision != "auto" else "")
        raise ModelError(f"{wanted}: {'; '.join(each.detail for each in skipped)}")
    return found, skipped
