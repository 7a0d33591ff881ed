"""The interface of a backend. Each backend is one module `on_<name>.py` that ends with `BACKEND = ...`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engines.engine import Engine, Port

if TYPE_CHECKING:
    from torch import nn

Report = Callable[[str], None]
"""Receives a progress line; each call also resets the build timeout."""


@dataclass(frozen=True)
class Order:
    """A request to build or open a network in one precision on one device. Plain, picklable data."""

    network: str
    """Key of `engines.models.network.NETWORKS`."""
    directory: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    precision: str
    """"fp32", "bf16", "fp16" or "int8"."""
    device: str
    """"cpu", or "cuda:0"."""
    threads: int = 1
    typical_batch: int = 8
    max_batch: int = 64
    micro_batch: int = 0
    """Largest batch that a CPU should run at once; 0 for no limit."""
    cache_directory: str = ""

    def load(self) -> "nn.Module":
        """The PyTorch module in fp32, eval mode."""
        from engines.models.network import network

        return network(self.network).load(Path(self.directory))


class Backend(ABC):
    """One way to run networks."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Part of every engine's cache key: raise it when the adapter makes different engines for the same order."""
    runtime: ClassVar[str] = "torch"
    """Module that its engines import, as in `pipeline.stage.Stage.preload`."""
    runs_export: ClassVar[bool] = False
    """Whether its engines load the exported file itself instead of the output of `build`."""
    in_child: ClassVar[bool] = False
    """Whether `build` and the first `open` run in their own process, because native code may crash there."""

    @abstractmethod
    def missing(self, device: str) -> str:
        """Return why it cannot be used on this device, and what to do; "" if it can. Cheap: no heavy import.

        "OpenVINO is not installed. Run: pip install 'percept-av[openvino]'"
        """

    @abstractmethod
    def precisions(self, device: str) -> tuple[str, ...]:
        """Precisions that "auto" tries on this device, best first."""

    def other_precisions(self, device: str) -> tuple[str, ...]:
        """Further precisions that are available if requested by name."""
        return ()

    def graph(self, precision: str) -> str:
        """Precision of the exported file that the engine is built from: "fp32", "bf16", "fp16"; "" if it needs none."""
        return "fp32"

    def made_by(self, order: Order) -> str:
        """The command that makes this engine if `build` cannot, because it needs more than the network; else ""."""
        return ""

    @abstractmethod
    def facts(self, order: Order) -> dict[str, str]:
        """What a built engine depends on in addition to the export: versions, device, flags, shapes."""

    def build(self, order: Order, exported: Path | None, into: Path, report: Report) -> None:
        """Compile into files under `into`. Does nothing in a backend that loads the export itself.

        Raises:
            ModelError: it cannot be built; includes the log lines that explain why.
        """

    @abstractmethod
    def make(self, order: Order, exported: Path | None, built: Path) -> Engine:
        """The engine, not yet open. `exported`: the ONNX file; `built`: the directory that `build` filled."""
