"""The golden batch: what an engine and the reference are both run on before the engine is used."""

from collections.abc import Sequence

import numpy as np

from engines.engine import Port
from pipeline.arrays import Array

SEED = 2022
EDGES = 4
"""Rectangles laid over each sample."""


def golden(
    inputs: Sequence[Port], count: int, level: tuple[float, float] = (0.0, 1.0), sides: int = 64
) -> dict[str, Array]:
    """The golden batch: `count` samples for every input, the same on every machine.

    Float inputs of three or four axes are fields like those of pictures and spectrograms: most power in the low
    frequencies, a few sharp edges, each sample with its own brightness and contrast, all in all of mean and deviation
    `level`. Whole numbers are token ids from 1 to 3 and masks of ones. `sides` stands for free axes but the batch.
    """
    feeds: dict[str, Array] = {}
    for number, port in enumerate(inputs):
        random = np.random.default_rng(SEED + number)
        shape = (count, *(int(dim) if dim.isdigit() else sides for dim in port.dims.split()[1:]))
        if not np.issubdtype(np.dtype(port.dtype), np.floating):
            is_mask = port.name == "mask"
            feeds[port.name] = np.ones(shape, port.dtype) if is_mask else random.integers(1, 4, shape, port.dtype)
            continue
        samples = [
            _field(shape[1:], random) if len(shape) > 2 else random.standard_normal(shape[1:]) for _ in range(count)
        ]
        feeds[port.name] = (level[0] + level[1] * np.stack(samples)).astype(port.dtype)
    return feeds


def _field(shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """One sample "... H W" of mean about 0 and deviation about 1."""
    height, width = shape[-2:]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None] * width)
    spectrum = np.fft.rfft2(random.standard_normal(shape)) / np.maximum(frequency, 1.0) ** random.uniform(0.5, 1.5)
    field = np.fft.irfft2(spectrum, s=(height, width))
    field /= max(float(field.std()), 1e-9)
    for _ in range(EDGES):
        top, left = random.integers(0, height), random.integers(0, width)
        bottom, right = top + random.integers(1, height // 2 + 2), left + random.integers(1, width // 2 + 2)
        field[..., top:bottom, left:right] += random.normal(0, 1, (*shape[:-2], 1, 1))
    mixed: Array = field * random.uniform(0.4, 1.2) + random.normal(0, 0.4, (*shape[:-2], 1, 1))
    return mixed
