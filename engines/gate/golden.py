"""The golden batch: the inputs on which an engine is compared with the reference before it is used."""

from collections.abc import Mapping, Sequence

import numpy as np

from engines.engine import Port
from pipeline.arrays import Array

SEED = 2022
SIZES = {"L": 64, "T": 8, "M": 5, "H": 128, "W": 160}
"""Sizes of free axes other than the batch: tokens of texts and of two modalities, sides of pictures."""
MOVED_PX = ((2, 3), (-4, 1), (0, -6), (5, 5), (-1, -2), (7, 0), (3, -4))
"""Shifts (down, right) from a sample's first picture to its second, used in turn. Unrelated pictures have no correct
flow, so a flow network's output for them would change with every rounding."""
EDGES = 4
"""Number of rectangles added to each sample."""


def golden(
    inputs: Sequence[Port], count: int, level: tuple[float, float] = (0.0, 1.0), sizes: Mapping[str, int] = SIZES
) -> dict[str, Array]:
    """The golden batch: `count` samples for every input, the same on every machine.

    Float inputs with three or more axes are fields that resemble pictures and spectrograms: most power in the low
    frequencies, a few sharp edges, each sample with its own brightness and contrast, mean and deviation about `level`.
    Integers are token ids from 1 to 3 and masks of ones. If there are two pictures, the second is the first one,
    shifted. `sizes` gives the sizes of free axes other than the batch.
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
    """One sample "... H W" with mean about 0 and deviation about 1."""
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
    """Each picture of "B 3 H W" shifted by one of `MOVED_PX`, in turn, with wrap-around."""
    shifts = (MOVED_PX[index % len(MOVED_PX)] for index in range(len(pictures)))
    return np.stack([np.roll(picture, shift, (1, 2)) for picture, shift in zip(pictures, shifts, strict=True)])
