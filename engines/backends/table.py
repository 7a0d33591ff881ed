"""Which backends there are, and in which order "auto" tries them."""

import importlib
from dataclasses import dataclass
from typing import Protocol

from engines.backends.backend import Backend
from pipeline.errors import ModelError

BACKENDS = {
    "torch": "engines.backends.on_torch",
    "onnxruntime": "engines.backends.on_onnxruntime",
    "openvino": "engines.backends.on_openvino",
    "tensorrt": "engines.tensorrt.on_tensorrt",
}
AUTO = {"cpu": ("openvino", "onnxruntime", "torch"), "cuda": ("tensorrt", "torch"), "sm": ("tensorrt",)}
"""What "auto" prefers, by kind of device; "sm89" is a kind of GPU that is not here, for which plans can be built."""
PRECISIONS = ("fp32", "bf16", "fp16", "int8")


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
        return f"{self.backend}-{self.precision}"


def backend(name: str) -> Backend:
    """Raises: ModelError: there is no such backend; the message lists those there are."""
    if name not in BACKENDS:
        raise ModelError(f"--engine {name}: not known; expected auto, {', '.join(BACKENDS)}")
    found: Backend = importlib.import_module(BACKENDS[name]).BACKEND
    return found


def device_of(run: EngineSettings) -> str:
    """ "cpu" or "cuda:N"; "auto" is the first GPU that torch finds, or the CPU."""
    if run.device == "cuda":
        return "cuda:0"
    if run.device != "auto":
        return run.device
    if run.engine in ("onnxruntime", "openvino"):
        return "cpu"
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def candidates(run: EngineSettings) -> tuple[list[Candidate], list[str]]:
    """What may be tried for a run, in order, and why other things that "auto" knows may not: a sentence each.

    Raises:
        ModelError: an engine or precision asked for by name cannot be had here; says what to do.
    """
    device = device_of(run)
    found: list[Candidate] = []
    skipped: list[str] = []
    for name in AUTO[device.partition(":")[0].rstrip("0123456789")] if run.engine == "auto" else (run.engine,):
        chosen = backend(name)
        if why := chosen.missing(device):
            skipped.append(f"{name}: {why}")
            continue
        able = chosen.precisions(device)
        if run.precision == "int8" and "int8" in chosen.other_precisions(device):
            able = ("int8", *able)  # it is made network by network: the others stay as they are, aloud
        elif run.precision != "auto":
            able = tuple(each for each in (*able, *chosen.other_precisions(device)) if each == run.precision)
            if not able:
                skipped.append(f"{name}: has no {run.precision} here")
        found += [Candidate(name, precision, device) for precision in dict.fromkeys(able)]
    if not found:
        wanted = f"--engine {run.engine}" + (f" --precision {run.precision}" if run.precision != "auto" else "")
        raise ModelError(f"{wanted}: {'; '.join(skipped)}")
    return found, skipped
