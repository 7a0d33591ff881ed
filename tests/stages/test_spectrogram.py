"""Log-mel patches of a clip's sound, only where there is real sound."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.models.model import MelSpec
from engines.networks.log_mel import LogMel
from pipeline.arrays import check_array
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.spectrogram import Spectrogram, heard_seconds, most_patches
from tests.tiny_models import make_tiny_clap

RATE = 16_000


def clip_of(samples: Any, heard: Any = None) -> Clip:
    mask = np.ones(len(samples), np.uint8) if heard is None else heard.astype(np.uint8)
    audio = np.asarray(samples, np.float32)
    audio.flags.writeable = False
    arrays = {"audio": audio, "audio_mask": mask, "audio_start_ns": np.zeros(1, np.int64)}
    return Clip(ClipInfo("a.wav", 0, 0, 0, len(samples) * 1_000_000_000 // RATE), arrays)


def noise(seconds: float) -> Any:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def stage() -> Spectrogram:
    made = Spectrogram(Spectrogram.Options(), RunSettings(), Budget())
    made.open(Resources())
    return made


def test_it_demands_the_sample_rate_of_the_model(stage: Spectrogram) -> None:
    assert stage.demand().audio_rate_hz == RATE


@pytest.mark.parametrize("seconds", [0.25, 0.5, 0.96, 1.0, 2.0, 2.49])
def test_patches_fit_the_size_limit(stage: Spectrogram, seconds: float) -> None:
    patches = stage.process(clip_of(noise(seconds)))["log_mel"]
    sizes = check_array("log_mel", patches, "K 96 64", "float32")
    assert 1 <= sizes["K"] <= most_patches(MelSpec(), round(seconds * RATE))
    assert patches.nbytes <= stage.gives()["log_mel"].max_bytes
    assert patches.flags.c_contiguous
    assert np.isfinite(patches).all()


def test_a_tone_is_bright_in_its_band(stage: Spectrogram) -> None:
    times = np.arange(2 * RATE) / RATE
    low = stage.process(clip_of(0.5 * np.sin(2 * np.pi * 300 * times)))["log_mel"].mean((0, 1))
    high = stage.process(clip_of(0.5 * np.sin(2 * np.pi * 5000 * times)))["log_mel"].mean((0, 1))
    assert low.argmax() < 12
    assert high.argmax() > 48


def test_silence_is_the_floor(stage: Spectrogram) -> None:
    patches = stage.process(clip_of(np.zeros(2 * RATE)))["log_mel"]
    np.testing.assert_allclose(patches, np.log(0.001), atol=1e-4)


def test_under_a_fifth_of_a_second_is_too_short(stage: Spectrogram) -> None:
    assert stage.process(clip_of(noise(0.15)))["log_mel"] == Absent("too_short")


def test_a_clip_that_is_all_gap_is_absent_with_that_reason(stage: Spectrogram) -> None:
    assert stage.process(clip_of(np.zeros(RATE), np.zeros(RATE)))["log_mel"] == Absent("gap")


def test_patches_before_the_sound_begins_are_left_out(stage: Spectrogram) -> None:
    heard = np.arange(2 * RATE) >= 1.2 * RATE
    part = stage.process(clip_of(noise(2) * heard, heard))["log_mel"]
    level_dbfs = 20 * np.log10(np.sqrt(np.mean(noise(2)[heard] ** 2)))
    whole = LogMel()(torch.from_numpy(noise(2) * heard * np.float32(10 ** ((-30 - level_dbfs) / 20)))).numpy()
    assert 0 < len(part) < len(whole)
    np.testing.assert_allclose(part, whole[-len(part) :], atol=1e-3)


@pytest.mark.parametrize("gain_db", [-38.0, -17.0, 12.0])
def test_patches_do_not_depend_on_the_gain(stage: Spectrogram, gain_db: float) -> None:
    plain = stage.process(clip_of(noise(2)))["log_mel"]
    changed = stage.process(clip_of(noise(2) * 10 ** (gain_db / 20)))["log_mel"]
    np.testing.assert_allclose(changed, plain, atol=1e-3)


@pytest.mark.parametrize("level_dbfs", [-65.1, -72.0, -90.0])
def test_a_noise_floor_is_not_amplified(stage: Spectrogram, level_dbfs: float) -> None:
    floor = noise(2) / np.float32(0.1) * np.float32(10 ** (level_dbfs / 20))
    found = stage.process(clip_of(floor))["log_mel"]
    np.testing.assert_allclose(found, LogMel()(torch.tensor(floor)).numpy(), atol=1e-4)


def test_a_tower_that_needs_ten_seconds_gets_one_patch(tmp_path: Path) -> None:
    directory = make_tiny_clap(tmp_path / "tiny-clap")
    stage = Spectrogram(Spectrogram.Options(), RunSettings(model=str(directory)), Budget(audio_samples=480_000))
    assert (stage.demand().audio_rate_hz, stage.demand().audio_context_s) == (48_000, 10.0)
    stage.open(Resources())
    samples, heard = np.random.default_rng(0).normal(0, 0.1, 480_000), np.arange(480_000) >= 384_000
    arrays = {"audio": (samples * heard).astype(np.float32), "audio_mask": heard.astype(np.uint8)}
    second = 1_000_000_000
    patches = stage.process(Clip(ClipInfo("a.wav", 0, 0, 0, 2 * second), arrays))["log_mel"]
    assert patches.shape == (1, 1001, 64)
    assert patches.nbytes <= stage.gives()["log_mel"].max_bytes
    assert patches[0, :900].mean() == pytest.approx(patches[0, 100:190].mean(), abs=0.5)
    arrays["audio_mask"] = (~heard).astype(np.uint8)
    assert stage.process(Clip(ClipInfo("a.wav", 0, 0, 0, 2 * second), arrays))["log_mel"] == Absent("gap")


def test_heard_seconds_count_real_samples_per_patch() -> None:
    heard = np.arange(2 * RATE) >= RATE
    seconds = heard_seconds(heard, MelSpec(), 3)
    np.testing.assert_allclose(seconds, [0, 0.445, 0.925], atol=0.03)


def test_without_the_audio_modality_nothing_is_computed() -> None:
    stage = Spectrogram(Spectrogram.Options(), RunSettings(modalities=("image",)), Budget())
    stage.open(Resources())
    assert stage.demand().audio_rate_hz == 0
    assert stage.process(clip_of(noise(1)))["log_mel"] == Absent("not_asked")


def stage_of(tmp_path: Path, mel: MelSpec, network: str) -> Spectrogram:
    from msgspec.structs import replace

    from engines.models.checkpoint import read_model
    from engines.models.model_file import write_model

    mini = read_model("percept-mini")
    assert mini.audio
    write_model(replace(mini, audio=replace(mini.audio, mel=mel, network=network)), tmp_path)
    made = Spectrogram(Spectrogram.Options(), RunSettings(model=str(tmp_path)), Budget(audio_samples=4 * RATE))
    made.open(Resources())
    return made


@pytest.mark.parametrize("seconds", [0.3, 2.0, 4.0])
def test_chunks_are_front_middle_and_back_of_the_real_sound(seconds: float, tmp_path: Path) -> None:
    mel = MelSpec(mel_bands=32, f_min_hz=20, f_max_hz=8000, patch_bins=150, style="kaldi")
    stage = stage_of(tmp_path, mel, "clip_vision@32x150")
    heard = np.arange(4 * RATE) >= (4 - seconds) * RATE
    chunks = stage.process(clip_of(noise(4), heard))["log_mel"]
    check_array("log_mel", chunks, "3 150 32", "float32")
    assert chunks.nbytes <= stage.gives()["log_mel"].max_bytes
    assert (chunks[0] == chunks[2]).all() == (seconds < 1.6)
    alone = stage.process(clip_of(noise(4)[heard]))["log_mel"]
    np.testing.assert_array_equal(chunks, alone)
    quieter = stage.process(clip_of(noise(4) * 0.02, heard))["log_mel"]
    np.testing.assert_allclose(quieter, chunks, atol=2e-3)
    assert stage.process(clip_of(noise(4), np.arange(4 * RATE) >= 3.9 * RATE))["log_mel"] == Absent("too_short")


@pytest.mark.parametrize("seconds", [0.3, 0.7, 4.0])
def test_fused_sound_is_one_patch_within_its_size_limit(seconds: float, tmp_path: Path) -> None:
    mel = MelSpec(
        hop_samples=160, n_fft=512, window_samples=512, patch_bins=101, patch_hop_bins=100, style="clap_fused"
    )
    stage = stage_of(tmp_path, mel, "clap_fused_audio")
    patch = stage.process(clip_of(noise(seconds)))["log_mel"]
    check_array("log_mel", patch, "1 404 64", "float32")
    assert patch.nbytes <= stage.gives()["log_mel"].max_bytes
    assert (patch[0, :101] == patch[0, 101:202]).all() == (seconds < 1)
    np.testing.assert_allclose(stage.process(clip_of(noise(seconds) * 0.02))["log_mel"], patch, atol=2e-3)


def test_every_second_of_a_long_sound_is_counted_as_heard() -> None:
    mel = MelSpec(hop_samples=160, patch_bins=101, patch_hop_bins=100, style="clap")
    heard = np.arange(round(2.5 * RATE)) < 2.4 * RATE
    np.testing.assert_allclose(heard_seconds(heard, mel, 3), [1.0, 1.0, 0.9], atol=0.03)
