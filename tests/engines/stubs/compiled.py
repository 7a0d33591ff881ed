"""Compiles the C files in this folder to shared libraries."""

import shutil
import subprocess
from pathlib import Path

import pytest


def compile_library(source: str, path: Path, *flags: str) -> Path:
    """Compile a shared library; skips the test if there is no C compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    name = f"-Wl,-soname,{path.name}"
    command = ["gcc", "-shared", "-fPIC", "-w", *flags, name, "-o", str(path), str(Path(__file__).parent / source)]
    subprocess.run(command, check=True, timeout=60)
    return path
