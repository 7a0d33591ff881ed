"""Arrays in a file that processes map instead of reading it: they share its pages."""

import json
import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.arrays import Array

DTYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "U8": np.uint8, "BOOL": np.bool_}


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write one safetensors file, complete or not at all."""
    from safetensors.numpy import save_file

    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, half)
    half.replace(path)


def mapped_arrays(path: Path) -> dict[str, Array]:
    """The arrays of a file that `save_arrays` wrote, read-only. Its data begin on a multiple of eight bytes, and wider
    types come first, so all are aligned.

    Raises: FileNotFoundError: there is no such file.
    """
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(memory[:8], "little")
    arrays: dict[str, Array] = {}
    for name, about in json.loads(memory[8:start]).items():
        first, _ = about["data_offsets"]
        array: Array = np.ndarray(about["shape"], DTYPES[about["dtype"]], memory, start + first)
        arrays[name] = array
    return arrays
