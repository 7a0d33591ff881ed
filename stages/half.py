"""Numbers of 16 bits and back, by PyTorch: NumPy 2.4 takes 4 to 12 times as long."""

import numpy as np

from pipeline.arrays import Array


def to_half(values: Array) -> Array:
    """float32 -> float16 of the same shape."""
    import torch

    return np.asarray(torch.from_numpy(np.ascontiguousarray(values)).half().numpy())


def from_half(values: Array) -> Array:
    """float16 -> float32 of the same shape, a new array."""
    import torch

    given = values if values.flags.writeable and values.flags.c_contiguous else values.copy()  # slots are read-only
    return np.asarray(torch.from_numpy(given).to(torch.float32, copy=True).numpy())
