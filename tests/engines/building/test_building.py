"""From a network to an accepted engine: which one is chosen, why, and what happens to a bad one."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.backends import table as backends
from engines.backends.backend import Backend, Order, Report
from engines.backends.on_onnxruntime import OnnxRuntimeBackend, OnnxRuntimeEngine
from engines.backends.table import Settings, backend, candidates
from engines.building import building
from engines.building.building import engine_facts, ensure, open_network, prepare_network
from engines.cache.cache import Cache, key_of
from engines.engine import Engine
from pipeline.errors import ModelError
from tests.engines.small import small_order, write_small


def settings(cache: Path, engine: str = "auto", precision: str = "auto") -> Settings:
    return Settings(engine, precision, "cpu", 1, str(cache))


def quiet(text: str) -> None: ...


@pytest.fixture
def known_export(tmp_path: Path, exports: Path) -> None:
    """The exports of all tests are in `tmp_path`, so that only engines are to be built."""
    (tmp_path / "exports").symlink_to(exports)


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache_without_engines: Path) -> Backend:
    """A backend that is tried first and runs the wrong weights."""
    other = write_small(tmp_path / "other", seed=1)

    class Wrong(OnnxRuntimeBackend):
        name = "wrong"

        def make(self, order: Order, exported: Path | None, built: Path) -> Engine:
            wrong_export = building.ensure_export(small_order(other, cache_without_engines), "fp32", quiet)
            return super().make(order, wrong_export, built)

    _put_first(monkeypatch, Wrong())
    return Wrong()


def _put_first(monkeypatch: pytest.MonkeyPatch, made: Backend) -> None:
    monkeypatch.setitem(backends.BACKENDS, made.name, "nowhere")
    monkeypatch.setitem(backends.AUTO, "cpu", (made.name, "onnxruntime", "torch"))
    real = backends.backend

    def found(name: str) -> Backend:
        return made if name == made.name else real(name)

    monkeypatch.setattr(backends, "backend", found)
    monkeypatch.setattr(building, "backend", found)


@pytest.mark.usefixtures("known_export")
def test_auto_uses_the_first_installed_candidate(small: Path, tmp_path: Path) -> None:
    able, _ = candidates(settings(tmp_path))
    assert [each.backend for each in able][-2:] == ["onnxruntime", "torch"]
    prepare_network("small", str(small), settings(tmp_path), quiet)
    engine = open_network("small", str(small), settings(tmp_path))
    assert engine.name == able[0].name
    assert engine.reason == "first choice here"
    engine.close()


@pytest.mark.usefixtures("known_export")
def test_a_missing_extra_is_reported_with_its_command(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("engines.backends.on_openvino.find_spec", lambda name: None)
    engine = open_network("small", str(small), settings(tmp_path), build=True)
    assert engine.name == "onnxruntime-fp32"
    assert "pip install 'percept-av[openvino]'" in engine.reason
    engine.close()


@pytest.mark.parametrize("name", ["tensorrt", "abacus"])
def test_an_unavailable_engine_requested_by_name_is_reported(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"--engine {name}: ") as error:
        candidates(settings(tmp_path, name))
    assert "GPU" in str(error.value) or "expected auto" in str(error.value)


def test_an_unavailable_precision_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--engine onnxruntime --precision bf16: onnxruntime has no bf16 here"):
        candidates(settings(tmp_path, "onnxruntime", "bf16"))


@pytest.mark.usefixtures("known_export")
def test_a_wrong_engine_is_reported_passed_over_and_built_once(small: Path, tmp_path: Path, wrong: Backend) -> None:
    reported: list[str] = []
    record = prepare_network("small", str(small), settings(tmp_path), reported.append)
    assert record is not None
    assert record.name == "onnxruntime-fp32"
    assert any("wrong-fp32: failed its gate" in text for text in reported)
    engine = open_network("small", str(small), settings(tmp_path))
    assert engine.name == "onnxruntime-fp32"
    assert "wrong-fp32: failed its gate: " in engine.reason
    assert engine.passed_over == ("wrong-fp32 failed its gate",)
    engine.close()
    before = len(reported)
    prepare_network("small", str(small), settings(tmp_path), reported.append)
    assert len(reported) == before


@pytest.mark.usefixtures("known_export")
def test_a_wrong_engine_requested_by_name_is_an_error(small: Path, tmp_path: Path, wrong: Backend) -> None:
    with pytest.raises(ModelError, match=r"no engine can be used.*failed its gate.*max abs"):
        prepare_network("small", str(small), settings(tmp_path, "wrong"), quiet)


@pytest.mark.usefixtures("known_export")
def test_an_engine_that_cannot_be_built_is_reported_and_passed_over(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(OnnxRuntimeBackend):
        name = "broken"

        def build(self, order: Order, exported: Path | None, into: Path, report: Report) -> None:
            raise ModelError("the build failed")

    _put_first(monkeypatch, Broken())
    reported: list[str] = []
    record = prepare_network("small", str(small), settings(tmp_path), reported.append)
    assert record is not None
    assert record.name == "onnxruntime-fp32"
    assert "small: broken-fp32: the build failed; trying onnxruntime-fp32" in reported
    assert not list((tmp_path / "engines").glob("*.new-*"))


def test_a_damaged_export_is_set_aside_and_rebuilt(
    small: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = settings(tmp_path, "onnxruntime")
    prepare_network("small", str(small), run, quiet)
    file = next((tmp_path / "exports").glob("*/network.onnx"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    prepare_network("small", str(small), run, quiet)
    engine = open_network("small", str(small), run)
    assert engine.run({"pictures": np.zeros((1, 3, 8, 8), np.float32)})["tokens"].shape == (1, 5)
    engine.close()
    assert "is damaged; set aside, it will be rebuilt" in caplog.text


def test_other_weights_are_another_engine(small: Path, tmp_path: Path) -> None:
    other = write_small(tmp_path / "model", seed=5)
    chosen = backend("onnxruntime")
    first, second = (engine_facts(small_order(each, tmp_path), chosen) for each in (small, other))
    assert key_of(first) != key_of(second)
    copy = write_small(tmp_path / "copy", seed=5)
    assert engine_facts(small_order(copy, tmp_path), chosen) == second


SLOW = """
import shutil, sys, time
from pathlib import Path
from engines.models.network import NETWORKS
from tests.engines.small import NETWORK, small_order
from engines.backends.table import backend
from engines.building.building import ensure
from engines.building import export
NETWORKS["small"] = NETWORK
def slow(module, inputs, outputs, path, *more):
    print("exporting", flush=True)
    time.sleep(float(sys.argv[3]))
    shutil.copy(sys.argv[4], path)
export.export = slow
record = ensure(small_order(Path(sys.argv[1]), Path(sys.argv[2])), backend("onnxruntime"), lambda text: None)
print("passed", record.gate.passed, flush=True)
"""


@pytest.fixture
def known_file(small: Path, cache_without_engines: Path) -> Path:
    """What `SLOW` takes for its own export."""
    path = building.ensure_export(small_order(small, cache_without_engines), "fp32", quiet)
    assert path is not None
    return path


def start(small: Path, cache: Path, seconds: float, file: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SLOW, str(small), str(cache), str(seconds), str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_that_need_the_same_engine_build_it_once(small: Path, known_file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    processes = [start(small, cache, 1.0, known_file) for _ in range(2)]
    outputs = [process.communicate(timeout=170)[0] for process in processes]
    assert sorted(text.count("exporting") for text in outputs) == [0, 1]
    assert all("passed True" in text for text in outputs)


def test_if_a_builder_is_killed_the_waiting_process_builds(small: Path, known_file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = start(small, cache, 60.0, known_file)
    assert first.stdout is not None
    assert first.stdout.readline() == "exporting\n"
    second = start(small, cache, 0.0, known_file)
    time.sleep(0.5)
    assert second.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    first.communicate(timeout=10)
    output, _ = second.communicate(timeout=170)
    assert output.split("\n")[:2] == ["exporting", "passed True"]
    assert not list(cache.glob("*/*.new-*"))
    assert len(Cache(cache, "engines").entries()) == 1


@pytest.mark.usefixtures("known_export")
def test_an_engine_from_another_machine_is_gated_on_first_use(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = building.order_of("small", str(small), building.Candidate("onnxruntime", "fp32", "cpu"), settings(tmp_path))
    chosen = backend("onnxruntime")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(building, "is_ahead_of_time", lambda device: True)
        assert ensure(order, chosen, quiet).gate.is_pending
    with pytest.raises(ModelError, match="its gate runs on first use there"):
        open_network("small", str(small), settings(tmp_path, "onnxruntime"))
    prepare_network("small", str(small), settings(tmp_path, "onnxruntime"), quiet)
    open_network("small", str(small), settings(tmp_path, "onnxruntime")).close()
    meta = Cache(tmp_path, "engines").entries()[0]
    assert meta.outcome["gate"]["passed"] is True
    assert not Cache(tmp_path, "engines").fault(meta.key)


@pytest.mark.usefixtures("known_export")
def test_an_engine_that_fails_while_it_runs_is_passed_over(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(OnnxRuntimeEngine):
        def _run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
            raise RuntimeError("device-side assert")

    class FailingBackend(OnnxRuntimeBackend):
        name = "failing"

        def make(self, order: Order, exported: Path | None, built: Path) -> Engine:
            assert exported is not None
            return Failing(exported, order.inputs, order.outputs)

    _put_first(monkeypatch, FailingBackend())
    reported: list[str] = []
    record = prepare_network("small", str(small), settings(tmp_path), reported.append)
    assert record is not None
    assert record.name == "onnxruntime-fp32"
    assert any("cannot run it: RuntimeError: device-side assert" in text for text in reported)


def test_another_gate_adapter_or_batch_is_another_engine(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, chosen = small_order(small, tmp_path), backend("onnxruntime")
    keys = {key_of(engine_facts(order, chosen))}
    monkeypatch.setattr(building, "GATE_VERSION", building.GATE_VERSION + 1)
    keys.add(key_of(engine_facts(order, chosen)))
    monkeypatch.setattr(type(chosen), "version", chosen.version + 1)
    keys.add(key_of(engine_facts(order, chosen)))
    keys.add(key_of(engine_facts(dataclasses.replace(order, max_batch=7), chosen)))
    assert len(keys) == 4


def test_the_key_does_not_depend_on_the_device_torch_is_built_for(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, chosen = small_order(small, tmp_path), backend("onnxruntime")
    keys = set()
    for suffix in ("+cpu", "+cu130", ""):
        monkeypatch.setattr("importlib.metadata.version", lambda name, suffix=suffix: f"2.13.0{suffix}")
        keys.add(building.export_facts(order, "fp32")["torch"])
    assert keys == {"2.13.0"}
    assert chosen.name == "onnxruntime"


@pytest.mark.usefixtures("known_export")
def test_missing_int8_is_reported_and_replaced(small: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if why := backend("openvino").missing("cpu"):
        pytest.skip(why)
    reported: list[str] = []
    run = settings(tmp_path, "openvino", "int8")
    record = prepare_network("small", str(small), run, reported.append)
    assert record is not None
    assert record.name in ("openvino-bf16", "openvino-fp32")
    assert any("percept engine quantize" in text for text in reported)
    assert not any("building small for openvino-int8" in text for text in reported)
    engine = open_network("small", str(small), run)
    assert "openvino-int8: not made yet. Run: percept engine quantize MODEL CLIPS" in engine.reason
    assert engine.passed_over == ("openvino-int8 is not made yet",)
    assert not [each for each in caplog.records if each.name == "percept.engines" and each.levelname == "WARNING"]
    engine.close()
