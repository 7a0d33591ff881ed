"""The package versions and the machine that figures were measured with."""

import contextlib
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from pipeline.machine import core_count

PACKAGES = (
    *("percept-av", "torch", "onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"),
    *("transformers", "tokenizers", "av", "numpy", "opencv-python-headless"),
)


def versions() -> dict[str, str]:
    """Versions of Python and of the installed `PACKAGES`."""
    return {"python": platform.python_version(), **dict(_installed())}


def _installed() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)


def machine() -> str:
    """Processor and cores, and the GPU if torch is loaded and has one."""
    parts = [f"{_processor()}, {core_count()} cores"]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return "; ".join(parts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "a processor")
