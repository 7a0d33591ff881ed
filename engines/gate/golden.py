"""The golden batch: what an engine and the reference are both run on before the engine is used."""

from collections.abc import Mapping, Sequence

import numpy as np

from engines.engine import Port
from pipeline.arrays import Array

SEED = 2022
SIZES = {"L": 64, "T": 8, "M": 5, "H": 128, "W": 160}
"""Of axes that are free, other than the batch: tokens of texts and of two modalities, sides of pictures."""
MOVED_PX = ((2, 3), (-4, 1), (0, -6), (5, 5), (-1, -2), (7, 0), (3, -4))
"""How far down and to the right the second picture of a sample is the first one, in turn. For pictures that have
nothing in common no flow is right, and a network that looks for it says something else after every rounding."""
EDGES = 4
"""Rectangles laid over each sample."""


def golden(
    inputs: Sequence[Port], count: int, level: tuple[float, float] = (0.0, 1.0), sizes: Mapping[str, int] = SIZES
) -> dict[str, Array]:
    """The golden batch: `count` samples for every input, the same on every machine.

    Float inputs of three or four axes are fields like those of pictures and spectrograms: most power in the low
    frequencies, a few sharp edges, each sample with its own brightness and contrast, all in all of mean and deviation
    `level`. Whole numbers are token ids from 1 to 3 and masks of ones. Where there are two pictures, the second is the
    first one, moved. `sizes` are those of free axes but the batch.
    """
    feeds: dict[str, Array] = {}
    for number, port in enumerate(inputs):
        random = np.random.default_rng(SEED + number)
        shape = (count, *(int(dim) if dim.isdigit() else sizes[dim] for dim in port.dims.split()[1:]))
        if not np.issubdtype(np.dtype(port.dtype), np.floating):
            is_mask = port.name == "mask"
            feeds[port.name] = np.ones(shape, port.dtype) if is_mask else random.integers(1, 4, shape, port.dtype)
            continue
        first = feeds[inputs[0].name] if feeds else None
        if first is not None and first.shape == shape and len(shape) == 4:
            feeds[port.name] = moved(first)
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


def moved(pictures: Array) -> Array:
    """Each picture of "B 3 H W" moved by one of `MOVED_PX`, in turn; what leaves it comes in on the other side."""
    shifts = (MOVED_PX[index % len(MOVED_PX)] for index in range(len(pictures)))
    return np.stack([np.roll(picture, shift, (1, 2)) for picture, shift in zip(pictures, shifts, strict=True)])
