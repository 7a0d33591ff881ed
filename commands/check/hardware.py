"""The CPU, the memory and the GPUs of this machine."""

import os
from pathlib import Path

MEMORY_INFO = Path("/proc/meminfo")
KERNELS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm")
"""CPU flags that decide how fast networks run, on x86 and on ARM."""


def cpu_flags(info: str) -> tuple[str, ...]:
    has = (_field(info, "flags") or _field(info, "Features")).split()
    return tuple(flag for flag in KERNELS if flag in has)


def has_bf16(flags: tuple[str, ...]) -> bool:
    return any(flag.endswith("bf16") for flag in flags)


def cores_text(usable: int) -> str:
    """`2 cores`, or `2 of 64 cores` if an affinity or a quota allows less than there is."""
    total = os.cpu_count() or usable
    return f"{usable} cores" if total == usable else f"{usable} of {total} cores"


def memory_bytes(info: str) -> tuple[int, int]:
    """All memory, and what is available, from the text of /proc/meminfo; 0 if it does not say."""
    total, free = (_field(info, name).partition(" ")[0] for name in ("MemTotal", "MemAvailable"))
    return int(total or 0) << 10, int(free or 0) << 10


def _field(info: str, name: str) -> str:
    """`name : value`, the first one."""
    for line in info.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
