"""The available backends, and the order in which "auto" tries them."""

import importlib
from dataclasses import dataclass
from typing import Protocol

from engines.backends.backend import Backend
from engines.devices.gpus import gpu_here, why_no_gpu_here
from pipeline.errors import ModelError, Problems

BACKENDS = {
    "torch": "engines.backends.on_torch",
    "onnxruntime": "engines.backends.on_onnxruntime",
    "openvino": "engines.backends.on_openvino",
    "tensorrt": "engines.tensorrt.on_tensorrt",
}
AUTO = {"cpu": ("openvino", "onnxruntime", "torch"), "cuda": ("tensorrt", "torch"), "sm": ("tensorrt",)}
"""Backends that "auto" tries, best first, by kind of device; "sm89" is a GPU kind to build plans for ahead of time."""


CPU_ALONE = ("onnxruntime", "openvino")
"""Backends that run on the CPU only."""


class EngineSettings(Protocol):
    """The part of a run's settings that concerns engines; `RunSettings` implements it."""

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
    """`EngineSettings` outside a run; the defaults are the reference engine."""

    engine: str = "torch"
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 1
    cache_directory: str = ""


@dataclass(frozen=True)
class Candidate:
    """A backend, precision and device that networks may run with."""

    backend: str
    precision: str
    device: str

    @property
    def name(self) -> str:
        """`openvino-bf16`"""
        return f"{backend(self.backend).name}-{self.precision}"


@dataclass(frozen=True)
class PassedOver:
    """A candidate that is not used.

    short: one clause, such as "openvino-bf16 failed its gate". detail: the same with figures, or with what to do.
    """

    short: str
    detail: str


def backend(name: str) -> Backend:
    """The backend of this name in `BACKENDS`, or at "package.module:NAME".

    Raises:
        ModelError: there is no such backend; the message lists the available ones.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(BACKENDS.get(name, module)), attribute or "BACKEND")
    except (ImportError, AttributeError, ValueError) as error:
        own = f" ({error})" if attribute else ""
        raise ModelError(f"--engine {name}: unknown engine{own}; expected auto, {', '.join(BACKENDS)}") from error
    if not isinstance(found, Backend):
        raise ModelError(f"--engine {name}: not a backend; expected an instance of engines.backends.backend.Backend")
    return found


def check_engine(run: EngineSettings) -> None:
    """Check that what a run requests by name is available on this machine, without importing a runtime.

    Raises:
        ModelError: the engine, device or precision is not available; the message says what to do.
    """
    problems = Problems()
    no_gpu = why_no_gpu_here(run.device) if run.device.startswith("cuda") else ""
    if no_gpu:
        problems.add(ModelError(no_gpu))
    with problems.collected():
        chosen = backend(run.engine) if run.engine != "auto" else None
        if no_gpu and chosen and run.engine != "torch" and (why := chosen.missing(run.device)):
            problems.add(ModelError(f"--engine {run.engine}: {why}"))
    problems.raise_all()
    if run.device.startswith("cuda"):
        return  # the processes that use the GPU check the rest: this process may still fork
    if may_use_gpu(run):
        return
    device = "cpu" if run.device == "auto" else run.device
    candidates(Settings(run.engine, run.precision, device, run.threads, run.cache_directory))


def may_use_gpu(run: EngineSettings) -> bool:
    """Whether networks may run on a GPU. Imports no torch and does not initialise CUDA."""
    return run.device.startswith("cuda") or (run.device == "auto" and run.engine not in CPU_ALONE and gpu_here())


def device_of(run: EngineSettings) -> str:
    """Return "cpu" or "cuda:N"; "auto" is the first GPU that torch finds, or the CPU."""
    if run.device == "cuda":
        return "cuda:0"
    if run.device != "auto":
        return run.device
    if not may_use_gpu(run):
        return "cpu"
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def candidates(run: EngineSettings) -> tuple[list[Candidate], list[PassedOver]]:
    """The candidates for a run in the order they are tried, and those that cannot be used here.

    Raises:
        ModelError: there is no candidate; the message says why and what to do.
    """
    device = device_of(run)
    found: list[Candidate] = []
    skipped: list[PassedOver] = []
    order = AUTO[device.partition(":")[0].rstrip("0123456789")] if run.engine == "auto" else run.engine.split(",")
    for name in order:
        chosen = backend(name)
        if why := chosen.missing(device):
            skipped.append(PassedOver(why.partition(". ")[0], f"{chosen.name}: {why}"))
            continue
        able = chosen.precisions(device)
        if run.precision == "int8" and "int8" in chosen.other_precisions(device):
            able = ("int8", *able)  # int8 is made per network; the others keep their precision, with a warning
        elif run.precision != "auto":
            able = tuple(each for each in (*able, *chosen.other_precisions(device)) if each == run.precision)
            if not able:
                text = f"{chosen.name} has no {run.precision} here"
                skipped.append(PassedOver(text, text))
        found += [Candidate(name, precision, device) for precision in dict.fromkeys(able)]
    if not found:
        wanted = f"--engine {run.engine}" + (f" --precision {run.precision}" if run.precision != "auto" else "")
        why = "; ".join(each.detail.removeprefix(f"{run.engine}: ") for each in skipped)
        if run.precision not in ("auto", "fp32"):
            raise ModelError(f"{wanted}: {why}. Choose --precision auto, or fp32")
        raise ModelError(f"{wanted}: {why}")
    return found, skipped
