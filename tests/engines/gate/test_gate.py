"""The gate passes engines that compute the same as the reference, and no others."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.engine import Engine, Port
from engines.gate.gate import LIMITS, GateReport, _same_winner, gate, joined
from engines.gate.golden import golden
from pipeline.arrays import Array
from tests.engines import faulty

INPUTS = (Port("pictures", "float32", "B 3 16 16"),)
OUTPUTS = (Port("tokens", "float32", "B 64"),)
COUNT = 16

Compute = Callable[[Array], Array]


class Computed(Engine):
    """An engine that runs a function."""

    backend = "function"

    def __init__(self, compute: Compute, precision: str = "fp32") -> None:
        super().__init__(INPUTS, OUTPUTS)
        self.precision = precision
        self._compute = compute
        self.open()

    def _open(self) -> None: ...

    def _run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        return {"tokens": self._compute(feeds["pictures"])}

    def _close(self) -> None: ...


WEIGHTS = np.random.default_rng(1).standard_normal((768, 64)).astype(np.float32) / 28


def network(pictures: Array, weights: Array = WEIGHTS) -> Array:
    """Embeddings that all point in a similar direction, like those of real networks."""
    embedded: Array = 20 + np.tanh(pictures.reshape(len(pictures), -1) @ weights)
    return embedded


def check(compute: Compute, precision: str = "fp32", labels: Array | None = None) -> GateReport:
    feeds = golden(INPUTS, COUNT)
    return gate(Computed(network), Computed(compute, precision), feeds, 4, labels)


def rounded(bits: int) -> Compute:
    """The network with weights rounded to that many bits of mantissa."""
    mantissa, exponent = np.frexp(WEIGHTS)
    weights = np.ldexp(np.round(mantissa * 2**bits) / 2**bits, exponent).astype(np.float32)
    return lambda pictures: network(pictures, weights)


def test_the_network_itself_passes_at_every_batch() -> None:
    report = check(network)
    assert report.passed
    assert not report.faults
    assert [each.batch for each in report.figures] == [1, 4, COUNT]
    assert report.worst.centred_cosine == pytest.approx(1)


@pytest.mark.parametrize(("bits", "precision"), [(24, "fp32"), (11, "fp16"), (8, "bf16"), (7, "int8")])
def test_rounding_passes_for_its_precision(bits: int, precision: str) -> None:
    assert check(rounded(bits), precision).passed


@pytest.mark.parametrize(("bits", "precision"), [(9, "fp32"), (2, "fp16"), (1, "bf16"), (1, "int8")])
def test_coarser_rounding_fails(bits: int, precision: str) -> None:
    assert not check(rounded(bits), precision).passed


def perturbed(pictures: Array) -> Array:
    noise = np.random.default_rng(2).standard_normal(WEIGHTS.shape).astype(np.float32) / 28
    return network(pictures, WEIGHTS + 0.5 * noise)


def constant(pictures: Array) -> Array:
    return np.full((len(pictures), 64), 20, np.float32)


def mixed_up(pictures: Array) -> Array:
    """Correct rows in the wrong order, if there are several."""
    return np.roll(network(pictures), 1, axis=0)


def wrong_in_large_batches(pictures: Array) -> Array:
    embedded = network(pictures)
    embedded[8:] = embedded[:1]
    return embedded


def not_a_number(pictures: Array) -> Array:
    embedded = network(pictures)
    embedded[0, 0] = np.nan
    return embedded


def infinite(pictures: Array) -> Array:
    return network(pictures) / np.float32(0)


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize(
    "compute", [perturbed, constant, mixed_up, wrong_in_large_batches, not_a_number, pytest.param(infinite)]
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_wrong_engine_fails_in_every_precision(compute: Compute, precision: str) -> None:
    report = check(compute, precision)
    assert not report.passed
    assert "tokens at batch" in report.text
    assert msgspec.json.decode(msgspec.json.encode(report), type=GateReport) == report


def test_plain_cosine_alone_would_not_detect_it() -> None:
    worst = check(perturbed).worst
    assert worst.cosine > 0.999
    assert worst.centred_cosine < 0.95


def test_words_are_used_for_top1_if_there_are_any() -> None:
    labels = np.random.default_rng(3).standard_normal((50, 64)).astype(np.float32)
    assert (check(network).label_set, check(network, labels=labels).label_set) == ("directions", "words")
    top1 = [each.top1 for each in check(perturbed, labels=labels).figures]
    assert all(value is not None and value < 1 for value in top1)


def test_the_golden_batch_is_reproducible_and_its_samples_differ() -> None:
    once, again = golden(INPUTS, COUNT), golden(INPUTS, COUNT)
    np.testing.assert_array_equal(once["pictures"], again["pictures"])
    assert len(np.unique(once["pictures"].reshape(COUNT, -1), axis=0)) == COUNT
    assert abs(once["pictures"].mean()) < 0.5
    assert 0.5 < once["pictures"].std() < 2


def test_golden_ids_and_masks_are_integers() -> None:
    ports = (Port("ids", "int64", "B L"), Port("mask", "int64", "B L"))
    feeds = golden(ports, 3, sizes={"L": 7})
    assert feeds["ids"].shape == feeds["mask"].shape == (3, 7)
    assert feeds["ids"].dtype == np.int64
    assert set(np.unique(feeds["mask"])) == {1}


def test_outputs_that_are_pictures_have_no_top1() -> None:
    dense = (Port("flow", "float32", "B 2 64 64"),)

    class Dense(Computed):
        def _run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
            return {"flow": np.repeat(feeds["pictures"].reshape(-1, 768)[:, :, None], 11, 2)[:, :, :].reshape(-1, 8448)}

    engine = Dense(network)
    engine.outputs = (Port("flow", "float32", dense[0].dims),)
    report = gate(engine, engine, golden(INPUTS, 4), 2)
    assert report.passed
    assert {each.top1 for each in report.figures} == {None}


def test_a_quantised_network_that_its_runtime_computes_wrongly_fails(vit: Path, tmp_path: Path) -> None:
    wrong = faulty.make_qdq_fault(vit, tmp_path)
    ports = faulty.INPUTS, faulty.OUTPUTS
    engines = [OnnxRuntimeEngine(path, *ports) for path in (vit, wrong)]
    for engine in engines:
        engine.open()
    engines[1].precision = "int8"
    report = gate(engines[0], engines[1], golden(faulty.INPUTS, COUNT), 4)
    assert not report.passed
    assert report.worst.centred_cosine < 0.7
    for engine in engines:
        engine.close()


def test_joined_reports_pass_only_together_and_faults_name_the_sizes() -> None:
    good, bad = check(network), check(lambda pictures: network(pictures) * np.nan)
    assert joined({"T 1": good, "": good}).passed
    both = joined({"T 16, M 3": bad, "": good})
    assert not both.passed
    assert both.faults
    assert all(fault.endswith(" at T 16, M 3") for fault in both.faults)
    assert len(both.figures) == len(good.figures) + len(bad.figures)


@pytest.mark.parametrize(("behind", "share"), [(0.002, 1.0), (0.05, 5 / 6)])
def test_a_tie_that_falls_the_other_way_is_no_fault(behind: float, share: float) -> None:
    labels = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float64)
    reference = np.array([[1, 0.2, -1.2]] * 5 + [[1, 1 - 2 * behind, -2 + 2 * behind]])
    reduced = reference.copy()
    reduced[5, :2] = reduced[5, 1::-1]
    assert _same_winner(reference, reduced, labels) == pytest.approx(share)
