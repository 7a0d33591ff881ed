"""The NVIDIA GPUs of this machine, from the driver itself, without torch or any other import."""

import ctypes
import os
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

NVIDIA_DRIVER = Path("/proc/driver/nvidia")


@dataclass(frozen=True)
class Gpu:
    """One GPU. capability: such as (9, 0); driver: the newest CUDA version that it supports, "13.0"."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    driver: str


def gpu_here() -> bool:
    """Whether networks would run on a GPU here: a driver is loaded, and torch is built with CUDA.

    Does not initialise CUDA, which no process may do before it forks.
    """
    return (NVIDIA_DRIVER / "version").exists() and torch_has_cuda()


def why_no_gpu_here(device: str) -> str:
    """Why "cuda" or "cuda:N" cannot be used here, and what to do; "" if it probably can. Does not initialise CUDA."""
    if find_spec("torch") is None:
        return f"device {device!r}: PyTorch is not installed. Run: pip install torch"
    if not torch_has_cuda():
        return f"device {device!r}: torch {version('torch')} is built without CUDA. Choose --device cpu"
    if why := why_no_driver(device):
        return f"device {device!r}: {why}. Choose --device cpu"
    return ""


def why_no_driver(device: str) -> str:
    """Why the driver does not offer "cuda" or "cuda:N" to anybody here; "" if it probably does."""
    if not (NVIDIA_DRIVER / "version").exists():
        return "no NVIDIA driver is loaded"
    number, count = int(device.partition(":")[2] or 0), len(list((NVIDIA_DRIVER / "gpus").glob("*")))
    if count and number >= count and not os.environ.get("CUDA_VISIBLE_DEVICES"):
        return f"there are {count} GPUs; expected cuda:0 to cuda:{count - 1}"
    return ""


def torch_has_cuda() -> bool:
    torch = find_spec("torch")
    places = torch.submodule_search_locations if torch else None
    return any(any(Path(place, "lib").glob("libtorch_cuda*")) for place in places or ())


def gpu_at(device: str) -> Gpu | None:
    """The GPU that "cuda" or "cuda:N" means; None if the driver does not show it."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        return None
    gpus, index = gpu_probe(), int(number or 0)
    return gpus[index] if index < len(gpus) else None


def gpu_probe() -> list[Gpu]:
    """The GPUs that the driver shows to this process; none without a driver. Imports nothing and creates no context.

    Do not call it in a process that forks workers: a process forked afterwards cannot use the GPU.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        count, driver = ctypes.c_int(), ctypes.c_int()
        if (
            cuda.cuInit(0)
            or cuda.cuDeviceGetCount(ctypes.byref(count))
            or cuda.cuDriverGetVersion(ctypes.byref(driver))
        ):
            return []
        newest = f"{driver.value // 1000}.{driver.value % 1000 // 10}"
        return [_gpu(cuda, index, newest) for index in range(count.value)]
    except (OSError, AttributeError):  # the library is missing, or is not the driver's
        return []


def _gpu(cuda: ctypes.CDLL, index: int, driver: str) -> Gpu:
    major_of, minor_of = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    memory_bytes, name = ctypes.c_size_t(), ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), major_of, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), minor_of, device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory_bytes), device)
    return Gpu(name.value.decode(errors="replace"), (major.value, minor.value), memory_bytes.value, driver)
