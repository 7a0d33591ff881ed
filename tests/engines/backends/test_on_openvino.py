"""OpenVINO beyond the contract of all engines: precision, threads, telemetry."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.backends import on_openvino
from engines.backends.backend import Order
from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.backends.on_openvino import BACKEND, OpenVinoEngine, convert, cpu_features, has_bf16, import_openvino, save
from engines.building.export import example, export
from engines.engine import Engine, Port
from pipeline.arrays import Array
from pipeline.errors import ModelError
from tests.engines.small import INPUTS, OUTPUTS, Small, small_order

if why := BACKEND.missing("cpu"):  # not importorskip: a plain import would report to an analytics service
    pytest.skip(why, allow_module_level=True)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "network.onnx"
    export(Small().eval(), INPUTS, OUTPUTS, path)
    return path


@pytest.fixture(scope="module")
def built(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("built")
    save(convert(exported), into)
    return into


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return small_order(tmp_path, tmp_path)


def quiet(text: str) -> None: ...


def answers(engine: Engine) -> Array:
    engine.open()
    try:
        return engine.run(example(INPUTS, {"B": 16}))["tokens"]
    finally:
        engine.close()


def python(script: str, home: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A process with another home directory, without variables that indicate CI, which change telemetry."""
    shown = {name: value for name, value in os.environ.items() if "CI" not in name.split("_")}
    environment = {**shown, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_fp32_is_fp32_and_bf16_is_not(exported: Path, built: Path) -> None:
    wanted = answers(OnnxRuntimeEngine(exported, INPUTS, OUTPUTS))
    fp32 = answers(OpenVinoEngine(built / "network.xml", INPUTS, OUTPUTS, "fp32"))
    np.testing.assert_allclose(fp32, wanted, atol=2e-6)
    if not has_bf16():
        pytest.skip("this CPU has no bf16")
    off = np.abs(answers(OpenVinoEngine(built / "network.xml", INPUTS, OUTPUTS, "bf16")) - wanted).max()
    assert 1e-4 < off < 5e-2


@pytest.mark.parametrize(("precision", "floats"), [("fp32", "float32"), ("bf16", "bfloat16"), ("int8", "float32")])
def test_all_options_are_set_explicitly(built: Path, precision: str, floats: str) -> None:
    if precision == "bf16" and not has_bf16():
        pytest.skip("this CPU has no bf16")
    engine = OpenVinoEngine(built / "network.xml", INPUTS, OUTPUTS, precision, threads=1)
    engine.open()
    got = engine._request.get_compiled_model().get_property
    assert floats in str(got("INFERENCE_PRECISION_HINT"))
    assert (got("INFERENCE_NUM_THREADS"), got("NUM_STREAMS"), got("ENABLE_CPU_PINNING")) == (1, 1, False)
    engine.close()


def test_an_onnx_file_can_be_opened_directly(exported: Path, built: Path) -> None:
    from_onnx = answers(OpenVinoEngine(exported, INPUTS, OUTPUTS))
    np.testing.assert_allclose(from_onnx, answers(OpenVinoEngine(built / "network.xml", INPUTS, OUTPUTS)), atol=1e-6)


def test_cpu_flags_agree_with_openvino() -> None:
    openvino = import_openvino()
    assert has_bf16() == ("BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


@pytest.mark.parametrize(
    ("flags", "features", "bf16"),
    [
        ("fpu avx2 avx512f avx512_bf16 avx512_vnni", ["avx2", "avx512_bf16", "avx512_vnni", "avx512f"], True),
        ("fpu amx_bf16 amx_tile", ["amx_bf16"], True),
        ("fpu sse2 avx2", ["avx2"], False),
    ],
)
def test_features_come_from_the_flags(tmp_path: Path, flags: str, features: list[str], bf16: bool) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nbugs\t\t: avx512_bf16\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert cpu_features(path) == features
    assert has_bf16(path) == bf16
    assert not has_bf16(tmp_path / "no such file")


def test_auto_tries_bf16_only_if_the_cpu_has_it(monkeypatch: pytest.MonkeyPatch, order: Order) -> None:
    monkeypatch.setattr(on_openvino, "has_bf16", lambda: True)
    assert BACKEND.precisions("cpu") == ("bf16", "fp32")
    monkeypatch.setattr(on_openvino, "has_bf16", lambda: False)
    assert BACKEND.precisions("cpu") == ("fp32",)
    assert BACKEND.other_precisions("cpu") == ("int8",)
    for ask in (BACKEND.build, lambda order, exported, into, report: BACKEND.make(order, exported, into)):
        with pytest.raises(ModelError, match=r"this CPU has no bf16 arithmetic .* Choose --precision fp32"):
            ask(replace(order, precision="bf16"), Path(), Path(), quiet)


def test_fp16_is_refused(order: Order, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--precision fp16: OpenVINO supports fp32, bf16, int8 here"):
        BACKEND.build(replace(order, precision="fp16"), exported, tmp_path, quiet)


def test_int8_is_not_made_on_the_fly(order: Order, exported: Path, tmp_path: Path) -> None:
    wanted = replace(order, precision="int8")
    with pytest.raises(ModelError, match=r"small int8: not quantised yet; .* Run: percept engine quantize MODEL"):
        BACKEND.build(wanted, exported, tmp_path, quiet)
    with pytest.raises(ModelError, match="not quantised yet"):
        BACKEND.make(wanted, exported, tmp_path)


def test_a_missing_package_or_a_wrong_device_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BACKEND.missing("cpu") == ""
    assert "runs on the CPU here, not on cuda:0" in BACKEND.missing("cuda:0")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert BACKEND.missing("cpu") == "OpenVINO is not installed. Run: pip install 'percept-av[openvino]'"
    with pytest.raises(ModelError, match="pip install"):
        import_openvino()


def test_querying_the_backend_imports_nothing(tmp_path: Path) -> None:
    script = """
import sys
from engines.backends.on_openvino import BACKEND
BACKEND.missing("cpu"), BACKEND.precisions("cpu")
print([name for name in ("openvino", "nncf", "torch", "onnx") if name in sys.modules])
"""
    out, _ = python(script, tmp_path).communicate(timeout=60)
    assert out == "[]\n"


def test_facts_list_what_the_outputs_depend_on(order: Order) -> None:
    facts = BACKEND.facts(order)
    assert set(facts) == {"openvino", "cpu", "precision", "has"}
    assert facts["cpu"] == " ".join(cpu_features())
    assert set(BACKEND.facts(replace(order, precision="int8"))) == {*facts, "quantiser"} - {"has"}


def test_weights_are_not_compressed(built: Path) -> None:
    numbers = sum(weights.numel() for weights in Small().parameters())
    assert (built / "network.bin").stat().st_size >= 4 * numbers


def test_a_networks_micro_batch_limits_the_batch(order: Order, built: Path) -> None:
    assert BACKEND.make(order, None, built).max_batch == order.max_batch
    assert BACKEND.make(replace(order, micro_batch=2), None, built).max_batch == 2


def test_a_file_that_is_not_a_network_is_a_model_error(tmp_path: Path, order: Order) -> None:
    for name in ("network.xml", "network.onnx"):
        (tmp_path / name).write_bytes(b"not a network")
        with pytest.raises(ModelError, match=rf"{name}: OpenVINO cannot load it: ."):
            OpenVinoEngine(tmp_path / name, INPUTS, OUTPUTS).open()
    with pytest.raises(ModelError, match=r"network\.onnx: OpenVINO cannot read it: ."):
        BACKEND.build(order, tmp_path / "network.onnx", tmp_path, quiet)


def test_names_that_differ_from_the_ports_are_a_model_error(built: Path) -> None:
    with pytest.raises(ModelError, match=r"network\.xml: inputs are \['pictures'\]; expected \['sounds'\]"):
        OpenVinoEngine(built / "network.xml", (Port("sounds", "float32", "B 3 8 8"),), OUTPUTS).open()
    with pytest.raises(ModelError, match=r"outputs are \['tokens'\]; expected \['words'\]"):
        OpenVinoEngine(built / "network.xml", INPUTS, (Port("words", "float32", "B 5"),)).open()


def test_a_failed_conversion_leaves_the_root_logger_as_it_was(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers), list(root.filters)
    (tmp_path / "network.onnx").write_text("this is not a network")
    with pytest.raises(ModelError, match="OpenVINO cannot read it"):
        convert(tmp_path / "network.onnx")
    assert (root.level, list(root.handlers), list(root.filters)) == before


def test_it_sends_nothing_and_writes_nothing_to_the_home_directory(exported: Path, tmp_path: Path) -> None:
    script = """
import os, sys
sys.addaudithook(lambda event, details: event.startswith("socket.") and os.write(1, f"{event} {details}".encode()))
from pathlib import Path
from engines.backends.on_openvino import *
save(convert(Path(sys.argv[1])), Path(sys.argv[2]))
inputs, outputs = (Port("pictures", "float32", "B 3 8 8"),), (Port("tokens", "float32", "B 5"),)
OpenVinoEngine(Path(sys.argv[2]) / "network.xml", inputs, outputs).open()
print("opened")
"""
    home, into = tmp_path / "home", tmp_path / "built"
    home.mkdir()
    into.mkdir()
    out, errors = python(script, home, str(exported), str(into)).communicate(timeout=120)
    assert out == "opened\n", errors
    assert list(home.iterdir()) == []


USE = """
import json, os, sys, time
import numpy as np
from pathlib import Path
from engines.engine import Port
from engines.backends.on_openvino import OpenVinoEngine

inputs, outputs = (Port("pictures", "float32", "B 3 8 8"),), (Port("tokens", "float32", "B 5"),)
engine = OpenVinoEngine(Path(sys.argv[1]), inputs, outputs, threads=2)
engine.open()
cores, until = set(), time.monotonic() + 1
while time.monotonic() < until:
    cores |= {len(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}
    tokens = engine.run({"pictures": np.ones((4096, 3, 8, 8), np.float32)})["tokens"]
busy = time.process_time()
time.sleep(0.5)
print(json.dumps({
    "idle_cpu_s": time.process_time() - busy,
    "cores": sorted(cores),
    "sum": float(tokens.sum()),
}))
"""


def test_two_parallel_processes_neither_pin_threads_nor_keep_cores_busy(built: Path, tmp_path: Path) -> None:
    running = [python(USE, tmp_path, str(built / "network.xml")) for _ in range(2)]
    found: list[dict[str, Any]] = []
    for process in running:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        found.append(json.loads(out))
    for each in found:
        assert each["cores"] == [len(os.sched_getaffinity(0))]
        assert each["idle_cpu_s"] < 0.1
    assert found[0]["sum"] == found[1]["sum"]
