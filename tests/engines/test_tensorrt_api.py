"""Which TensorRT is taken, and that all we use of it exists in every version that we say we run on."""

import ast
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from engines import tensorrt_api
from engines.gpus import gpu_at, gpu_probe
from engines.tensorrt_api import (
    DISTRIBUTIONS,
    OLDEST,
    USED,
    USED_OF_RTX,
    capability_of,
    chosen,
    find_tensorrt,
    is_ahead_of_time,
    missing,
    recording_logger,
)
from pipeline.errors import ModelError
from tests.engines.stubs.compiled import compile_library

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "engines" / name for name in ("tensorrt_api.py", "tensorrt_build.py", "on_tensorrt.py")]
BINDINGS = {"10": "10.16.1.11", "11": "11.4.0.106"}
STUBS = ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")


def dotted(used: dict[str, tuple[str, ...]]) -> set[str]:
    return {f"{owner}.{member}" if member else owner for owner, members in used.items() for member in members or ("",)}


def absent(names: set[str], found: dict[str, list[str]]) -> list[str]:
    """Those of `names` that are not in `found`: top-level names, and the members of each."""
    return sorted(
        name for name in names if (parts := name.split("."))[0] not in found or not set(parts[1:]) <= {*found[parts[0]]}
    )


def members(module: str, environment: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Of everything in a module; looked at in a process of its own."""
    script = f"import json, {module} as m; print(json.dumps({{n: dir(getattr(m, n)) for n in dir(m)}}))"
    return dict(json.loads(output_of(script, environment)))


def output_of(script: str, environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def signatures(module: str, environment: dict[str, str] | None = None) -> dict[str, str]:
    """Of every method in `USED` that has one signature: "(self: Builder, flags: typing.SupportsInt = 0) -> ..."."""
    script = f"""
import json, {module} as m
said = {{f"{{o}}.{{n}}": getattr(getattr(m, o), n).__doc__ or "" for o, ns in {USED!r}.items() for n in ns}}
print(json.dumps({{name: text.strip().partition(chr(10))[0] for name, text in said.items()}}))
"""
    lines = dict(json.loads(output_of(script, environment)))
    own = f"{module}.tensorrt." if module.endswith("bindings") else f"{module}_bindings.{module}."
    return {name: line.replace(own, "") for name, line in lines.items() if "(self" in line}


def only_installed(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TensorRT of that version is all there is, for this test alone; and a GPU."""
    name = f"fake_tensorrt_{version.replace('.', '_')}"
    (folder / f"{name}.py").write_text(f"__version__ = {version!r}")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(tensorrt_api, "DISTRIBUTIONS", {name: ()})
    monkeypatch.setattr(tensorrt_api, "OLDEST", {name: OLDEST["tensorrt"]})
    monkeypatch.setattr(tensorrt_api, "gpu_at", lambda device: object())


def test_all_we_use_exists_in_tensorrt_rtx() -> None:
    pytest.importorskip("tensorrt_rtx")
    assert absent(dotted(USED) | dotted(USED_OF_RTX), members("tensorrt_rtx")) == []


@pytest.mark.slow
@pytest.mark.parametrize("major", sorted(BINDINGS))
def test_all_we_use_exists_in_tensorrt(major: str, tmp_path: Path) -> None:
    """Only the bindings are fetched, 1.3 MB; the libraries are stood in for, because they cannot be had everywhere."""
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input",
             "--disable-pip-version-check", "--retries=1", "--timeout=10", f"--dest={tmp_path}"]  # fmt: skip
    wheel = f"tensorrt-cu13-bindings=={BINDINGS[major]}"
    try:
        fetched = subprocess.run([*fetch, wheel], capture_output=True, text=True, timeout=90)
    except subprocess.TimeoutExpired:
        pytest.skip("no package index answers")
    if fetched.returncode:
        pytest.skip(f"{wheel} cannot be fetched: {fetched.stderr.strip()[-200:]}")
    (path,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(path), str(tmp_path)], check=True, timeout=60)
    for name in STUBS:
        compile_library("libnvinfer.c", tmp_path / f"{name}.so.{major}")
    there = {"PYTHONPATH": str(tmp_path), "LD_LIBRARY_PATH": str(tmp_path)}
    found = members("tensorrt_bindings", there)
    assert absent(dotted(USED), found) == []
    assert "ComputeCapability" not in found
    assert ("FP16" in found["BuilderFlag"]) == (major == "10")
    if find_spec("tensorrt_rtx") is not None:
        takes, takes_here = signatures("tensorrt_bindings", there), signatures("tensorrt_rtx")
        assert len(takes) > 20
        assert {name: takes_here.get(name, line) for name, line in takes.items()} == takes


def test_a_name_that_does_not_exist_would_be_noticed() -> None:
    found = {"Builder": ["create_network"]}
    assert absent({"Builder.create_network", "Builder", "Builder.build_cuda_engine", "Onnx"}, found) == [
        "Builder.build_cuda_engine",
        "Onnx",
    ]


def test_every_name_in_our_sources_is_in_the_list() -> None:
    """`trt.X.Y` must be listed as it stands; a member of any TensorRT class must be listed under some class."""
    trt = pytest.importorskip("tensorrt_rtx")
    classes = [getattr(trt, owner) for owner in {**USED, **USED_OF_RTX}]
    theirs = {name for each in classes for name in dir(each) if not name.startswith("_")}
    listed = {name.rpartition(".")[2] for name in dotted(USED) | dotted(USED_OF_RTX)}
    ours = {"dtype", "flags"}  # of numpy as well
    direct, used, defined = set(), set(), set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.FunctionDef):
                defined.add(node.name)
            if isinstance(node, ast.Attribute):
                used.add(node.attr)
                if (name := ast.unparse(node)).startswith(("trt.", "self._trt.")):
                    direct.add(name.removeprefix("self._").removeprefix("trt."))
    roots = {*USED, *USED_OF_RTX, "__name__", "__version__"}
    assert {name for name in direct if name.split(".")[0] not in roots} == set()
    full = {name for name in direct if "." in name and not name.endswith(("__init__", "__name__"))}
    assert full <= dotted(USED)
    assert (used & theirs) - listed - ours == set()
    assert listed - used - defined - {"ComputeCapability"} == set(), "listed, but not used"


def test_the_log_keeps_errors_and_falls_back_to_warnings() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    logger = recording_logger(trt)
    logger.log(trt.ILogger.INFO, "reading")
    assert logger.text() == ""
    logger.log(trt.ILogger.WARNING, "odd")
    assert logger.text() == "  odd"
    for _ in range(2):
        logger.log(trt.ILogger.ERROR, "node 7\nis wrong\n")
    logger.log(trt.ILogger.INTERNAL_ERROR, "gave up")
    assert logger.text() == "  node 7\n  is wrong\n  gave up"


def test_the_cpu_is_told_what_to_take_instead() -> None:
    assert missing("cpu") == ("TensorRT needs an NVIDIA GPU, device is 'cpu'. Choose --engine openvino or onnxruntime")


def test_where_none_is_installed_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_api, "DISTRIBUTIONS", {"no_such_module": ()})
    assert "Run: pip install 'percept-av[tensorrt]'" in missing("cuda:0")
    assert "percept-av[tensorrt-rtx]" in missing("sm89")


@pytest.mark.parametrize(
    ("version", "good"), [("10.3.0", False), ("10.11.9", False), ("10.12.0.36", True), ("11.4", True)]
)
def test_a_version_that_is_too_old_is_refused(
    version: str, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_installed(tmp_path, version, monkeypatch)
    if good:
        assert missing("cuda:0") == ""
    else:
        assert f"{version} is too old; expected 10.12 or later" in missing("cuda:0")


def test_with_a_gpu_the_full_library_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx")
    both = {"tensorrt": "tensorrt-cu13 11.4.0.106", "tensorrt_rtx": "tensorrt-rtx 1.7.1.116"}
    monkeypatch.setattr(tensorrt_api, "_installed", lambda module: tensorrt_api.Installed(module, both[module]))
    monkeypatch.setattr(tensorrt_api, "gpu_at", lambda device: object())
    assert chosen("cuda:0").module == "tensorrt"
    assert chosen("sm89").module == "tensorrt_rtx"
    assert tuple(DISTRIBUTIONS) == ("tensorrt", "tensorrt_rtx")


def test_libraries_that_are_missing_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tensorrt_api.Installed("broken_tensorrt", "tensorrt-cu13 11.4.0.106")
    (tmp_path / "broken_tensorrt.py").write_text(
        "raise ImportError('libnvinfer.so.11: cannot open shared object file')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tensorrt_api, "chosen", lambda device: package)
    with pytest.raises(ModelError, match=r"tensorrt-cu13 11.4.0.106 cannot be imported: libnvinfer.so.11"):
        find_tensorrt("cuda:0")


def test_a_gpu_that_is_not_there_is_said() -> None:
    if gpu_probe():
        pytest.skip("there is a GPU")
    pytest.importorskip("tensorrt_rtx")
    assert missing("cuda:0") == "TensorRT needs an NVIDIA GPU; the driver shows no cuda:0. Choose --device cpu"
    with pytest.raises(ModelError, match="the driver shows no cuda:0"):
        find_tensorrt("cuda:0")
    assert missing("sm89") == ""
    assert find_tensorrt("sm89").__name__ == "tensorrt_rtx"


@pytest.mark.parametrize(
    ("device", "ahead", "capability"),
    [("sm89", True, (8, 9)), ("sm120", True, (12, 0)), ("cpu", False, (0, 0)), ("sm", False, (0, 0)),
     ("cuda:99", False, (0, 0))],
)  # fmt: skip
def test_a_kind_of_gpu_can_be_named_instead_of_a_gpu(device: str, ahead: bool, capability: tuple[int, int]) -> None:
    assert is_ahead_of_time(device) == ahead
    assert capability_of(device) == capability


def test_the_driver_is_asked_for_its_gpus(tmp_path: Path) -> None:
    compile_library("libcuda.c", tmp_path / "libcuda.so.1")
    script = """
from engines.gpus import gpu_at, gpu_probe
from engines.tensorrt_api import capability_of
assert [gpu.name for gpu in gpu_probe()] == ["NVIDIA H200"], gpu_probe()
assert gpu_at("cuda") == gpu_at("cuda:0") == gpu_probe()[0]
assert gpu_at("cuda:1") is None
assert capability_of("cuda:0") == (9, 0)
"""
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


def test_something_that_is_no_driver_has_no_gpus(tmp_path: Path) -> None:
    compile_library("libnvinfer.c", tmp_path / "libcuda.so.1")
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    script = "from engines.gpus import gpu_probe; assert gpu_probe() == []"
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


@pytest.mark.gpu
def test_torch_and_the_driver_see_the_same_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    gpu = gpu_at("cuda:0")
    assert gpu is not None
    assert gpu.capability == torch.cuda.get_device_capability(0)
    assert gpu.name == torch.cuda.get_device_name(0)
