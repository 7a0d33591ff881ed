"""Which TensorRT is chosen, and that all names we use exist in every supported version."""

import ast
import json
import os
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from engines.devices.gpus import Gpu, gpu_at, gpu_probe
from engines.tensorrt import api as tensorrt_api
from engines.tensorrt.api import (
    OLDEST,
    USED,
    USED_OF_RTX,
    Installed,
    able,
    capability_of,
    chosen,
    failure,
    find_tensorrt,
    is_ahead_of_time,
    mark,
    missing,
    noting_unlisted,
    recording_logger,
    unlisted,
)
from pipeline.errors import ModelError
from tests.engines.stubs.compiled import compile_library
from tests.engines.stubs.tensorrt_names import VERSIONS, kept, look, members, signatures

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [ROOT / "engines" / "tensorrt" / name for name in ("api.py", "plan.py", "on_tensorrt.py")]


def dotted(used: dict[str, tuple[str, ...]]) -> set[str]:
    return {f"{owner}.{member}" if member else owner for owner, members in used.items() for member in members or ("",)}


def absent(names: set[str], found: dict[str, list[str]]) -> list[str]:
    """The `names` that are not in `found`, which has top-level names and the members of each."""
    return sorted(
        name for name in names if (parts := name.split("."))[0] not in found or not set(parts[1:]) <= {*found[parts[0]]}
    )


def only_installed(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For this test, install only a TensorRT of that version, and a GPU."""
    name = f"fake_tensorrt_{version.replace('.', '_')}"
    (folder / f"{name}.py").write_text(f"__version__ = {version!r}")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(tensorrt_api, "DISTRIBUTIONS", {name: ()})
    monkeypatch.setattr(tensorrt_api, "OLDEST", {name: OLDEST["tensorrt"]})
    monkeypatch.setattr(tensorrt_api, "gpu_at", lambda device: object())


def test_all_we_use_exists_in_tensorrt_rtx() -> None:
    pytest.importorskip("tensorrt_rtx")
    assert absent(dotted(USED) | dotted(USED_OF_RTX), members("tensorrt_rtx")) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_all_we_use_exists_in_tensorrt(version: str) -> None:
    found = kept()[version]["members"]
    assert absent(dotted(USED), found) == []
    assert "ComputeCapability" not in found
    assert ("FP16" in found["BuilderFlag"]) == version.startswith("10.")


@pytest.mark.parametrize("version", VERSIONS)
def test_signatures_are_the_same_in_tensorrt_and_tensorrt_rtx(version: str) -> None:
    pytest.importorskip("tensorrt_rtx")
    wanted, found = kept()[version]["takes"], signatures("tensorrt_rtx")
    assert len(wanted) > 20
    assert {name: found.get(name, line) for name, line in wanted.items()} == wanted


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_stored_names_are_those_of_the_bindings(version: str, tmp_path: Path) -> None:
    try:
        found = look(version, tmp_path)
    except subprocess.SubprocessError as error:
        pytest.skip(f"the bindings {version} cannot be downloaded: {error}")
    assert found == kept()[version], "Run: python -m tests.engines.stubs.tensorrt_names"


def test_a_name_that_does_not_exist_would_be_detected() -> None:
    found = {"Builder": ["create_network"]}
    assert absent({"Builder.create_network", "Builder", "Builder.build_cuda_engine", "Onnx"}, found) == [
        "Builder.build_cuda_engine",
        "Onnx",
    ]


def test_every_name_in_our_sources_is_in_the_list() -> None:
    """Each `trt.X.Y` must be listed exactly; a member of any TensorRT class must be listed under some class."""
    trt = pytest.importorskip("tensorrt_rtx")
    classes = [getattr(trt, owner) for owner in {**USED, **USED_OF_RTX}]
    theirs = {name for each in classes for name in dir(each) if not name.startswith("_")}
    listed = {name.rpartition(".")[2] for name in dotted(USED) | dotted(USED_OF_RTX)}
    ours = {"dtype", "flags"}  # numpy has these names too
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
    logger, since = recording_logger(trt), mark(trt)
    logger.log(trt.ILogger.INFO, "reading")
    assert logger.text(since) == ""
    logger.log(trt.ILogger.WARNING, "odd")
    assert logger.text(since) == "  odd"
    for _ in range(2):
        logger.log(trt.ILogger.ERROR, "node 7\nis wrong\n")
    logger.log(trt.ILogger.INTERNAL_ERROR, "gave up")
    assert logger.text(since) == "  node 7\n  is wrong\n  gave up"


def test_a_failure_quotes_the_log_after_its_mark() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    before = mark(trt)
    recording_logger(trt).log(trt.ILogger.ERROR, "of the first engine")
    between = mark(trt)
    assert "logged nothing" in str(failure(trt, between, "the second"))
    recording_logger(trt).log(trt.ILogger.ERROR, "of the second engine")
    assert str(failure(trt, between, "the second")) == "the second\n  of the second engine"
    assert str(failure(trt, before, "both")).splitlines()[1:] == ["  of the first engine", "  of the second engine"]


def test_a_failure_quotes_the_end_of_a_long_log() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    since = mark(trt)
    for number in range(200):
        recording_logger(trt).log(trt.ILogger.ERROR, f"node {number}")
    assert str(failure(trt, since, "all")).splitlines()[1:] == [f"  node {number}" for number in range(192, 200)]


def test_the_library_gets_one_logger_per_process() -> None:
    """It keeps the first one permanently, and warns about any other."""
    trt = pytest.importorskip("tensorrt_rtx")
    since, loggers = mark(trt), [recording_logger(trt) for _ in range(2)]
    builders = [trt.Builder(logger) for logger in loggers]
    assert [logger.text(since) for logger in loggers] == ["", ""]
    del builders


def test_threads_get_the_same_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(trt: object) -> object:
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(tensorrt_api, "_loggers", {})
    monkeypatch.setattr(tensorrt_api, "_new_logger", slowly)
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(lambda _: recording_logger(json), range(4)))) == 1


def test_on_the_cpu_other_engines_are_suggested() -> None:
    assert missing("cpu") == ("TensorRT needs an NVIDIA GPU, not device 'cpu'. Choose --engine openvino or onnxruntime")


def test_if_none_is_installed_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_api, "DISTRIBUTIONS", {"no_such_module": ()})
    assert "Run: pip install -U 'percept-av[tensorrt]'" in missing("cuda:0")
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


def both_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates a machine with a GPU and both packages; whether they can be imported is set separately."""
    both = {"tensorrt": "tensorrt-cu13 11.4.0.106", "tensorrt_rtx": "tensorrt-rtx 1.7.1.116"}
    monkeypatch.setattr(tensorrt_api, "_installed", lambda module: tensorrt_api.Installed(module, both[module]))
    monkeypatch.setattr(tensorrt_api, "gpu_at", lambda device: Gpu("NVIDIA H200", (9, 0), 141 << 30, "13.1"))


def provide(folder: Path, module: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For this test, `import module` runs that source text."""
    (folder / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)


def test_with_a_gpu_the_full_library_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    both_installed(monkeypatch)
    assert [each.module for each in able("cuda:0")] == ["tensorrt", "tensorrt_rtx"]
    assert [each.module for each in able("sm89")] == ["tensorrt_rtx"]


BROKEN = "raise ImportError('libnvinfer.so.11: cannot open shared object file')"


def test_bindings_without_libraries_do_not_hide_the_other_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_installed(monkeypatch)
    provide(tmp_path, "tensorrt", BROKEN, monkeypatch)
    provide(tmp_path, "tensorrt_rtx", "", monkeypatch)
    assert missing("cuda:0") == ""
    installed, module = chosen("cuda:0")
    assert (installed.package, module.__name__) == ("tensorrt-rtx 1.7.1.116", "tensorrt_rtx")
    sys.modules.pop("tensorrt_rtx", None)


def test_missing_libraries_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_installed(monkeypatch)
    provide(tmp_path, "tensorrt", BROKEN, monkeypatch)
    provide(tmp_path, "tensorrt_rtx", BROKEN.replace("libnvinfer.so.11", "libtensorrt_rtx.so.1"), monkeypatch)
    with pytest.raises(ModelError) as caught:
        find_tensorrt("cuda:0")
    assert "tensorrt-cu13 11.4.0.106 cannot be imported: libnvinfer.so.11" in str(caught.value)
    assert "tensorrt-rtx 1.7.1.116 cannot be imported: libtensorrt_rtx.so.1" in str(caught.value)
    assert "Run again: pip install -U " in str(caught.value)


@pytest.mark.parametrize(("capability", "noted"), [((9, 0), True), ((8, 9), False)])
def test_a_gpu_that_rtx_does_not_list_is_noted(
    capability: tuple[int, int], noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    monkeypatch.setattr(tensorrt_api, "gpu_at", lambda device: Gpu("a GPU", capability, 1 << 30, "13.1"))
    note = unlisted(trt, "cuda:0")
    assert note.startswith("SM90 is not among the GPUs that tensorrt_rtx 1.") == noted
    with pytest.raises(ModelError) as caught, noting_unlisted(trt, "cuda:0"):
        raise ModelError("it does not load")
    assert str(caught.value) == (f"it does not load\n{note}" if noted else "it does not load")
    assert unlisted(trt, "sm90") == ""  # the build refuses it and names it
    assert unlisted(json, "cuda:0") == ""


@pytest.mark.parametrize(
    ("capability", "is_refused"), [((9, 0), True), ((7, 5), True), ((8, 9), False), ((12, 1), False), ((13, 0), False)]
)
def test_a_gpu_that_rtx_leaves_out_is_refused_before_a_plan_is_built(
    capability: tuple[int, int], is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = dict.fromkeys(("NONE", "CURRENT", "SM80", "SM86", "SM89", "SM120"))
    trt = SimpleNamespace(
        __name__="tensorrt_rtx", __version__="1.7.1", ComputeCapability=SimpleNamespace(__members__=kinds)
    )
    monkeypatch.setattr(tensorrt_api, "gpu_at", lambda device: Gpu("a GPU", capability, 1 << 30, "13.1"))
    monkeypatch.setattr(tensorrt_api, "able", lambda device: [Installed("tensorrt_rtx", "tensorrt-rtx 1.7.1")])
    monkeypatch.setattr(tensorrt_api.importlib, "import_module", lambda name: trt)
    if not is_refused:
        assert find_tensorrt("cuda:0") is trt
        return
    with pytest.raises(ModelError, match=r"does not run on GPUs of compute capability \d.\d. Install the full"):
        find_tensorrt("cuda:0")


def test_the_extras_require_a_supported_version() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, module in (("tensorrt", "tensorrt"), ("tensorrt-rtx", "tensorrt_rtx")):
        assert f"{extra}>={'.'.join(map(str, OLDEST[module]))}," in extras[extra][0]


def test_a_missing_gpu_is_reported() -> None:
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
from engines.devices.gpus import gpu_at, gpu_probe
from engines.tensorrt.api import capability_of
assert [gpu.name for gpu in gpu_probe()] == ["NVIDIA H200"], gpu_probe()
assert gpu_at("cuda") == gpu_at("cuda:0") == gpu_probe()[0]
assert gpu_at("cuda:1") is None
assert capability_of("cuda:0") == (9, 0)
"""
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


def test_a_library_that_is_not_the_driver_has_no_gpus(tmp_path: Path) -> None:
    compile_library("libnvinfer.c", tmp_path / "libcuda.so.1")
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    script = "from engines.devices.gpus import gpu_probe; assert gpu_probe() == []"
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
