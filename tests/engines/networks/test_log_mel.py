import numpy as np
import pytest
import torch

from engines.models.model import MelSpec
from engines.networks.log_mel import LogMel


def plain_log_mel(samples: torch.Tensor, options: MelSpec) -> torch.Tensor:
    """An independent implementation with only a Fourier transform: "S" -> bins "F M"."""
    o = options
    frames = samples.unfold(0, o.window_samples, o.hop_samples) * torch.hann_window(o.window_samples, periodic=True)
    magnitudes = torch.fft.rfft(frames, o.n_fft).abs()

    def mel(hertz: torch.Tensor) -> torch.Tensor:
        return 2595 * torch.log10(1 + hertz / 700)

    edges_mel = torch.linspace(*(float(mel(torch.tensor(f))) for f in (o.f_min_hz, o.f_max_hz)), o.mel_bands + 2)
    edges_hz = 700 * (10 ** (edges_mel / 2595) - 1)
    hertz = torch.linspace(0, o.sample_rate_hz / 2, o.n_fft // 2 + 1)[:, None]
    low, middle, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    bank = torch.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)).clamp_min(0)
    return torch.log(magnitudes @ bank + o.log_offset)


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(80_000, generator=torch.Generator().manual_seed(1)) * 0.1


def test_it_equals_a_fourier_transform_and_a_filterbank(noise: torch.Tensor) -> None:
    patches = LogMel()(noise)
    bins = plain_log_mel(noise, MelSpec())
    assert patches.shape == (9, 96, 64)
    for k in range(9):
        torch.testing.assert_close(patches[k], bins[48 * k : 48 * k + 96], atol=2e-3, rtol=0)


def test_other_options_are_supported(noise: torch.Tensor) -> None:
    options = MelSpec(
        n_fft=1024, window_samples=1024, hop_samples=480, mel_bands=80, patch_bins=50, patch_hop_bins=50, f_min_hz=50
    )
    patches = LogMel(options)(noise)
    torch.testing.assert_close(patches[1], plain_log_mel(noise, options)[50:100], atol=2e-3, rtol=0)


def test_a_short_sound_is_padded_to_one_patch_of_silence_at_its_end(noise: torch.Tensor) -> None:
    patches = LogMel()(noise[:4_000])
    assert patches.shape == (1, 96, 64)
    assert patches[0, 0].max() > -3
    torch.testing.assert_close(patches[0, 40:], torch.full((56, 64), float(np.log(0.001))))


@pytest.mark.parametrize("samples", [0, 1, 15_600, 15_600 + 3_839, 15_600 + 3_841, 32_000, 160_000])
def test_at_most_half_a_hop_is_added_or_lost(samples: int) -> None:
    options = MelSpec()
    count = options.patches(samples)
    hop = options.hop_samples * options.patch_hop_bins
    covered = options.patch_samples + (count - 1) * hop
    assert count == 1 or abs(covered - samples) <= hop / 2
    assert LogMel(options)(torch.zeros(samples)).shape == (count, 96, 64)


def test_a_batch_of_sounds_equals_the_sounds_one_by_one(noise: torch.Tensor) -> None:
    log_mel, pair = LogMel(), noise.reshape(2, -1)
    torch.testing.assert_close(log_mel(pair), torch.stack([log_mel(one) for one in pair]))


def test_a_tone_is_strongest_in_its_own_band() -> None:
    time_s = torch.arange(16_000) / 16_000
    bands = [
        int(LogMel()(torch.sin(2 * torch.pi * hertz * time_s))[0].mean(0).argmax()) for hertz in (200, 1_000, 4_000)
    ]
    assert bands == sorted(bands)
    assert bands[0] < 8
    assert bands[2] > 40


def test_it_equals_the_teachers_spectrogram(noise: torch.Tensor, shared_data) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("ai_edge_litert", reason="the teacher runs with ai-edge-litert")
    from recipes.percept_mini.sound_data import Teacher

    seen = Teacher(shared_data / "weights" / "yamnet.tflite")(noise[:15_600].numpy())[0]
    difference = np.abs(seen - LogMel()(noise[:15_600])[0].numpy())
    assert difference.mean() < 0.01
    assert difference.max() < 0.2
