"""int8: calibration samples, the quantised network, and the report."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.backends.backend import Order
from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.backends.on_openvino import BACKEND, NETWORK
from engines.building import quantize as quantising
from engines.building.export import export
from engines.building.quantize import (
    CALIBRATION_SAMPLES,
    FEWEST_SAMPLES,
    QuantizeReport,
    Words,
    missing,
    quantize,
    split,
)
from engines.gate.gate import gate
from engines.gate.golden import golden
from engines.models.checkpoint import BUNDLED
from engines.models.network import network
from pipeline.errors import ModelError
from tests.engines import faulty, small
from tests.engines.exported import exported_once
from tests.engines.faulty import make_qdq_fault

ROOT = Path(__file__).parents[3]
needs_nncf = pytest.mark.skipif(bool(missing()), reason=missing() or "NNCF is installed")


def quiet(text: str) -> None: ...


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "network.onnx"
    export(small.Small().eval(), small.INPUTS, small.OUTPUTS, path)
    return path


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return small.small_order(tmp_path, tmp_path, "int8")


@pytest.fixture
def vit_order(order: Order) -> Order:
    return replace(order, network="vit", inputs=faulty.INPUTS, outputs=faulty.OUTPUTS)


@pytest.mark.parametrize("count", [8, 9, 15, 16, 17, 40, 170, 171, 172, 1000])
def test_no_sample_is_both_calibrated_on_and_held_out(count: int) -> None:
    calibration, held_out = split(count)
    assert not set(calibration.tolist()) & set(held_out.tolist())
    assert len(set(calibration.tolist())) == len(calibration) <= CALIBRATION_SAMPLES
    assert count / 8 <= len(held_out) <= count / 3
    assert {*calibration.tolist(), *held_out.tolist()} <= set(range(count))
    if count <= CALIBRATION_SAMPLES:
        assert len(calibration) + len(held_out) == count


def test_neighbours_stay_together() -> None:
    """Pictures of one clip are similar: holding out every fourth picture would make int8 look better than it is."""
    _, held_out = split(1600)
    assert (np.diff(held_out) > 1).sum() == 3


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ModelError, match=f"7 samples; expected at least {FEWEST_SAMPLES} to quantise with"):
        split(FEWEST_SAMPLES - 1)


@pytest.mark.parametrize(
    ("samples", "part"),
    [
        ({}, r"samples are of \[\]; expected \['pictures'\]"),
        ({"pictures": np.zeros((9, 3, 8, 7), np.float32)}, r"pictures must be float32 \(B, 3, 8, 8\)"),
        ({"pictures": np.zeros((9, 3, 8, 8))}, "got float64"),
    ],
)
def test_wrong_samples_are_named(order: Order, tmp_path: Path, samples: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        quantize(order, Path("network.onnx"), samples, tmp_path, quiet)


def test_a_missing_package_is_reported(order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ModelError, match=r"NNCF is not installed\. Run: pip install 'percept-av\[quantize\]'"):
        quantize(order, Path("network.onnx"), golden(small.INPUTS, 16), tmp_path, quiet)


def test_figures_equal_those_computed_by_hand() -> None:
    wanted = np.array([[1.0, 0.0], [0.0, 2.0]])
    got = np.array([[1.0, 1.0], [0.0, 1.0]])
    words = Words(np.eye(2, dtype=np.float32), temperature=1.0)
    report = quantising._compared(wanted, got, words, 5, 1.0)
    half = np.sqrt(0.5)
    assert report.cosine_min == pytest.approx(half)
    assert report.cosine_median == pytest.approx((half + 1) / 2)
    assert report.centred_cosine == pytest.approx(np.dot([0.5, -1, -0.5, 1], [0.5, 0, -0.5, 0]) / np.sqrt(2.5 * 0.5))
    assert report.top1 == 1.0
    before, after = np.e / (np.e + 1), 0.5
    assert report.score_change == pytest.approx((before - after) / 2)
    assert (report.calibrated_samples, report.held_out_samples) == (5, 2)
    words = "the same word wins in 100 %, its score changes by 0.116 (on 2 samples, calibrated on 5 others)"
    assert words in report.text


def test_without_words_no_winner_is_claimed() -> None:
    rows = np.random.default_rng(0).standard_normal((4, 3))
    report = quantising._compared(rows, rows, None, 5, 1.0)
    assert (report.top1, report.score_change) == (None, None)
    assert report.centred_cosine == pytest.approx(1)
    assert "wins" not in report.text


@needs_nncf
def test_a_small_network_in_int8_opens_and_nothing_is_printed(
    order: Order, exported: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loggers, reported = logging.getLoggerClass(), list[str]()
    report = quantize(order, exported, golden(small.INPUTS, 32), tmp_path, reported.append)
    assert capfd.readouterr() == ("", "")
    assert logging.getLoggerClass() is loggers
    assert reported == ["quantising small, calibrated on 24 samples", "comparing int8 with fp32 on 8 other samples"]
    assert (report.calibrated_samples, report.held_out_samples) == (24, 8)
    assert 0.9 < report.cosine_min <= report.cosine_median < 1
    assert 'element_type="i8"' in (tmp_path / NETWORK).read_text()
    engine = BACKEND.make(order, exported, tmp_path)
    engine.open()
    assert engine.name == "openvino-int8"
    assert engine.run(golden(small.INPUTS, 7))["tokens"].shape == (7, 5)
    engine.close()


@needs_nncf
def test_a_file_that_is_not_a_network_is_a_model_error(order: Order, tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"network\.onnx: OpenVINO cannot read it"):
        quantize(order, tmp_path / "network.onnx", golden(small.INPUTS, 16), tmp_path, quiet)


@needs_nncf
def test_nncf_is_quiet_and_levels_of_handlers_are_kept() -> None:
    quantising._import_nncf()
    nncf, handler = logging.getLogger("nncf"), logging.NullHandler()
    nncf.addHandler(handler)
    try:
        quantising._import_nncf()
    finally:
        nncf.removeHandler(handler)
    assert not nncf.isEnabledFor(logging.WARNING)
    assert handler.level == logging.NOTSET


@needs_nncf
def test_an_error_in_nncf_is_a_model_error(
    order: Order, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_nncf = quantising._import_nncf

    def broken() -> Any:
        nncf = import_nncf()
        monkeypatch.setattr(nncf, "quantize", lambda *_, **__: 1 / 0)
        return nncf

    monkeypatch.setattr(quantising, "_import_nncf", broken)
    with pytest.raises(ModelError, match="small: NNCF cannot quantise it: division by zero"):
        quantize(order, exported, golden(small.INPUTS, 16), tmp_path, quiet)


@needs_nncf
@pytest.mark.slow
def test_a_vision_transformer_in_int8_passes_the_gate_and_the_qdq_fault_does_not(
    vit: Path, vit_order: Order, tmp_path: Path
) -> None:
    feeds = golden(faulty.INPUTS, 64)
    quantize(vit_order, vit, feeds, tmp_path, quiet)
    reference = OnnxRuntimeEngine(vit, faulty.INPUTS, faulty.OUTPUTS)
    good = BACKEND.make(vit_order, None, tmp_path)
    bad = OnnxRuntimeEngine(make_qdq_fault(vit, tmp_path), faulty.INPUTS, faulty.OUTPUTS)
    bad.precision = "int8"
    for engine in (reference, good, bad):
        engine.open()
    batch = golden(faulty.INPUTS, 16)
    passed = gate(reference, good, batch, 4)
    assert passed.passed, passed.text
    failed = gate(reference, bad, batch, 4)
    if failed.passed:
        pytest.skip("this ONNX Runtime computes it correctly on this CPU")
    assert failed.worst.cosine > 0.8
    assert failed.worst.centred_cosine < 0.5


@needs_nncf
@pytest.mark.slow
def test_the_bundled_picture_tower_in_int8_keeps_most_of_its_accuracy(order: Order, tmp_path: Path) -> None:
    """A convolutional network that ends in a product with probabilities, which must not be rounded to int8."""
    loader, directory = network("concept_picture"), BUNDLED / "percept-mini"
    inputs, outputs = loader.ports(directory)
    wanted = replace(
        order, network="concept_picture", directory=str(directory), inputs=inputs, outputs=outputs, threads=2
    )
    report = quantize(wanted, exported_once("concept_picture"), golden(inputs, 32), tmp_path, quiet)
    assert report.centred_cosine > 0.85, report.text


@needs_nncf
def test_quantising_sends_nothing_and_writes_nothing_to_the_home_directory(exported: Path, tmp_path: Path) -> None:
    script = """
import os, sys
sys.addaudithook(lambda event, details: event.startswith("socket.") and os.write(1, f"{event} {details}".encode()))
from pathlib import Path
from engines.backends.backend import Order
from engines.engine import Port
from engines.gate.golden import golden
from engines.building.quantize import quantize
inputs, outputs = (Port("pictures", "float32", "B 3 8 8"),), (Port("tokens", "float32", "B 5"),)
order = Order("small", "", inputs, outputs, "int8", "cpu")
quantize(order, Path(sys.argv[1]), golden(inputs, 16), Path(sys.argv[2]), print)
"""
    home, into = tmp_path / "home", tmp_path / "built"
    home.mkdir()
    into.mkdir()
    shown = {name: value for name, value in os.environ.items() if "CI" not in name.split("_")}
    found = subprocess.run(
        [sys.executable, "-c", script, str(exported), str(into)],
        env={**shown, "HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.stdout.splitlines() == [
        "quantising small, calibrated on 12 samples",
        "comparing int8 with fp32 on 4 other samples",
    ], found.stderr
    assert list(home.iterdir()) == []


def test_the_report_can_be_stored_as_json() -> None:
    import msgspec

    report = QuantizeReport(1, 2, 0.1, 0.2, 0.3, None, None, 0.4)
    assert msgspec.convert(msgspec.to_builtins(report), QuantizeReport) == report
