"""The reference backend: the PyTorch module itself, in fp32."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.engine import Engine, Port
from pipeline.arrays import Array
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from torch import nn


class TorchEngine(Engine):
    """Runs what `load` gives, on the CPU or on "cuda".

    `threads` is the process's: torch knows one number for all of it.
    """

    backend = "torch"

    def __init__(
        self,
        load: Callable[[], "nn.Module"],
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        super().__init__(inputs, outputs)
        self._load = load
        self._device = device
        self._threads = threads
        self._module: Any = None

    def _open(self) -> None:
        import torch

        if self._device.startswith("cuda") and not torch.cuda.is_available():
            raise ModelError(f"device {self._device!r}: torch finds no NVIDIA GPU. Choose --device cpu")
        torch.set_num_threads(self._threads)
        self._module = self._load().requires_grad_(False).eval().to(self._device)

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        import torch

        with torch.inference_mode():
            tensors = [torch.from_numpy(_writable(feeds[port.name])).to(self._device) for port in self.inputs]
            results = self._module(*tensors)
        results = results if isinstance(results, tuple) else (results,)
        return {port.name: result.cpu().numpy() for port, result in zip(self.outputs, results, strict=True)}

    def _close(self) -> None:
        self._module = None


def _writable(array: Array) -> Array:
    """The array itself, or a copy where torch would warn that it cannot promise not to write to it."""
    return np.ascontiguousarray(array) if array.flags.writeable else array.copy()
