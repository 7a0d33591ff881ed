"""The type and shape of an array, in one notation for docstrings, checks and messages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Spec:
    """An array a stage gives.

    dtype: a NumPy name, or "record" for JSON-like data (dicts, lists, numbers, strings), which travels in messages.
    dims: letters and numbers, "T H W 3".
    max_bytes: space to reserve in a slot; 0 for data that travels in messages.
    in_message: a small array that must outlive its slot travels in messages instead of shared memory.
    """

    dtype: str
    dims: str = ""
    max_bytes: int = 0
    in_message: bool = False

    @property
    def is_record(self) -> bool:
        return self.dtype == "record"

    def bytes_of(self, shape: Sequence[int]) -> int:
        """The size of an array of this shape."""
        return math.prod(shape) * np.dtype(self.dtype).itemsize

    def bare(self) -> "Spec":
        """The spec without the fields of a subclass."""
        return Spec(self.dtype, self.dims, self.max_bytes, self.in_message)


RECORD = Spec("record", in_message=True)


def check_array(name: str, array: Array, dims: str, dtype: DTypeLike) -> dict[str, int]:
    """Check dtype and shape, and return the size of each letter in `dims` ("T H W 3").

    Raises:
        ValueError: `Clip.frames must be uint8 (T, H, W, 3), got uint8 (4, 3, 6, 8)`.
    """
    wanted = dims.split()
    sizes: dict[str, int] = {}
    fits = array.dtype == np.dtype(dtype) and array.ndim == len(wanted)
    if fits:
        for dim, size in zip(wanted, array.shape, strict=True):
            fits &= size == int(dim) if dim.isdigit() else sizes.setdefault(dim, size) == size
    if not fits:
        shape = ", ".join(wanted)
        raise ValueError(f"{name} must be {np.dtype(dtype)} ({shape}), got {array.dtype} {array.shape}")
    return sizes


def read_only(array: Array) -> Array:
    """A view of the same memory that cannot be written through."""
    view = array.view()
    view.flags.writeable = False
    return view
