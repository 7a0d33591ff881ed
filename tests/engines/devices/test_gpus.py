"""Facts about GPUs, read without initialising CUDA."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from engines.devices import gpus
from engines.devices.gpus import gpu_here, why_no_gpu_here


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with torch for CUDA, a driver and two GPUs."""
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "torch" / "lib" / "libtorch_cuda.so").touch()
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "driver" / "gpus" / name).mkdir(parents=True)
    (tmp_path / "driver" / "version").touch()
    torch = SimpleNamespace(submodule_search_locations=[tmp_path / "torch"])
    monkeypatch.setattr(gpus, "find_spec", lambda name: torch)
    monkeypatch.setattr(gpus, "NVIDIA_DRIVER", tmp_path / "driver")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def test_a_driver_and_a_cuda_build_of_torch_make_a_gpu_usable(machine: Path) -> None:
    assert gpu_here()
    assert why_no_gpu_here("cuda") == why_no_gpu_here("cuda:1") == ""


def test_a_driver_alone_is_not_enough(machine: Path) -> None:
    (machine / "torch" / "lib" / "libtorch_cuda.so").unlink()
    assert not gpu_here()
    assert "is built without CUDA. Choose --device cpu" in why_no_gpu_here("cuda:0")


def test_torch_without_a_driver_is_not_enough(machine: Path) -> None:
    (machine / "driver" / "version").unlink()
    assert not gpu_here()
    assert why_no_gpu_here("cuda:0") == "device 'cuda:0': no NVIDIA driver is loaded. Choose --device cpu"


def test_a_missing_gpu_is_refused(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        why_no_gpu_here("cuda:2") == "device 'cuda:2': there are 2 GPUs; expected cuda:0 to cuda:1. Choose --device cpu"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")  # the GPUs are renumbered then
    assert why_no_gpu_here("cuda:2") == ""
