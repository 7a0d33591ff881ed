"""The spectrogram by NumPy is that of torchaudio."""

import numpy as np
import pytest
import torch

from engines.models.model import MelSpec
from engines.networks.log_mel import LogMel as Reference
from stages.log_mel import LogMel

OTHER = MelSpec(n_fft=1024, window_samples=800, hop_samples=480, mel_bands=80, patch_bins=50, patch_hop_bins=50)


@pytest.mark.parametrize("samples", [0, 1, 4_000, 32_000, 50_123])
@pytest.mark.parametrize("spec", [MelSpec(), MelSpec(style="power"), OTHER])
def test_it_is_what_torchaudio_makes(spec: MelSpec, samples: int) -> None:
    sound = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    ours, theirs = LogMel(spec)(sound), Reference(spec)(torch.from_numpy(sound)).numpy()
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
