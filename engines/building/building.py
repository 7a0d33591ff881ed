"""From a network to an accepted engine: export, compile, gate. Each step runs once and is kept in the cache.

`prepare_network` builds, `open_network` opens the result. Both try the same candidates in the same order, so every
worker opens the engine that was accepted. A run that may use the reference begins with it, and improves later.
"""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from engines.backends.backend import Backend, Order, Report
from engines.backends.table import Candidate, EngineSettings, PassedOver, backend, candidates, may_use_gpu
from engines.cache.cache import Cache, Meta, key_of
from engines.engine import Engine
from engines.gate.gate import GATE_VERSION, GateReport, gate, joined, pending
from engines.gate.golden import SIZES, golden
from engines.models.network import network
from engines.tensorrt.api import is_ahead_of_time
from pipeline.arrays import Array
from pipeline.errors import ModelError
from pipeline.machine import package_version

log = logging.getLogger("percept.engines")

CPU_BATCH = 16
GPU_BATCH = 64
"""Largest batch of one engine call, and the largest that the gate compares with the reference."""
TYPICAL_BATCH = 8
FEW_SAMPLES = 8
"""Number of golden samples at each of a network's `gate_sizes`."""
BUILD_TIMEOUT_S = 1_800.0
"""Longest time that a build process may go without a progress line."""
UNUSABLE = (ModelError, ImportError, OSError, ValueError, RuntimeError)
"""Errors of an engine that cannot be built or opened here; torch, CUDA and OpenVINO raise RuntimeError."""
REFERENCE = Candidate("torch", "fp32", "cpu")
"""The candidate that all others are compared with; it needs neither a build nor a gate."""

_NOT_BUILT = "not built yet"
_BUILT_BY = "not built yet; a run builds what it needs, or: percept engine build"

LabelSet = Callable[[], "Array | None"]
"""Returns label vectors float32 "L D" for the gate's top-1 comparison; called when something is built."""


class Refused(ModelError):
    """The engine failed its gate, or only its user can make it, or it is not built yet: no reason for a warning."""

    short = "failed its gate"

    def __init__(self, text: str, short: str = "") -> None:
        super().__init__(text)
        self.short = short or self.short


class EngineRecord(msgspec.Struct, frozen=True):
    """What the cache stores about an engine in addition to its files."""

    name: str
    network: str
    directory: str
    device: str
    gate: GateReport


def no_labels() -> None:
    return None


def begins_at_once(run: EngineSettings) -> bool:
    """Whether a run may begin with the reference, which needs no build, while a better engine is being built."""
    return REFERENCE in candidates(run)[0]


def improve_network(
    key: str, directory: str, run: EngineSettings, report: Report, labels: LabelSet = no_labels, what: str = ""
) -> bool:
    """Do what `prepare_network` does. Returns whether `open_network` now opens another engine than before."""
    before = usable(key, directory, run)
    prepare_network(key, directory, run, report, labels, what)
    return usable(key, directory, run) != before


def usable(key: str, directory: str, run: EngineSettings) -> Candidate | None:
    """The first candidate that is built and accepted; None if there is none."""
    for candidate in candidates(run)[0]:
        with contextlib.suppress(*UNUSABLE):
            _make(order_of(key, directory, candidate, run), backend(candidate.backend))
            return candidate
    return None


def runtime_of(key: str, directory: str, run: EngineSettings) -> str:
    """The module that a process imports to open the network now: PyTorch on a GPU, or while nothing else is built."""
    found = None if may_use_gpu(run) else usable(key, directory, run)
    return backend(found.backend).runtime if found else "torch"


def prepare_network(
    key: str, directory: str, run: EngineSettings, report: Report, labels: LabelSet = no_labels, what: str = ""
) -> EngineRecord | None:
    """Build the engine that `open_network` will open: the first candidate that can be built and passes its gate.

    what: names the network in messages, such as "image tower". Returns the engine's record in the cache, or None for
    the reference itself, which needs no build.

    Raises:
        ModelError: no candidate can be used; the message names each and why.
    """
    able, passed_over = candidates(run)
    what = what or key
    failed_gate = False
    for candidate in able:
        order = order_of(key, directory, candidate, run)
        if candidate == REFERENCE and not network(key).is_onnx:
            return None
        reported: list[str] = []
        try:
            record = ensure(order, backend(candidate.backend), _recording(report, reported), labels)
        except UNUSABLE as error:
            passed_over.append(_not_usable(candidate, error))
            reported.append(passed_over[-1].detail)
        else:
            if record.gate.passed:
                return record
            failed_gate = True
            passed_over.append(_not_usable(candidate, Refused(record.gate.refusal)))
        # Reported when it was built; later it is only in `reason`. A precision requested by name is always reported.
        if (reported or candidate.precision == run.precision) and candidate != able[-1]:
            report(f"{what}: {passed_over[-1].detail}; trying {able[able.index(candidate) + 1].name}")
    details = ". ".join(each.detail for each in passed_over)
    if failed_gate and run.precision != "auto":
        details += ". Use --precision auto, which uses the best precision that passes"
    raise ModelError(f"{what}: no engine can be used. {details}")


def _not_usable(candidate: Candidate, error: Exception) -> PassedOver:
    kind = error.short if isinstance(error, Refused) else "could not be built or opened"
    return PassedOver(f"{candidate.name} {kind}", f"{candidate.name}: {error}")


def _recording(report: Report, reported: list[str]) -> Report:
    """A `report` that also appends each line to `reported`."""

    def both(text: str) -> None:
        reported.append(text)
        report(text)

    return both


def open_network(key: str, directory: str, run: EngineSettings, build: bool = False, is_opened: bool = True) -> Engine:
    """Return the open engine; `engine.reason` says why it was chosen, `engine.passed_over` is a summary.

    build: build an engine that was never prepared; otherwise it is passed over, because that takes seconds and memory.
    is_opened: False to be told which engine it is, without loading it.

    Raises:
        ModelError: no backend can run it.
    """
    if build:
        prepare_network(key, directory, run, lambda text: None)
    able, passed_over = candidates(run)
    for candidate in able:
        order = order_of(key, directory, candidate, run)
        try:
            engine = _make(order, backend(candidate.backend))
            if is_opened:
                engine.open()
        except UNUSABLE as error:
            passed_over.append(_not_usable(candidate, error))
            known = isinstance(error, Refused)  # whoever builds it reports it; every process would do so again
            log.log(logging.DEBUG if known else logging.WARNING, "%s: %s", key, passed_over[-1].detail)
            continue
        engine.reason = _reason(run, passed_over)
        engine.passed_over = _clauses(passed_over)
        return engine
    raise ModelError(f"{key}: {'. '.join(each.detail for each in passed_over)}")


def ensure(order: Order, chosen: Backend, report: Report, labels: LabelSet = no_labels) -> EngineRecord:
    """Return the cache's record of this engine; build and gate it first if it is missing, whether or not it passes.

    Raises:
        ModelError: it cannot be built.
    """
    cache, facts = Cache(order.cache_directory, "engines"), engine_facts(order, chosen)
    key = key_of(facts)
    is_export_needed = chosen.runs_export or cache.find(key) is None
    exported = ensure_export(order, chosen.graph(order.precision), report) if is_export_needed else None

    def build(into: Path) -> dict[str, object]:
        if not chosen.made_by(order):
            report(f"building {order.network} for {chosen.name}-{order.precision}, once per model and machine")
        _build(order, chosen, exported, into, report)
        return gated(into)

    def gated(built: Path) -> dict[str, object]:
        engine = chosen.make(order, exported, built)
        is_here = not is_ahead_of_time(order.device)
        outcome = check(order, engine, labels()) if is_here else pending(order.precision, order.device)
        record = EngineRecord(engine.name, order.network, order.directory, order.device, outcome)
        return dict(msgspec.to_builtins(record))

    built = cache.get(key, facts, build)
    record = record_of(cache.meta(key))
    if not record.gate.is_pending or is_ahead_of_time(order.device):
        return record
    report(f"checking {order.network} for {record.name}, which was built on another machine")
    if chosen.in_child:
        from engines.building.build_child import open_in_child

        open_in_child(chosen.name, order, exported, built, report, BUILD_TIMEOUT_S)
    return record_of(cache.note(key, gated(built)))


def record_of(meta: Meta) -> EngineRecord:
    """Raises: ModelError: the record was written by another version."""
    try:
        return msgspec.convert(meta.outcome, EngineRecord)
    except msgspec.ValidationError as error:
        raise ModelError(f"{meta.key}: written by another version ({error}). Run: percept engine clean") from error


def _build(order: Order, chosen: Backend, exported: Path | None, into: Path, report: Report) -> None:
    if not chosen.in_child:
        chosen.build(order, exported, into, report)
        return
    from engines.building.build_child import build_in_child

    build_in_child(chosen.name, order, exported, into, report, BUILD_TIMEOUT_S)


def reference_of(order: Order) -> Engine:
    """The PyTorch module in fp32 on the CPU, not open; of an ONNX file, what ONNX Runtime makes of it."""
    if network(order.network).is_onnx:
        from engines.backends.on_onnxruntime import OnnxRuntimeEngine

        return OnnxRuntimeEngine(Path(order.directory), order.inputs, order.outputs, order.threads, order.micro_batch)
    from engines.backends.on_torch import TorchEngine

    return TorchEngine(order.load, order.inputs, order.outputs, threads=order.threads)


def check(order: Order, engine: Engine, labels: Array | None = None, reference: Engine | None = None) -> GateReport:
    """Run the gate: the engine against `reference`, by default `reference_of(order)`. Opens and closes both.

    Raises:
        ModelError: the engine cannot be opened or run.
    """
    loader = network(order.network)
    reference = reference or reference_of(order)
    feeds = {}
    for sizes in loader.gate_sizes:  # first: some faults depend on the sizes of an engine's first call
        about = ", ".join(f"{axis} {size}" for axis, size in sizes.items())
        feeds[about] = golden(order.inputs, min(FEW_SAMPLES, order.max_batch), loader.level, {**SIZES, **sizes})
    feeds[""] = golden(order.inputs, order.max_batch, loader.level)
    with contextlib.closing(engine), contextlib.closing(reference):
        engine.open()
        reference.open()
        try:
            return joined(
                {about: gate(reference, engine, each, order.typical_batch, labels) for about, each in feeds.items()}
            )
        except ModelError:
            raise
        except Exception as error:  # the backends' errors have no common base class
            raise ModelError(f"{engine.name} cannot run it: {type(error).__name__}: {error}") from error


def ensure_export(order: Order, precision: str, report: Report) -> Path | None:
    """Return the network's ONNX file in this precision, exporting it if it is not cached; None for precision ""."""
    loader = network(order.network)
    if loader.is_onnx:
        _check_graph(order, precision)
        return Path(order.directory)
    if not precision:
        return None
    facts = export_facts(order, precision)

    def build(into: Path) -> None:
        from engines.building.export import PARITY_BATCHES, export

        report(f"exporting {order.network} in {precision}, once per model")
        most = loader.max_batch or PARITY_BATCHES[-1]
        export(order.load(), order.inputs, order.outputs, into / "network.onnx", precision, loader.ranges, most)

    return Cache(order.cache_directory, "exports").get(key_of(facts), facts, build) / "network.onnx"


def _check_graph(order: Order, precision: str) -> None:
    """Raises: Refused: the network is an ONNX file, which has fp32 alone."""
    if precision != "fp32":
        why = f"needs the network in {precision or 'PyTorch'}"
        raise Refused(f"{why}; {order.directory} is an ONNX file in fp32", why)


def export_facts(order: Order, precision: str) -> dict[str, str]:
    """What an exported network depends on."""
    from engines.building.export import EXPORTER_VERSION, OPSET

    made_by = {"exporter": str(EXPORTER_VERSION), "opset": str(OPSET), "network": order.network, "precision": precision}
    if network(order.network).is_onnx:
        return {
            "network": order.network,
            "precision": precision,
            **network(order.network).fingerprint(Path(order.directory), order.cache_directory),
        }
    # Without "+cpu" or "+cu130": an export from one machine is valid on another.
    tools = {name: package_version(name).partition("+")[0] for name in ("torch", "onnxscript", "onnx-ir")}
    return {**made_by, **tools, **network(order.network).fingerprint(Path(order.directory), order.cache_directory)}


def engine_facts(order: Order, chosen: Backend) -> dict[str, str]:
    """What a built engine depends on: its export, and the backend's own facts."""
    graph = chosen.graph(order.precision)
    base = {"backend": chosen.name, "adapter": str(chosen.version), "gate": str(GATE_VERSION)}
    base |= {"precision": order.precision, "network": order.network}
    base |= {"batch": f"usual {order.typical_batch}, largest {order.max_batch}"}
    return {**base, **chosen.facts(order), "export": key_of(export_facts(order, graph or "fp32"))}


def _make(order: Order, chosen: Backend) -> Engine:
    """Raises: ModelError: it was not built, or did not pass its gate."""
    is_onnx = network(order.network).is_onnx
    if is_onnx:
        _check_graph(order, chosen.graph(order.precision))
    if Candidate(chosen.name, order.precision, order.device) == REFERENCE:
        return chosen.make(order, None, Path())
    cache, graph = Cache(order.cache_directory, "engines"), chosen.graph(order.precision)
    key = key_of(engine_facts(order, chosen))
    built = cache.find(key)
    exported = None
    if is_onnx:
        exported = Path(order.directory)
    elif graph and chosen.runs_export:
        found = Cache(order.cache_directory, "exports").find(key_of(export_facts(order, graph)))
        exported = found / "network.onnx" if found else None
    if built is None or (chosen.runs_export and exported is None):
        if by_hand := chosen.made_by(order):
            raise Refused(f"not made yet. Run: {by_hand}", "is not made yet")
        raise Refused(f"not built yet in {cache.directory}. Run `percept engine build` to build it", f"is {_NOT_BUILT}")
    record = record_of(cache.meta(key))
    if not record.gate.passed:
        raise Refused(record.gate.refusal)
    return chosen.make(order, exported, built)


def order_of(key: str, directory: str, candidate: Candidate, run: EngineSettings) -> Order:
    loader, usual = network(key), CPU_BATCH if candidate.device == "cpu" else GPU_BATCH
    inputs, outputs = loader.ports(Path(directory))
    return Order(
        network=key,
        directory=directory,
        inputs=inputs,
        outputs=outputs,
        precision=candidate.precision,
        device=candidate.device,
        threads=run.threads,
        typical_batch=TYPICAL_BATCH,
        max_batch=min(usual, loader.max_batch or usual),
        micro_batch=loader.micro_batch,
        cache_directory=run.cache_directory,
    )


def _clauses(passed_over: list[PassedOver]) -> tuple[str, ...]:
    """One clause for each, but a common one for all engines that are not built yet."""
    rest = [each.short for each in passed_over if not each.short.endswith(_NOT_BUILT)]
    names = _not_built(passed_over)
    verb = "is" if len(names) == 1 else "are"
    return (*rest, *([f"{', '.join(names)} {verb} {_NOT_BUILT}"] if names else []))


def _not_built(passed_over: list[PassedOver]) -> list[str]:
    """Names of the engines that are not built yet."""
    return [each.short.partition(" ")[0] for each in passed_over if each.short.endswith(_NOT_BUILT)]


def _reason(run: EngineSettings, passed_over: list[PassedOver]) -> str:
    if passed_over:
        names = _not_built(passed_over)
        rest = [each.detail for each in passed_over if not each.short.endswith(_NOT_BUILT)]
        return "; ".join([*rest, *([f"{', '.join(names)}: {_BUILT_BY}"] if names else [])])
    is_by_name = run.engine != "auto" and "," not in run.engine  # a list is a choice of ours, not a request
    return "requested by name" if is_by_name else "first choice here"
