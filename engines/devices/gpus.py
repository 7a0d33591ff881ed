"""The NVIDIA GPUs of this machine, asked of the driver itself, without torch or any other import."""

import ctypes
from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """capability: such as (9, 0); driver: the newest CUDA it can run, "13.0"."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    driver: str


def gpu_at(device: str) -> Gpu | None:
    """The GPU that "cuda" or "cuda:N" means, if the driver shows it."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        return None
    gpus, index = gpu_probe(), int(number or 0)
    return gpus[index] if index < len(gpus) else None


def gpu_probe() -> list[Gpu]:
    """The GPUs that the driver shows to this process; none without a driver. Imports nothing, and creates no context.

    A process forked from this one afterwards cannot use the GPU: not to be called in one that forks workers.
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
    except (OSError, AttributeError):  # no such library, or one that is something else
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
