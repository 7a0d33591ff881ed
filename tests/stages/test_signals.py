"""Measurements on the streams themselves."""

from typing import Any

import numpy as np
import pytest

from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, RunSettings
from stages.signals import SignalsStage, contrast, motion_energy, signals_of


def frames(value: int, count: int = 4) -> Any:
    return np.full((count, 60, 80, 3), value, np.uint8)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_uniform_picture_has_no_contrast(value: int) -> None:
    assert contrast(frames(value)) == 0


def test_contrast_is_the_spread_of_brightness() -> None:
    half = frames(0)
    half[:, :, 40:] = 255
    assert contrast(half) == pytest.approx(1, abs=0.01)
    speck = frames(0)
    speck[:, :4, :4] = 255
    assert contrast(speck) == 0
    assert contrast(np.concatenate([frames(0, 5), half])) == 0


def test_a_moving_camera_is_not_motion_but_a_moving_object_is() -> None:
    flow = np.zeros((3, 40, 64, 2), np.float16)
    flow[..., 0] = 1.5
    assert motion_energy(flow) == 0
    flow[:, :24, :24, 1] = 1.0
    assert motion_energy(flow) == pytest.approx(24 * 24 / (40 * 64), abs=1e-3)
    assert motion_energy(flow[:0]) == 0


def test_loudness_uses_only_the_real_samples_of_the_clip() -> None:
    audio, mask = np.zeros(3000, np.float32), np.ones(3000, np.uint8)
    audio[:1000] = 1.0
    audio[1000:2000] = 0.1
    mask[2000:] = 0
    arrays = {"audio": audio, "audio_mask": mask, "audio_start_ns": np.array([7_000_000_000])}
    clip = Clip(ClipInfo("a", 0, 4, 8_000_000_000, 10_000_000_000), arrays)
    assert signals_of(clip)["audio"]["loudness_dbfs"] == pytest.approx(-20, abs=0.01)


@pytest.mark.parametrize("gain_db", [0.0, -33.0, 15.0])
def test_normalised_loudness_is_that_of_the_clip_in_the_towers_input(gain_db: float) -> None:
    """Two seconds of context at -20 dBFS, and a clip at -40 with a second of gap."""
    made = np.random.default_rng(0).normal(0, 1, 4000) * np.repeat([0.1, 0.01], 2000) * 10 ** (gain_db / 20)
    mask = np.ones(4000, np.uint8)
    mask[3000:] = 0
    arrays = {
        "audio": (made * mask).astype(np.float32),
        "audio_mask": mask,
        "audio_start_ns": np.array([6_000_000_000]),
    }
    measured = signals_of(Clip(ClipInfo("a", 0, 4, 8_000_000_000, 10_000_000_000), arrays))["audio"]
    level_dbfs = 10 * np.log10((2 * 0.1**2 + 0.01**2) / 3)  # of all three seconds
    assert measured["loudness_dbfs"] == pytest.approx(-40 + gain_db, abs=0.5)
    assert measured["normalised_dbfs"] == pytest.approx(-40 - 30 - level_dbfs, abs=0.5)


def test_corrupt_frames_are_reported_as_a_share() -> None:
    clip = Clip(ClipInfo("a", 0, 0, 0, 2_000_000_000, corrupt_frames=1), {"frames": frames(9)})
    assert signals_of(clip)["image"]["corrupt_share"] == 0.25
    assert signals_of(Clip(ClipInfo("a", 0, 0, 0, 2_000_000_000), {})) == {}


def test_the_stage_measures_the_present_streams() -> None:
    stage = SignalsStage(SignalsStage.Options(), RunSettings(), Budget())
    streams = {"frames": frames(9), "flow": np.zeros((3, 40, 64, 2), np.float16)}
    outputs = stage.process(Clip(ClipInfo("a", 0, 0, 0, 2_000_000_000), streams, {"audio": "no_stream"}))
    assert outputs == {"signals": {"image": {"contrast": 0, "corrupt_share": 0}, "motion": {"energy": 0}}}
    assert set(outputs) == set(stage.gives())
