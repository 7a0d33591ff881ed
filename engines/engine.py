"""An engine is a loaded network: named arrays in, named arrays out. It has no notion of clips."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.arrays import Array, check_array


@dataclass(frozen=True)
class Port:
    """A named input or output: numpy dtype, and dims as "B 3 224 224" where letters are dynamic."""

    name: str
    dtype: str
    dims: str


Ports = tuple[tuple[Port, ...], tuple[Port, ...]]
"""Inputs and outputs."""


class Engine(ABC):
    """Base class of all engines. Inputs are checked here, so every backend raises the same errors.

    The constructor is cheap and picklable; `open` loads; `run` may be called from one thread at a time; `close` may be
    called twice; `run` after `close` raises.

    max_batch: largest batch of one call to the backend, 0 for no limit; larger requests are run in parts.
    """

    backend: str = ""
    precision: str = "fp32"
    device: str = "cpu"
    """Where the network runs. On "cuda:0", feeds may also be torch tensors on that device."""
    reason: str = ""
    """Why this backend was chosen, for display."""
    passed_over: tuple[str, ...] = ()
    """Preferred candidates that were not used, one clause each: "openvino-bf16 failed its gate"."""

    def __init__(self, inputs: tuple[Port, ...], outputs: tuple[Port, ...], max_batch: int = 0) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.max_batch = max_batch
        self._is_open = False

    @property
    def name(self) -> str:
        """The name in results, such as "onnxruntime-fp32"."""
        return f"{self.backend}-{self.precision}"

    def open(self) -> None:
        if not self._is_open:
            self._open()
            self._is_open = True

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """Return the outputs by name, as numpy arrays owned by the caller.

        Raises:
            ValueError: an input is missing, unknown, empty, or of the wrong dtype or shape; the message names it.
            RuntimeError: the engine is not open.
        """
        if not self._is_open:
            raise RuntimeError(f"engine {self.name} is not open")
        wanted = {port.name for port in self.inputs}
        if set(feeds) != wanted:
            raise ValueError(f"engine {self.name} expects inputs {sorted(wanted)}, got {sorted(feeds)}")
        batch = self._check(feeds)
        if not self.max_batch or batch <= self.max_batch:
            return self._run(feeds)
        return self._run_in_parts(feeds, batch)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._close()

    def _check(self, feeds: Mapping[str, Any]) -> int:
        """Check that every input fits its port and that all agree on every letter; return the batch size."""
        sizes: dict[str, int] = {}
        for port in self.inputs:
            feed = feeds[port.name]
            array = feed if isinstance(feed, np.ndarray) else _shape_only(feed, port.name, self.device)
            for letter, size in check_array(port.name, array, port.dims, port.dtype).items():
                if sizes.setdefault(letter, size) != size:
                    raise ValueError(f"{port.name} has {letter} = {size}; another input has {sizes[letter]}")
        batch = sizes.get("B", 1)
        if not batch:
            raise ValueError(f"{self.inputs[0].name} is empty; expected a batch of at least 1")
        return batch

    def _run_in_parts(self, feeds: Mapping[str, Any], batch: int) -> dict[str, Array]:
        has_batch = {port.name: port.dims.split()[:1] == ["B"] for port in self.inputs}
        parts = [
            self._run({name: feed[begin : begin + self.max_batch] if has_batch[name] else feed
                       for name, feed in feeds.items()})
            for begin in range(0, batch, self.max_batch)
        ]  # fmt: skip
        return {port.name: np.concatenate([part[port.name] for part in parts]) for port in self.outputs}

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _run(self, feeds: Mapping[str, Any]) -> dict[str, Array]: ...

    @abstractmethod
    def _close(self) -> None: ...


def _shape_only(feed: Any, name: str, device: str) -> Array:
    """A stand-in array with the tensor's shape and dtype, without its memory."""
    where = str(getattr(feed, "device", ""))
    if where != device or device == "cpu":
        raise ValueError(f"{name} must be a numpy array, or a tensor on {device}; got {type(feed).__name__} {where}")
    return np.broadcast_to(np.zeros((), str(feed.dtype).removeprefix("torch.")), tuple(feed.shape))
