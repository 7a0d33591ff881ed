"""The portable CPU backend: an exported network in ONNX Runtime, fp32."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engines.engine import Engine, Port
from pipeline.arrays import Array
from pipeline.errors import ModelError

_ERRORS_ONLY = 3


class OnnxRuntimeEngine(Engine):
    """Runs the file at `path`. Batches above `micro_batch` (0 for no limit) are run in parts, so that memory stays."""

    backend = "onnxruntime"

    def __init__(
        self,
        path: Path,
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        threads: int = 1,
        micro_batch: int = 0,
    ) -> None:
        super().__init__(inputs, outputs)
        self._path = path
        self._threads = threads
        self._micro_batch = micro_batch
        self._session: Any = None

    def _open(self) -> None:
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise ModelError(
                "ONNX Runtime is not installed. Run: pip install onnxruntime, or choose --engine torch"
            ) from error
        try:
            self._session = ort.InferenceSession(
                str(self._path), self._options(ort), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has no common base of its own errors
            raise ModelError(f"{self._path}: ONNX Runtime cannot load it: {error}") from error
        self._check_names()

    def _options(self, ort: Any) -> Any:
        """Threads that sleep while they wait (other workers need the core) and memory that is given back."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        return options

    def _check_names(self) -> None:
        for kind, ports, found in (
            ("inputs", self.inputs, [node.name for node in self._session.get_inputs()]),
            ("outputs", self.outputs, [node.name for node in self._session.get_outputs()]),
        ):
            if [port.name for port in ports] != found:
                raise ModelError(f"{self._path}: {kind} are {found}; expected {[port.name for port in ports]}")

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        names = [port.name for port in self.outputs]
        whole = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        batch = len(next(iter(whole.values())))
        size = self._micro_batch or max(batch, 1)
        if batch <= size:
            return dict(zip(names, self._session.run(names, whole), strict=True))
        parts = [
            self._session.run(names, {name: array[begin : begin + size] for name, array in whole.items()})
            for begin in range(0, batch, size)
        ]
        return {name: np.concatenate(results) for name, results in zip(names, zip(*parts, strict=True), strict=True)}

    def _close(self) -> None:
        self._session = None
