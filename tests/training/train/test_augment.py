import numpy as np
import pytest
import torch

from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.flow import Flow
from training.train.augment import changed_flow, changed_frames, changed_log_mel


def moving(speed_px: int, frames: int = 4) -> np.ndarray:
    """A texture that moves to the right, uint8 "T 96 128 3"."""
    import cv2

    noise = np.random.default_rng(3).integers(0, 256, (96, 300), np.uint8)
    wide = np.repeat(cv2.GaussianBlur(noise, (0, 0), 3)[..., None], 3, axis=2)
    stretched = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    return np.stack([stretched[:, 100 - speed_px * t : 228 - speed_px * t] for t in range(frames)])


def flow_of(frames: np.ndarray) -> np.ndarray:
    stage = Flow(Flow.Options(short_side_px=96), RunSettings(), Budget())
    stage.open(Resources())
    times = np.arange(len(frames), dtype=np.int64) * 125_000_000
    info = ClipInfo(source="", source_index=0, index=0, start_ns=0, end_ns=2_000_000_000)
    return np.asarray(stage.process(Clip(info, {"frames": frames, "frame_times_ns": times}, {}))["flow"])


def uncut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train.augment.LEAST_AREA", 1.0)


def both_ways(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The augmented flow without and with mirroring, found by trying seeds."""
    seen: dict[bool, np.ndarray] = {}
    for seed in range(30):
        torch.manual_seed(seed)
        changed = changed_flow(flow, mirror=True)
        seen.setdefault(bool(np.sign(changed[..., 0].mean()) != np.sign(flow[..., 0].mean())), changed)
    return seen[False], seen[True]


def test_mirroring_reverses_horizontal_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    uncut(monkeypatch)
    flow = np.random.default_rng(0).uniform(0.1, 1.0, (5, 12, 20, 2)).astype(np.float16)
    same, mirrored = both_ways(flow)
    np.testing.assert_allclose(same, flow, atol=1e-3)
    np.testing.assert_allclose(mirrored[..., 0], -flow[:, :, ::-1, 0], atol=1e-3)  # u -> -u
    np.testing.assert_allclose(mirrored[..., 1], flow[:, :, ::-1, 1], atol=1e-3)  # v is unchanged


def test_mirrored_flow_is_the_flow_of_the_mirrored_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    uncut(monkeypatch)
    frames = moving(3)
    flow = flow_of(frames)
    _, mirrored = both_ways(flow)
    expected = flow_of(np.ascontiguousarray(frames[:, :, ::-1]))
    inner = (slice(None), slice(16, -16), slice(24, -24))
    assert flow[inner][..., 0].mean() > 0.1
    assert np.abs(mirrored[inner] - expected[inner]).mean() < 0.1 * np.abs(expected[inner]).mean()


def test_flow_is_not_mirrored_unless_allowed() -> None:
    flow = np.full((2, 12, 20, 2), 0.5, np.float16)
    for seed in range(12):
        torch.manual_seed(seed)
        assert (changed_flow(flow, mirror=False) > 0).all()


def test_a_crop_enlarges_motion_with_the_picture() -> None:
    flow = np.full((3, 40, 60, 2), 0.5, np.float32)
    torch.manual_seed(1)
    larger = changed_flow(flow, mirror=False)
    assert larger.shape == flow.shape
    factors = larger / flow
    assert 1.0 < factors.mean() < 1.4
    np.testing.assert_allclose(factors, factors.mean(), rtol=0.05)


def test_all_frames_of_a_clip_are_changed_the_same_way() -> None:
    frame = moving(0, frames=1)
    frames = np.repeat(frame, 6, axis=0)
    for seed in range(6):
        torch.manual_seed(seed)
        changed = changed_frames(frames, mirror=True)
        assert changed.shape == frames.shape
        assert changed.dtype == np.uint8
        np.testing.assert_array_equal(changed, np.repeat(changed[:1], 6, axis=0))
        assert np.abs(changed.astype(int) - frames).mean() > 2


def test_the_same_seed_gives_the_same_change() -> None:
    for change, given in ((changed_flow, np.ones((2, 12, 20, 2), np.float16)), (changed_frames, moving(2))):
        torch.manual_seed(5)
        first = change(given, True)
        torch.manual_seed(5)
        np.testing.assert_array_equal(first, change(given, True))


def test_sound_is_shifted_and_masked_the_same_way_in_all_patches() -> None:
    patch = np.random.default_rng(2).standard_normal((1, 96, 64)).astype(np.float32)
    log_mel = np.repeat(patch, 3, axis=0)
    masked = 0.0
    for seed in range(10):
        torch.manual_seed(seed)
        changed = changed_log_mel(log_mel)
        assert changed.shape == log_mel.shape
        np.testing.assert_array_equal(changed, np.repeat(changed[:1], 3, axis=0))
        masked += float((changed == log_mel.min()).mean()) / 10
    assert 0.05 < masked < 0.3
