"""Builds a TensorRT plan from an ONNX file, with one optimisation profile: batches 1 to `max_batch`."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from engines.backends.backend import Order, Report
from engines.cache.cache import locked
from engines.engine import Port
from engines.tensorrt.api import failure, free_on_error, listed, mark, recording_logger
from pipeline.errors import ModelError

REPORT_EVERY_S = 1.0

Range = tuple[int, int, int]
"""Smallest, usual and largest size of an axis."""


def never() -> bool:
    return False


@dataclass(frozen=True)
class Options:
    """What a plan depends on in addition to the order.

    ranges: sizes of every letter in the inputs' dims except B.
    capability: of the target GPU, (8, 9), only for TensorRT-RTX; None for the default: all kinds of GPU that
        TensorRT-RTX supports, or the GPU of this machine for TensorRT.
    timing_cache: file with the kernel timings of earlier builds; None for none. TensorRT-RTX measures nothing.
    cancelled: called often while building; True stops the build.
    """

    ranges: Mapping[str, Range] = field(default_factory=dict)
    capability: tuple[int, int] | None = None
    timing_cache: Path | None = None
    cancelled: Callable[[], bool] = never


def build_plan(
    trt: ModuleType, order: Order, onnx_path: Path, plan_path: Path, report: Report, options: Options
) -> None:
    """Write only the plan to `plan_path`.

    Raises:
        ModelError: the file cannot be parsed (names the operator and node), or the profile or the build is refused
            (includes the lines that TensorRT logged), or the build was cancelled.
    """
    begin_s = time.monotonic()
    with free_on_error():
        plan_bytes = _build(trt, order, onnx_path, report, options)
    plan_path.write_bytes(plan_bytes)
    report(f"built {order.precision} plan: {len(plan_bytes) / 1e6:.1f} MB in {time.monotonic() - begin_s:.1f} s")


def _build(trt: ModuleType, order: Order, onnx_path: Path, report: Report, options: Options) -> memoryview:
    logger, since = recording_logger(trt), mark(trt)
    builder: Any = trt.Builder(logger)
    # version 10 uses the graph's precisions only with this flag; 11 always does, and ignores it
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser: Any = trt.OnnxParser(network, logger)  # owns the weights: must live until the plan is built
    if not parser.parse_from_file(str(onnx_path)):  # from the path, because weights may be in a second file
        raise failure(trt, since, f"{onnx_path}: {_parse_errors(trt, parser)}. Choose --engine torch")
    config = builder.create_builder_config()
    if order.precision == "fp32":
        config.clear_flag(trt.BuilderFlag.TF32)  # otherwise it computes with 10 bits of mantissa instead of 23
    if options.capability is not None:
        set_capability(trt, config, options.capability)
    add_profile(trt, builder, network, config, order, options.ranges)
    progress = _progress_monitor(trt, f"building {order.precision} plan", report, options.cancelled)
    config.progress_monitor = progress
    if options.timing_cache is not None:
        load_timing_cache(config, options.timing_cache)
    plan = builder.build_serialized_network(network, config)
    if progress.raised is not None:
        raise progress.raised
    if progress.was_cancelled:
        raise ModelError(f"{onnx_path}: building the {order.precision} plan was cancelled")
    if plan is None:
        raise failure(trt, since, f"{onnx_path}: {_title(trt)} cannot build a {order.precision} plan from it")
    if options.timing_cache is not None:
        save_timing_cache(config, options.timing_cache, report)
    return memoryview(plan)


def set_capability(trt: ModuleType, config: Any, capability: tuple[int, int]) -> None:
    """Build for that kind of GPU instead of the default.

    Raises:
        ModelError: this TensorRT cannot, or does not support that kind; the message lists the supported ones.
    """
    known, wanted = listed(trt), f"SM{capability[0]}{capability[1]}"
    if wanted not in known:
        raise ModelError(
            f"{_title(trt)} cannot build for {wanted}; it supports {', '.join(known) or 'only the GPU it runs on'}"
        )
    config.num_compute_capabilities = 1
    if not config.set_compute_capability(getattr(trt.ComputeCapability, wanted), 0):
        raise ModelError(f"{_title(trt)} refuses to build for {wanted}")


def add_profile(
    trt: ModuleType, builder: Any, network: Any, config: Any, order: Order, ranges: Mapping[str, Range]
) -> None:
    """Add one profile for all sizes that the order allows; none if no axis is free.

    Raises:
        ModelError: the file's inputs differ from the order's, or the sizes are refused.
    """
    found = {network.get_input(index).name: network.get_input(index) for index in range(network.num_inputs)}
    if sorted(found) != sorted(port.name for port in order.inputs):
        raise ModelError(f"inputs are {sorted(found)}; expected {sorted(port.name for port in order.inputs)}")
    sizes = {**ranges, "B": (1, min(order.typical_batch, order.max_batch), order.max_batch)}
    shapes = {port.name: profile_shapes(port, sizes) for port in order.inputs}
    if all(smallest == largest for smallest, _, largest in shapes.values()):
        return
    since, profile = mark(trt), builder.create_optimization_profile()
    for name, (smallest, usual, largest) in shapes.items():
        profile.set_shape(name, smallest, usual, largest)
    if config.add_optimization_profile(profile) == -1:  # refused
        raise failure(trt, since, f"{_title(trt)} refuses the sizes (smallest, usual, largest) {shapes}")


def profile_shapes(port: Port, sizes: Mapping[str, Range]) -> tuple[tuple[int, ...], ...]:
    """Smallest, usual and largest shape of an input.

    Raises:
        ModelError: an axis has no range.
    """
    dims = port.dims.split()
    if unknown := [dim for dim in dims if not dim.isdigit() and dim not in sizes]:
        raise ModelError(f"input {port.name} ({port.dims}): no range is known for {', '.join(unknown)}")
    return tuple(tuple(int(dim) if dim.isdigit() else sizes[dim][which] for dim in dims) for which in range(3))


def load_timing_cache(config: Any, path: Path) -> None:
    """Start from the timings of earlier builds; start empty if there are none or they are from another version."""
    if not config.set_timing_cache(_timing_cache(config, path), ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def save_timing_cache(config: Any, path: Path, report: Report) -> None:
    """Merge the new timings into the file, under a lock. A failure is only reported: it costs time, not the plan."""
    ours = config.get_timing_cache()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f"{path.name}.lock")):
            ours.combine(_timing_cache(config, path), ignore_mismatch=False)
            written = path.with_name(f"{path.name}.new")
            written.write_bytes(ours.serialize())
            os.replace(written, path)
    except (OSError, ModelError) as error:
        report(f"the timing cache was not saved, later builds take longer: {error}")


def _timing_cache(config: Any, path: Path) -> Any:
    kept = path.read_bytes() if path.is_file() else b""
    return config.create_timing_cache(kept) or config.create_timing_cache(b"")


def _progress_monitor(trt: ModuleType, what: str, report: Report, cancelled: Callable[[], bool]) -> Any:
    """Turns TensorRT's nested phases into lines such as "building bf16 plan: 37 %", at most one a second."""

    class ProgressMonitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.was_cancelled = False
            self.raised: BaseException | None = None
            self._phases = Phases()
            self._reported_s = time.monotonic()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases.start(phase_name, parent_phase, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            self._phases.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Return whether to continue. An exception is stored for later: it must not cross native code."""
            try:
                self._phases.step(phase_name, step)
                self.was_cancelled = self.was_cancelled or cancelled()
                if time.monotonic() - self._reported_s >= REPORT_EVERY_S:
                    self._reported_s = time.monotonic()
                    report(f"{what}: {100 * self._phases.share:.0f} %")
            except BaseException as error:
                self.raised = error
            return not self.was_cancelled and self.raised is None

    return ProgressMonitor()


class Phases:
    """Progress of nested phases: the current step of a phase is as complete as the phases inside it."""

    def __init__(self) -> None:
        self.share = 0.0
        """Share of the whole that is done, in [0, 1]; never decreases."""
        self._steps: dict[str, tuple[str | None, int, int]] = {}
        """For each running phase: its parent phase, its completed steps, its total steps."""

    def start(self, name: str, parent: str | None, steps: int) -> None:
        self._steps[name] = (parent, 0, max(steps, 1))

    def step(self, name: str, step: int) -> None:
        if name in self._steps:
            parent, _, steps = self._steps[name]
            self._steps[name] = (parent, step + 1, steps)
        self.share = max([self.share, *(self._done(root) for root, (up, _, _) in self._steps.items() if up is None)])

    def finish(self, name: str) -> None:
        self._steps.pop(name, None)

    def _done(self, name: str) -> float:
        _, done, steps = self._steps[name]
        inner = max((self._done(each) for each, (up, _, _) in self._steps.items() if up == name), default=0.0)
        return min(1.0, (done + inner) / steps)


def _parse_errors(trt: ModuleType, parser: Any) -> str:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    reasons = [
        f"operator {error.node_operator()} (node {error.node_name() or '?'}): {error.code().name} {error.desc()}"
        if error.node_operator()
        else f"{error.code().name} {error.desc()}"
        for error in errors
    ]
    return f"{_title(trt)} cannot parse it: {'; '.join(reasons) or 'no reason given'}"


def _title(trt: ModuleType) -> str:
    return f"{trt.__name__} {trt.__version__}"
