"""The portable CPU backend: an exported network in ONNX Runtime, fp32."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from engines.backends.backend import Backend, Order
from engines.backends.on_openvino import cpu_features
from engines.engine import Engine, Port
from pipeline.arrays import Array
from pipeline.errors import ModelError
from pipeline.machine import package_version

_ERRORS_ONLY = 3


class OnnxRuntimeEngine(Engine):
    """Runs the file at `path`."""

    backend = "onnxruntime"

    def __init__(
        self,
        path: Path,
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        threads: int = 1,
        max_batch: int = 0,
    ) -> None:
        super().__init__(inputs, outputs, max_batch)
        self._path = path
        self._threads = threads
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
        except Exception as error:  # onnxruntime's errors have no common base class
            raise ModelError(f"{self._path}: ONNX Runtime cannot load it: {error}") from error
        self._check_names()

    def _options(self, ort: Any) -> Any:
        """Threads sleep while they wait, because other workers need the core; memory is returned to the system."""
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
        return dict(zip(names, self._session.run(names, whole), strict=True))

    def _close(self) -> None:
        self._session = None


class OnnxRuntimeBackend(Backend):
    name = "onnxruntime"
    runtime = "onnxruntime"
    runs_export = True

    def missing(self, device: str) -> str:
        if device != "cpu":
            return f"ONNX Runtime runs on the CPU here, not on {device}. Choose --device cpu, or --engine torch"
        return "" if find_spec("onnxruntime") else "ONNX Runtime is not installed. Run: pip install onnxruntime"

    def precisions(self, device: str) -> tuple[str, ...]:
        return ("fp32",)

    def facts(self, order: Order) -> dict[str, str]:
        return {"onnxruntime": package_version("onnxruntime"), "cpu": " ".join(cpu_features())}

    def make(self, order: Order, exported: Path | None, built: Path) -> Engine:
        assert exported is not None
        return OnnxRuntimeEngine(
            exported, order.inputs, order.outputs, order.threads, order.micro_batch or order.max_batch
        )


BACKEND = OnnxRuntimeBackend()
