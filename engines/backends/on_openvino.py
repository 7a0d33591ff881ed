"""OpenVINO on the CPU: bf16 if the CPU supports it, else fp32; int8 from a network that was quantised offline."""

import contextlib
import importlib
import logging
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engines.backends.backend import Backend, Order, Report
from engines.engine import Engine, Port
from pipeline.arrays import Array
from pipeline.errors import ModelError
from pipeline.machine import package_version, unmap_pages

PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""Arithmetic for floats. By default OpenVINO would choose; int8 networks keep some operations in floats."""
CPU_INFO = Path("/proc/cpuinfo")
CPU_FEATURES = ("amx_bf16", "amx_int8", "avx2", "avx512_bf16", "avx512_vnni", "avx512f", "avx_vnni")
"""CPU flags that decide which kernels run, and so affect an engine's outputs."""
NETWORK = "network.xml"
COMPILED = "network.blob"
"""Depends on the version of OpenVINO and on the CPU, which are part of an engine's key."""
WITHOUT_WEIGHTS = {"CACHE_MODE": "OPTIMIZE_SIZE"}
QUANTISER_VERSION = 2
"""Part of the cache key of int8 engines: raise it when `engines/building/quantize.py` makes different networks."""


class OpenVinoEngine(Engine):
    """Runs an ONNX file or OpenVINO's own .xml. Batches above `max_batch` (0 for no limit) are run in parts."""

    backend = "openvino"

    def __init__(
        self,
        path: Path,
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        precision: str = "fp32",
        threads: int = 1,
        max_batch: int = 0,
    ) -> None:
        super().__init__(inputs, outputs, max_batch)
        self.precision = precision
        self._path = path
        self._threads = threads
        self._request: Any = None
        self._is_used = False

    def _open(self) -> None:
        try:
            compiled = self._imported() or self._compiled()
            self._check_names(compiled)
            self._request = compiled.create_infer_request()
        except RuntimeError as error:  # the only type that OpenVINO raises
            raise ModelError(f"{self._path}: OpenVINO cannot load it: {_last_line(error)}") from error

    def _compiled(self) -> Any:
        core = import_openvino().Core()
        return core.compile_model(core.read_model(self._path), "CPU", self._options())

    def _imported(self) -> Any:
        """What `export_compiled` wrote, which spares most of compiling; None if it is missing or cannot be used."""
        try:
            blob = self._path.with_name(COMPILED).read_bytes()
        except OSError:
            return None
        weights = {"WEIGHTS_PATH": str(self._path.with_suffix(".bin"))}
        with contextlib.suppress(RuntimeError):
            return import_openvino().Core().import_model(blob, "CPU", self._options() | WITHOUT_WEIGHTS | weights)
        return None

    def export_compiled(self) -> None:
        """Write the compiled network, without its weights, next to the network.

        Raises:
            ModelError: it cannot be compiled.
        """
        try:
            core = import_openvino().Core()
            compiled = core.compile_model(core.read_model(self._path), "CPU", self._options() | WITHOUT_WEIGHTS)
            self._path.with_name(COMPILED).write_bytes(compiled.export_model().getvalue())
        except RuntimeError as error:
            raise ModelError(f"{self._path}: OpenVINO cannot compile it: {_last_line(error)}") from error

    def _options(self) -> dict[str, Any]:
        """Every option is set explicitly. Threads are not pinned: two workers that both pin would share one core."""
        return {
            "INFERENCE_PRECISION_HINT": PRECISION_HINTS[self.precision],
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }

    def _check_names(self, model: Any) -> None:
        for kind, ports, found in (("inputs", self.inputs, model.inputs), ("outputs", self.outputs, model.outputs)):
            names = [node.get_names() for node in found]
            wanted = [port.name for port in ports]
            if len(names) != len(wanted) or not all(any(name in each for each in names) for name in wanted):
                have = sorted(min(each, default="") for each in names)
                raise ModelError(f"{self._path}: {kind} are {have}; expected {wanted}")

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The first call arranges the weights anew, and does not need those of the file any longer.

        Inputs are copied: OpenVINO would keep a reference to a shared one, whose slot may be unmapped later."""
        self._request.infer(dict(feeds), share_inputs=False)
        if not self._is_used:
            self._is_used = True
            unmap_pages(self._path.with_suffix(".bin"))
        return {port.name: self._request.get_tensor(port.name).data.copy() for port in self.outputs}

    def _close(self) -> None:
        self._request, self._is_used = None, False


class OpenVinoBackend(Backend):
    name = "openvino"
    runtime = "engines.backends.on_openvino:import_openvino"

    def missing(self, device: str) -> str:
        if device != "cpu":
            return f"OpenVINO runs on the CPU here, not on {device}. Choose --device cpu, or --engine torch"
        if find_spec("openvino") is None:
            return "OpenVINO is not installed. Run: pip install 'percept-av[openvino]'"
        return ""

    def precisions(self, device: str) -> tuple[str, ...]:
        return ("bf16", "fp32") if has_bf16() else ("fp32",)

    def other_precisions(self, device: str) -> tuple[str, ...]:
        return ("int8",)

    def made_by(self, order: Order) -> str:
        return "percept engine quantize MODEL CLIPS..." if order.precision == "int8" else ""

    def facts(self, order: Order) -> dict[str, str]:
        facts = {"openvino": package_version("openvino"), "cpu": " ".join(cpu_features()), "precision": order.precision}
        return facts | ({"quantiser": str(QUANTISER_VERSION)} if order.precision == "int8" else {"has": COMPILED})

    def build(self, order: Order, exported: Path | None, into: Path, report: Report) -> None:
        """Write OpenVINO's own format, fp32 for bf16 too. It is memory-mapped, so processes share the weights."""
        _check_precision(order)
        if order.precision == "int8":
            raise ModelError(_not_quantised(order))
        if exported is None:
            raise ModelError(f"{order.network}: OpenVINO needs the exported network, got none")
        save(convert(exported), into)
        OpenVinoEngine(into / NETWORK, order.inputs, order.outputs, order.precision).export_compiled()

    def make(self, order: Order, exported: Path | None, built: Path) -> Engine:
        _check_precision(order)
        path = built / NETWORK
        if order.precision == "int8" and not path.is_file():
            raise ModelError(_not_quantised(order))
        most = order.micro_batch or order.max_batch
        return OpenVinoEngine(path, order.inputs, order.outputs, order.precision, order.threads, most)


def import_openvino() -> Any:
    """Import `openvino` with its telemetry disabled.

    The package `openvino_telemetry` reports each import to an analytics service and writes an id into the home
    directory. It is made to look absent, a case that both OpenVINO and NNCF handle.

    Raises:
        ModelError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise ModelError(BACKEND.missing("cpu") or f"OpenVINO cannot be imported: {error}") from error


def convert(exported: Path) -> Any:
    """Convert an ONNX file to an `openvino.Model`, with decomposed operations (Clip, attention) fused again.

    Raises:
        ModelError: the file is not a network.
    """
    openvino = import_openvino()
    try:
        with _root_logger_kept():
            return openvino.convert_model(exported)
    except Exception as error:  # the converter's errors have no common base class
        raise ModelError(f"{exported}: OpenVINO cannot read it: {_last_line(error)}") from error


@contextlib.contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Restore the root logger. A failed conversion sets it to ERROR, with a handler and a filter: warnings vanish."""
    root = logging.getLogger()
    level, handlers, filters = root.level, list(root.handlers), list(root.filters)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
        root.filters[:] = filters


def save(model: Any, into: Path) -> None:
    """Write `network.xml` and `network.bin` with unchanged weights; by default they would be compressed to fp16."""
    import_openvino().save_model(model, into / NETWORK, compress_to_fp16=False)


def cpu_features(cpu_info: Path = CPU_INFO) -> list[str]:
    """The `CPU_FEATURES` that this CPU has; empty if that is unknown."""
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:
        return []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return [feature for feature in CPU_FEATURES if feature in flags]


def has_bf16(cpu_info: Path = CPU_INFO) -> bool:
    """Whether the CPU has bf16 arithmetic; otherwise bf16 would be emulated, slower than fp32."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpu_features(cpu_info))


def _check_precision(order: Order) -> None:
    if order.precision == "bf16" and not has_bf16():
        raise ModelError(
            "--precision bf16: this CPU has no bf16 arithmetic (avx512_bf16 or amx_bf16). Choose --precision fp32"
        )
    if order.precision not in PRECISION_HINTS:
        raise ModelError(f"--precision {order.precision}: OpenVINO supports {', '.join(PRECISION_HINTS)} here")


def _not_quantised(order: Order) -> str:
    return (
        f"{order.network} int8: not quantised yet; expected a network made from your own clips. "
        f"Run: {BACKEND.made_by(order)}"
    )


def _last_line(error: Exception) -> str:
    """OpenVINO's messages list source locations first and the reason last."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)


BACKEND = OpenVinoBackend()
