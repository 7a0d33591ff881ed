"""The CPU and the memory, from the texts of /proc."""

import os

from commands.check.hardware import cores_text, cpu_flags, has_bf16, memory_bytes
from pipeline.machine import cpu_name

X86 = "processor\t: 0\nmodel name\t: AMD EPYC 9654\nflags\t\t: fpu avx2 avx512f avx512_bf16\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd bf16 i8mm\nCPU part\t: 0xd4f\n"


def test_x86() -> None:
    assert cpu_name(X86) == "AMD EPYC 9654"
    assert cpu_flags(X86) == ("avx2", "avx512f", "avx512_bf16")
    assert has_bf16(cpu_flags(X86))
    assert not has_bf16(("avx2", "avx512f"))


def test_arm_has_no_name_but_flags() -> None:
    assert cpu_name(ARM) != ""
    assert cpu_flags(ARM) == ("asimd", "bf16", "i8mm")
    assert has_bf16(cpu_flags(ARM))


def test_a_quota_is_told() -> None:
    assert cores_text(os.cpu_count() or 1) == f"{os.cpu_count()} cores"
    assert cores_text(0) == f"0 of {os.cpu_count()} cores"


def test_memory() -> None:
    assert memory_bytes("MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\n") == (2 << 20, 1 << 20)
    assert memory_bytes("") == (0, 0)
