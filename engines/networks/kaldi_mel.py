"""Sound as input of an image tower trained on sound: Kaldi's filter bank; front, middle and back as channels."""

import torch
from torch import Tensor, nn

from engines.models.model import MelSpec
from engines.networks.clap_mel import fitted_chunks
from engines.networks.torchaudio_import import import_torchaudio


class KaldiMel(nn.Module):
    """Samples "S" in [-1, 1] -> log-mel "3 B M", natural logarithm, as LanguageBind (Zhu et al. 2023) prepares sound.

    The mean is subtracted, then `torchaudio.compliance.kaldi.fbank`: Hann window, no dither. Longer sound yields its
    front, middle and back; shorter sound is repeated in time and yields three identical channels.
    """

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        import_torchaudio()
        from torchaudio.compliance import kaldi

        self.spec = spec
        self._fbank = kaldi.fbank

    def forward(self, samples: Tensor) -> Tensor:
        spec = self.spec
        heard = samples - samples.mean()
        heard = nn.functional.pad(heard, (0, max(0, spec.window_samples - len(heard))))
        bins: Tensor = self._fbank(
            heard[None],
            htk_compat=True,
            sample_frequency=spec.sample_rate_hz,
            use_energy=False,
            window_type="hanning",
            num_mel_bins=spec.mel_bands,
            low_freq=spec.f_min_hz,
            high_freq=spec.f_max_hz,
            dither=0.0,
            frame_length=1000 * spec.window_samples / spec.sample_rate_hz,
            frame_shift=1000 * spec.hop_samples / spec.sample_rate_hz,
        )
        if len(bins) < spec.patch_bins:
            bins = bins.repeat(-(-spec.patch_bins // len(bins)), 1)[: spec.patch_bins]
        return fitted_chunks(bins, spec.patch_bins).to(torch.float32).contiguous()
