"""The log-mel spectrogram that CLAP's audio tower reads: one stretch of fixed length, in decibels."""

import torch
from torch import Tensor, nn

from engines.model import MelSpec
from engines.torchaudio_import import import_torchaudio


class ClapMel(nn.Module):
    """Samples "S" in [-1, 1] -> log-mel "1 B M" in dB, as transformers' `ClapFeatureExtractor` makes of unfused models.

    The last `patch_bins` bins count; shorter sound is repeated as often as it fits whole, then padded with zeros.
    """

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        transforms = import_torchaudio().transforms
        self.samples = (spec.patch_bins - 1) * spec.hop_samples
        self.mel: nn.Module = transforms.MelSpectrogram(
            sample_rate=spec.sample_rate_hz,
            n_fft=spec.n_fft,
            win_length=spec.window_samples,
            hop_length=spec.hop_samples,
            f_min=spec.f_min_hz,
            f_max=spec.f_max_hz,
            n_mels=spec.mel_bands,
            power=2.0,
            norm="slaney",
            mel_scale="slaney",
        )
        self.decibels: nn.Module = transforms.AmplitudeToDB("power")

    def forward(self, samples: Tensor) -> Tensor:
        last = samples[-self.samples :]
        repeated = last.repeat(self.samples // max(1, len(last)))
        fitted = nn.functional.pad(repeated, (0, self.samples - len(repeated)))
        decibels: Tensor = self.decibels(self.mel(fitted)).T
        return decibels[None].to(torch.float32).contiguous()
