"""Makes int8 networks for OpenVINO offline from the user's own clips, and measures how the outputs change.

Post-training quantisation with NNCF: weights and activations as symmetric int8, weights with a scale per channel.
"""

import importlib
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engines.backends.backend import Order, Report
from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.backends.on_openvino import NETWORK, OpenVinoEngine, convert, cpu_features, import_openvino, save
from engines.engine import Engine
from pipeline.arrays import Array, check_array
from pipeline.errors import ModelError

CALIBRATION_SAMPLES = 128
"""Largest number of samples that activation ranges are estimated from; more hardly change them."""
FEWEST_SAMPLES = 8
BLOCKS = 16
"""Number of runs of neighbouring samples. Every fourth run is held out, so that few clips are in both parts."""
REPORT_EVERY_S = 5.0
LAYER_NORM = "MVN"
"""OpenVINO's name for layer norm, which transformers have and convolutional networks do not."""


@dataclass(frozen=True)
class Words:
    """Words that held-out samples are scored against: vectors float32 "L D", and the temperature of their cosines."""

    vectors: Array
    temperature: float


class QuantizeReport(msgspec.Struct, frozen=True):
    """How int8 outputs differ from fp32, on samples that were not used for calibration."""

    calibrated_samples: int
    held_out_samples: int
    cosine_min: float
    cosine_median: float
    centred_cosine: float
    """Over all samples together, after subtracting the fp32 mean from both sides."""
    top1: float | None
    """Share of samples for which the same word wins; None without words."""
    score_change: float | None
    """Mean absolute change of the winner's score, a softmax over the words; in [0, 1]."""
    took_s: float

    @property
    def text(self) -> str:
        """`cosine at least 0.9973, median 0.9999; centred cosine 0.9930; the same word wins in 96 %, ...`"""
        cosines = f"cosine at least {self.cosine_min:.4f}, median {self.cosine_median:.4f}"
        words = ""
        if self.top1 is not None:
            words = f"; the same word wins in {100 * self.top1:.0f} %, its score changes by {self.score_change:.3f}"
        counts = f"on {self.held_out_samples} samples, calibrated on {self.calibrated_samples} others"
        return f"{cosines}; centred cosine {self.centred_cosine:.4f}{words} ({counts})"


def missing() -> str:
    """Return why quantisation is not available here, and what to do; "" if it is."""
    absent = find_spec("nncf") is None or find_spec("openvino") is None
    return "NNCF is not installed. Run: pip install 'percept-av[quantize]'" if absent else ""


def quantize(
    order: Order,
    exported: Path,
    samples: Mapping[str, Array],
    into: Path,
    report: Report,
    words: Words | None = None,
) -> QuantizeReport:
    """Write `network.xml` and `network.bin` in int8 into a directory from which `OpenVinoBackend.make` opens them.

    exported: the network in fp32 as ONNX.
    samples: inputs by name, with samples on the first axis, those of one clip next to each other.

    Raises:
        ModelError: NNCF is not installed or cannot quantise the network, or there are too few samples.
        ValueError: samples have the wrong shape or dtype; the message names the input.
    """
    began_s = time.monotonic()
    calibration, held_out = split(_count(order, samples))
    nncf = _import_nncf()
    report(f"quantising {order.network}, calibrated on {len(calibration)} samples")
    model = convert(exported)
    try:
        with _quiet():
            model = _quantised(nncf, model, _Calibration(samples, calibration, report))
    except Exception as error:  # NNCF's errors have no common base class
        raise ModelError(f"{order.network}: NNCF cannot quantise it: {error}") from error
    save(model, into)
    report(f"comparing int8 with fp32 on {len(held_out)} other samples")
    engines = (
        OnnxRuntimeEngine(exported, order.inputs, order.outputs, order.threads),
        OpenVinoEngine(into / NETWORK, order.inputs, order.outputs, "int8", order.threads),
    )
    wanted, got = (_outputs(engine, samples, held_out, order.typical_batch) for engine in engines)
    return _compared(wanted, got, words, len(calibration), time.monotonic() - began_s)


def split(count: int) -> tuple[Array, Array]:
    """Indices of the samples to calibrate on, at most `CALIBRATION_SAMPLES`, and of held-out ones to compare on.

    Raises:
        ModelError: there are fewer than `FEWEST_SAMPLES`.
    """
    if count < FEWEST_SAMPLES:
        raise ModelError(f"{count} samples; expected at least {FEWEST_SAMPLES} to quantise with. Give more clips")
    blocks = min(BLOCKS, count)
    is_held_out = np.arange(count) * blocks // count % 4 == 3
    calibration, held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
    spread = np.linspace(0, len(calibration) - 1, min(len(calibration), CALIBRATION_SAMPLES)).astype(int)
    return calibration[spread], held_out


class _Calibration:
    """Feeds of one sample each, which can be iterated several times; reports progress at intervals."""

    def __init__(self, samples: Mapping[str, Array], indices: Array, report: Report) -> None:
        self._samples = samples
        self._indices = indices
        self._report = report
        self._seen = 0
        self._reported_s = time.monotonic()

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        for index in self._indices:
            self._seen += 1
            if time.monotonic() - self._reported_s > REPORT_EVERY_S:
                self._reported_s = time.monotonic()
                self._report(f"quantising, {self._seen} samples run")
            yield {name: array[index : index + 1] for name, array in self._samples.items()}


def _quantised(nncf: Any, model: Any, calibration: _Calibration) -> Any:
    """The quantised model. Everything is symmetric: asymmetric activations gave the same figures and were no faster.

    The last matrix product stays in floats, at almost no cost. It computes the embedding, in percept-mini from class
    probabilities: int8 would lose those below 0.002, and a tenth of the centred cosine with them.

    Without instructions for int8 products (VNNI, AMX), sums of two of them saturate at 16 bits; so weights then have 7
    bits in all layers, not only in the first one.
    """
    kinds = [(node.get_type_name(), node.get_friendly_name()) for node in model.get_ordered_ops()]
    products = [name for kind, name in kinds if kind == "MatMul"]
    is_transformer = any(kind == LAYER_NORM for kind, _ in kinds)
    return nncf.quantize(
        model,
        nncf.Dataset(calibration),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        model_type=nncf.ModelType.TRANSFORMER if is_transformer else None,
        subset_size=len(calibration),
        ignored_scope=nncf.IgnoredScope(names=products[-1:]),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix="first_layer_only" if _sums_exactly() else "enable"
        ),
    )


def _sums_exactly() -> bool:
    return any("vnni" in feature or feature == "amx_int8" for feature in cpu_features())


def _import_nncf() -> Any:
    """Import `nncf` without telemetry, and undo its change of Python's default logger class."""
    if why := missing():
        raise ModelError(why)
    import_openvino()
    loggers = logging.getLoggerClass()
    try:
        nncf = importlib.import_module("nncf")
    except ImportError as error:
        raise ModelError(f"NNCF cannot be imported: {error}. Run: pip install 'percept-av[quantize]'") from error
    finally:
        logging.setLoggerClass(loggers)
    logging.getLogger("nncf").setLevel(logging.ERROR)  # nncf.set_log_level would also set the level of every handler
    return nncf


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress NNCF's progress bars, which it draws on standard output, where results belong."""
    console = importlib.import_module("rich").get_console()
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before


def _count(order: Order, samples: Mapping[str, Array]) -> int:
    """Check that every input has the same number of samples; return that number."""
    if set(samples) != {port.name for port in order.inputs}:
        raise ValueError(f"samples are of {sorted(samples)}; expected {sorted(port.name for port in order.inputs)}")
    for port in order.inputs:
        check_array(port.name, samples[port.name], port.dims, port.dtype)
    counts = {name: len(array) for name, array in samples.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"inputs have different numbers of samples: {counts}")
    return next(iter(counts.values()))


def _outputs(engine: Engine, samples: Mapping[str, Array], indices: Array, batch: int) -> Array:
    """Values of the network's first output, float64 "N D"."""
    engine.open()
    try:
        parts = [
            engine.run({name: array[indices[begin : begin + batch]] for name, array in samples.items()})
            for begin in range(0, len(indices), batch)
        ]
    finally:
        engine.close()
    joined = np.concatenate([part[engine.outputs[0].name] for part in parts])
    return joined.reshape(len(joined), -1).astype(np.float64)


def _compared(wanted: Array, got: Array, words: Words | None, calibrated: int, took_s: float) -> QuantizeReport:
    """wanted, got: float64 "N D" in fp32 and in int8."""
    cosines = (_unit(wanted) * _unit(got)).sum(axis=1)
    mean = wanted.mean(axis=0)
    centred = _unit((wanted - mean).reshape(1, -1)) @ _unit((got - mean).reshape(1, -1)).T
    top1 = change = None
    if words is not None:
        before, after = _scores(wanted, words), _scores(got, words)
        rows, winners = np.arange(len(before)), before.argmax(axis=1)
        top1 = float((after.argmax(axis=1) == winners).mean())
        change = float(np.abs(before[rows, winners] - after[rows, winners]).mean())
    return QuantizeReport(
        calibrated_samples=calibrated,
        held_out_samples=len(wanted),
        cosine_min=float(cosines.min()),
        cosine_median=float(np.median(cosines)),
        centred_cosine=float(centred.item()),
        top1=top1,
        score_change=change,
        took_s=round(took_s, 2),
    )


def _scores(embeddings: Array, words: Words) -> Array:
    """Softmax over the words: "N D" -> "N L"."""
    logits = _unit(embeddings) @ _unit(words.vectors.astype(np.float64)).T / words.temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: Array = odds / odds.sum(axis=1, keepdims=True)
    return scores


def _unit(rows: Array) -> Array:
    unit: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
