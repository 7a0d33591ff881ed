"""One level for all sound, and none for noise floors."""

from typing import Any

import numpy as np
import pytest

from pipeline.clip import Clip, ClipInfo
from stages.loudness import (
    SILENCE_DBFS,
    TARGET_DBFS,
    amplified,
    gain_db,
    gain_of,
    gain_of_clip,
    loudness_dbfs,
    normalised,
)


def noise(level_dbfs: float, samples: int = 32_000, seed: int = 0) -> Any:
    made = np.random.default_rng(seed).normal(0, 1, samples)
    made -= made.mean()
    return (made * 10 ** (level_dbfs / 20) / np.sqrt(np.mean(made**2))).astype(np.float32)


def tone(level_dbfs: float, hertz: float = 440.0, rate_hz: int = 16_000) -> Any:
    times = np.arange(rate_hz) / rate_hz
    return (np.sqrt(2) * 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def test_loudness_is_in_decibels_relative_to_full_scale() -> None:
    times = np.arange(16_000) / 16_000
    assert loudness_dbfs(np.sin(2 * np.pi * 440 * times).astype(np.float32)) == pytest.approx(-3.01, abs=0.01)
    assert loudness_dbfs(np.zeros(100, np.float32)) == SILENCE_DBFS == loudness_dbfs(np.zeros(0, np.float32))


@pytest.mark.parametrize("level_dbfs", [0.0, -6.0, -20.0, -40.0, -55.0, -59.9])
@pytest.mark.parametrize("make", [noise, tone])
def test_every_sound_reaches_the_same_level(make: Any, level_dbfs: float) -> None:
    heard, reference = normalised(make(level_dbfs)), normalised(make(-20.0))
    assert loudness_dbfs(heard) == pytest.approx(TARGET_DBFS, abs=0.01)
    np.testing.assert_allclose(heard, reference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("level_dbfs", [-65.0, -70.0, -90.0])
def test_a_noise_floor_stays_as_it_is_even_on_a_constant_offset(level_dbfs: float) -> None:
    for samples in (noise(level_dbfs - 0.01), noise(level_dbfs - 0.1) + np.float32(0.02)):
        np.testing.assert_array_equal(normalised(samples), samples)


def test_silence_and_nothing_at_all_get_no_gain() -> None:
    assert gain_of(np.zeros(32_000, np.float32)) == 0.0 == gain_of(np.zeros(0, np.float32))
    assert gain_of(np.full(32_000, 0.25, np.float32)) == 0.0


def test_louder_sound_is_heard_louder_or_equal_and_nothing_jumps() -> None:
    levels = np.arange(-120.0, 12.0, 0.05)
    gains = np.array([gain_db(level) for level in levels])
    assert gains.max() == pytest.approx(30.0)
    assert gains[levels > -20].max() < 0
    steps = np.diff(levels + gains)
    assert (steps > -1e-9).all()
    assert steps.max() < 0.5


def test_quiet_and_loud_parts_of_a_clip_keep_their_ratio() -> None:
    samples = np.concatenate([noise(-50.0), noise(-20.0)])
    quiet, loud = np.split(normalised(samples), 2)
    assert loudness_dbfs(loud) - loudness_dbfs(quiet) == pytest.approx(30.0, abs=0.01)
    assert loudness_dbfs(np.concatenate([quiet, loud])) == pytest.approx(TARGET_DBFS, abs=0.01)


def test_peaks_beyond_full_scale_are_not_clipped() -> None:
    click = np.zeros(32_000, np.float32)
    click[100], click[200] = 0.2, -0.2
    heard = normalised(click)
    assert heard.max() > 1.0
    np.testing.assert_allclose(heard, amplified(click, gain_of(click)))


def test_gaps_do_not_count_and_the_context_does() -> None:
    second = 1_000_000_000
    mask = np.repeat(np.array([0, 1], np.uint8), 16_000)
    arrays = {"audio": noise(-40.0) * mask, "audio_mask": mask}
    half = Clip(ClipInfo("a", 0, 0, 0, 2 * second), arrays)
    assert gain_of_clip(half) == pytest.approx(10.0, abs=0.2)
    context = np.concatenate([noise(-20.0), noise(-100.0)])
    start = {"audio_start_ns": np.zeros(1, np.int64)}
    with_context = Clip(ClipInfo("a", 0, 0, 2 * second, 4 * second), {"audio": context, **start})
    assert gain_of_clip(with_context) == pytest.approx(-30.0 + 20.0 + 3.01, abs=0.05)
