"""Sound as input of image towers: Kaldi's filter bank; its front, middle and back as channels."""

import numpy as np
import torch

from engines.models.model import MelSpec, TowerSpec
from engines.networks.kaldi_mel import KaldiMel
from stages.pictures import log_mel_chunks

SPEC = MelSpec(mel_bands=112, f_min_hz=20, f_max_hz=8000, patch_bins=100, style="kaldi")


def sound(seconds: float) -> torch.Tensor:
    times = np.arange(round(seconds * 16_000)) / 16_000
    noise = np.random.default_rng(0).normal(0, 0.05, len(times))
    return torch.from_numpy((0.2 + 0.3 * np.sin(2 * np.pi * 440 * times * (1 + times)) + noise).astype(np.float32))


def frame_by_hand(samples: np.ndarray) -> np.ndarray:
    """One frame of 400 samples -> 112 log energies, step by step as in Kaldi's documentation."""
    frame = samples.astype(np.float64) - samples.mean()
    frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
    frame = frame * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399))
    power = np.abs(np.fft.rfft(frame, 512)) ** 2

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127 * np.log(1 + np.asarray(hertz) / 700)

    edges = np.linspace(mel(20), mel(8000), 114)
    bins = mel(np.arange(257) * 16_000 / 512)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[:, 256] = 0  # Kaldi omits the highest bin
    return np.log(np.maximum(weights @ power, np.finfo(np.float32).eps))


def test_a_frame_equals_kaldi_computed_by_hand() -> None:
    samples = sound(3)
    bins = KaldiMel(SPEC)(samples).numpy()
    heard = (samples - samples.mean()).numpy()
    for index in (0, 57):
        np.testing.assert_allclose(bins[0, index], frame_by_hand(heard[160 * index :][:400]), atol=2e-2)


def test_longer_sound_yields_its_front_middle_and_back_reproducibly() -> None:
    samples = sound(3)
    bins, whole = KaldiMel(SPEC)(samples), KaldiMel(MelSpec(**{**as_dict(SPEC), "patch_bins": 298}))(samples)[0]
    assert bins.shape == (3, 100, 112)
    for chunk, begin in zip(bins, (0, 99, 198), strict=True):
        assert torch.equal(chunk, whole[begin : begin + 100])
    assert torch.equal(bins, KaldiMel(SPEC)(samples))


def test_shorter_sound_is_repeated() -> None:
    bins = KaldiMel(SPEC)(sound(0.5))
    assert torch.equal(bins[0], bins[1])
    assert torch.equal(bins[0], bins[2])
    assert torch.equal(bins[0, 48:96], bins[0, :48])
    assert torch.equal(bins[0, 96:], bins[0, :4])
    assert KaldiMel(SPEC)(sound(0.01)).shape == (3, 100, 112)


def test_front_middle_and_back_are_channels_of_one_picture() -> None:
    tower = TowerSpec(network="clip_vision@112x100", space="clip", mean=(-4.0,) * 3, std=(9.0,) * 3)
    bins = np.random.default_rng(0).standard_normal((3, 100, 112)).astype(np.float32)
    picture = log_mel_chunks(bins, tower)
    assert picture.shape == (1, 3, 112, 100)
    np.testing.assert_allclose(picture[0, 2, 5, 7], (bins[2, 7, 5] + 4) / 9, rtol=1e-6)


def as_dict(spec: MelSpec) -> dict[str, object]:
    return {name: getattr(spec, name) for name in spec.__struct_fields__}
