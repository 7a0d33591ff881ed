"""What a backend must say and do. Each lives in one file `engines/on_<name>.py` and ends with `BACKEND = ...`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engines.engine import Engine, Port

if TYPE_CHECKING:
    from torch import nn

Report = Callable[[str], None]
"""Takes a line about progress; being called is also the sign of life that holds a deadline off."""


@dataclass(frozen=True)
class Order:
    """What is to be built or opened: a network in one precision on one device. Plain, picklable data."""

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
    """Most that a CPU should run at once; 0 for no limit."""
    cache_directory: str = ""

    def load(self) -> "nn.Module":
        """The PyTorch module in fp32, eval mode."""
        from engines.models.network import network

        return network(self.network).load(Path(self.directory))


class Backend(ABC):
    """One way to run networks."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Part of every engine's key: raise it when the adapter makes other engines of the same order."""
    runs_export: ClassVar[bool] = False
    """Whether its engines load the exported file itself, and not what `build` made of it."""
    in_child: ClassVar[bool] = False
    """Whether `build` and the first `open` run in a process of their own, because native code may crash there."""

    @abstractmethod
    def missing(self, device: str) -> str:
        """Why it cannot be used on this device, and what to do about it; "" if it can. Cheap: no heavy import.

        "OpenVINO is not installed. Run: pip install 'percept-av[openvino]'"
        """

    @abstractmethod
    def precisions(self, device: str) -> tuple[str, ...]:
        """What "auto" tries here, best first."""

    def other_precisions(self, device: str) -> tuple[str, ...]:
        """What it can do when asked by name, beyond `precisions`."""
        return ()

    def graph(self, precision: str) -> str:
        """Precision of the exported file it is built from: "fp32", "bf16", "fp16"; "" if it needs none."""
        return "fp32"

    def made_by(self, order: Order) -> str:
        """The command that makes this engine where `build` cannot, because it needs more than the network; else ""."""
        return ""

    @abstractmethod
    def facts(self, order: Order) -> dict[str, str]:
        """What a built engine depends on beside the export: versions, device, flags, shapes."""

    def build(self, order: Order, exported: Path | None, into: Path, report: Report) -> None:
        """Compile into files under `into`; nothing to do for a backend that loads the export itself.

        Raises:
            ModelError: it cannot be built; with the log lines of whoever said why.
        """

    @abstractmethod
    def make(self, order: Order, exported: Path | None, built: Path) -> Engine:
        """The engine, not yet open. `exported`: the ONNX file; `built`: the directory that `build` filled."""
