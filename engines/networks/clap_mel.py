"""The log-mel spectrogram that CLAP's audio tower reads: segments of fixed length, in decibels."""

import torch
from torch import Tensor, nn

from engines.models.model import MelSpec
from engines.networks.torchaudio_import import import_torchaudio


def fitted_chunks(bins: Tensor, length: int) -> Tensor:
    """Front, middle and back of "T M", `length` bins each: "3 L M".

    CLAP and LanguageBind choose one segment from each third at random; here they are the first, the middle and the last
    possible one, which together cover most of the sound.
    """
    room = len(bins) - length
    return torch.stack([bins[begin : begin + length] for begin in (0, room // 2, room)])


class ClapMel(nn.Module):
    """Samples "S" in [-1, 1] -> log-mel in dB, as transformers' `ClapFeatureExtractor`, but without its randomness.

    Without feature fusion "K B M": sound longer than `patch_bins` bins (ten seconds) is cut into evenly spaced segments
    that cover it; the extractor chooses one at random. With fusion "1 4B M", stacked in time: the whole sound shrunk to
    `patch_bins`, then front, middle and back; four identical copies if it is no longer than `patch_bins`. Shorter sound
    is repeated as often as it fits completely, then padded with zeros.
    """

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        transforms = import_torchaudio().transforms
        self.spec = spec
        self.samples = (spec.patch_bins - 1) * spec.hop_samples
        self.fused = spec.style == "clap_fused"
        self.mel: nn.Module = transforms.MelSpectrogram(
            sample_rate=spec.sample_rate_hz,
            n_fft=spec.n_fft,
            win_length=spec.window_samples,
            hop_length=spec.hop_samples,
            f_min=spec.f_min_hz,
            f_max=spec.f_max_hz,
            n_mels=spec.mel_bands,
            power=2.0,
            norm=None if self.fused else "slaney",
            mel_scale="htk" if self.fused else "slaney",
        )
        self.decibels: nn.Module = transforms.AmplitudeToDB("power")

    def forward(self, samples: Tensor) -> Tensor:
        if len(samples) <= self.samples:
            bins = self._bins(self._repeated(samples))
            return (bins.repeat(4, 1) if self.fused else bins)[None].contiguous()
        if not self.fused:
            return torch.stack([self._bins(samples[begin:][: self.samples]) for begin in self._begins(len(samples))])
        bins, length = self._bins(samples), self.spec.patch_bins
        if len(bins) == length:
            return bins.repeat(4, 1)[None].contiguous()
        size = (length, self.spec.mel_bands)
        short = nn.functional.interpolate(bins[None, None], size, mode="bilinear", align_corners=False)[0]
        return torch.cat([short, fitted_chunks(bins, length)]).flatten(0, 1)[None].contiguous()

    def _begins(self, samples: int) -> list[int]:
        count = -(-samples // self.samples)
        return [round(index * (samples - self.samples) / (count - 1)) for index in range(count)]

    def _repeated(self, samples: Tensor) -> Tensor:
        repeated = samples.repeat(self.samples // max(1, len(samples)))
        return nn.functional.pad(repeated, (0, self.samples - len(repeated)))

    def _bins(self, samples: Tensor) -> Tensor:
        decibels: Tensor = self.decibels(self.mel(samples)).T
        return decibels.to(torch.float32)
