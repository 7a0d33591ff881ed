"""Log-mel patches by NumPy, which begins two seconds sooner than PyTorch; see `engines.networks.log_mel`."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from engines.models.model import MelSpec
from pipeline.arrays import Array


class LogMel:
    """The same as `engines.networks.log_mel.LogMel`, for one sound: float32 "S" -> "K B M"."""

    def __init__(self, spec: MelSpec) -> None:
        self._spec = spec
        self._window = np.hanning(spec.window_samples + 1)[:-1].astype(np.float32)
        self._bank = mel_bank(spec)
        self._power = 2 if spec.style == "power" else 1

    def __call__(self, samples: Array) -> Array:
        spec = self._spec
        patches = spec.patches(len(samples))
        wanted = spec.patch_samples + spec.hop_samples * spec.patch_hop_bins * (patches - 1)
        fitted = np.pad(samples[:wanted], (0, max(0, wanted - len(samples))))
        frames = sliding_window_view(fitted, spec.window_samples)[:: spec.hop_samples] * self._window
        magnitudes = np.abs(np.fft.rfft(frames, spec.n_fft))
        bins = np.log(magnitudes**self._power @ self._bank + np.float32(spec.log_offset))
        starts = np.arange(patches)[:, None] * spec.patch_hop_bins
        made: Array = bins[starts + np.arange(spec.patch_bins)]
        return made


def mel_bank(spec: MelSpec) -> Array:
    """Triangles over the HTK mel scale, without area normalisation: float32 "F M", F = n_fft / 2 + 1."""
    lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (spec.f_min_hz, spec.f_max_hz))
    edges_hz = 700 * (10 ** (np.linspace(lowest, highest, spec.mel_bands + 2) / 2595) - 1)
    hertz = np.linspace(0, spec.sample_rate_hz // 2, spec.n_fft // 2 + 1)[:, None]
    low, middle, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    triangles = np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle))
    bank: Array = np.maximum(triangles, 0).astype(np.float32)
    return bank
