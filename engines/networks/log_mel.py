"""The log-mel spectrogram, cut into patches that a convolutional network reads one by one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.models.model import MelSpec
from engines.networks.torchaudio_import import import_torchaudio


class LogMel(nn.Module):
    """Samples "... S" in [-1, 1] -> log-mel patches "... K B M", the natural logarithm of (mel magnitude + offset).

    The defaults are YAMNet's front end: 25 ms windows every 10 ms, patches of 0.96 s every 0.48 s. Magnitudes or powers
    (see `style`) of a periodic Hann window, HTK mel bands without area normalisation. Patches start every
    `patch_hop_bins`. The end is padded with zeros or cut, so that at most half a hop is added or lost; there is always
    at least one patch.
    """

    def __init__(self, spec: MelSpec | None = None) -> None:
        super().__init__()
        self.spec = spec = spec or MelSpec()
        if spec.style not in ("magnitude", "power"):
            raise ValueError(f"LogMel: style {spec.style!r} is not supported; expected 'magnitude' or 'power'")
        self.mel: nn.Module = import_torchaudio().transforms.MelSpectrogram(
            sample_rate=spec.sample_rate_hz,
            n_fft=spec.n_fft,
            win_length=spec.window_samples,
            hop_length=spec.hop_samples,
            f_min=spec.f_min_hz,
            f_max=spec.f_max_hz,
            n_mels=spec.mel_bands,
            power=2.0 if spec.style == "power" else 1.0,
            center=False,
            norm=None,
            mel_scale="htk",
        )

    def forward(self, samples: Tensor) -> Tensor:
        spec = self.spec
        wanted = spec.patch_samples + spec.hop_samples * spec.patch_hop_bins * (spec.patches(samples.shape[-1]) - 1)
        # torch centres a short window in n_fft samples, so frames would begin (n_fft - window) / 2 late: pad that much.
        side = (spec.n_fft - spec.window_samples) // 2
        fitted = nn.functional.pad(samples[..., :wanted], (side, max(0, wanted - samples.shape[-1]) + side))
        bins = torch.log(self.mel(fitted) + spec.log_offset).transpose(-1, -2)
        return bins.unfold(-2, spec.patch_bins, spec.patch_hop_bins).transpose(-1, -2).contiguous()
