"""An engine is a loaded network: named arrays in, named arrays out. It knows nothing of clips."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.arrays import Array, check_array


@dataclass(frozen=True)
class Port:
    """A named input or output: numpy dtype, and dims as "B 3 224 224" where letters are dynamic."""

    name: str
    dtype: str
    dims: str


class Engine(ABC):
    """Base of all backends: inputs are checked here once, so that every backend fails alike.

    The constructor is cheap and picklable; `open` loads; `run` may be called from one thread at a time; `close` may be
    called twice; `run` after `close` raises.
    """

    backend: str = ""
    precision: str = "fp32"

    def __init__(self, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._is_open = False

    @property
    def name(self) -> str:
        """What results carry, such as "onnxruntime-fp32"."""
        return f"{self.backend}-{self.precision}"

    def open(self) -> None:
        if not self._is_open:
            self._open()
            self._is_open = True

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name, owned by the caller.

        Raises:
            ValueError: an input is missing, unknown, or of the wrong dtype or shape; the message names it.
            RuntimeError: the engine is not open.
        """
        if not self._is_open:
            raise RuntimeError(f"engine {self.name} is not open")
        wanted = {port.name for port in self.inputs}
        if set(feeds) != wanted:
            raise ValueError(f"engine {self.name} takes inputs {sorted(wanted)}, got {sorted(feeds)}")
        for port in self.inputs:
            check_array(port.name, feeds[port.name], port.dims, port.dtype)
        return self._run(feeds)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._close()

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]: ...

    @abstractmethod
    def _close(self) -> None: ...
