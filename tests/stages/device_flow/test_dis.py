"""Inverse search in PyTorch on pictures whose motion is known, with tensors on the CPU."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from pipeline.arrays import Array
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.device_flow.dis import agreement, shifts
from stages.flow import Flow
from stages.flow import agreement as agreement_on_host

SECOND = 1_000_000_000
HEIGHT, WIDTH = 112, 160


def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Array:
    """Smooth random grey levels with detail at several sizes."""
    random = np.random.default_rng(seed)
    cells = [random.normal(size=(count, count)).astype(np.float32) for count in (4, 9, 20)]
    picture = sum(cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC) for each in cells)
    return np.asarray(np.clip(picture * 30 + 128, 0, 255), np.float32)


def mapped(picture: Array, matrix: Sequence[Sequence[float]]) -> Array:
    """The picture with its content moved from x to matrix (x, 1)."""
    size = picture.shape[1], picture.shape[0]
    return np.asarray(cv2.warpAffine(picture, np.array(matrix, float), size, borderMode=cv2.BORDER_REFLECT))


def shifts_of(before: list[Array], after: list[Array]) -> Array:
    found = shifts(*(torch.from_numpy(np.stack(pictures)) for pictures in (before, after)))
    return np.moveaxis(found.numpy(), 1, -1)


def clip_of(seed: int, height: int, width: int, steps: int = 2) -> Clip:
    picture = texture(seed, height, width)
    grey = [mapped(picture, [[1, 0, 2 * step], [0, 1, -step]]) for step in range(steps)]
    frames = np.repeat(np.stack(grey)[..., None], 3, -1).astype(np.uint8)
    times_ns = np.arange(steps) * SECOND // 8
    return Clip(ClipInfo("a.mp4", 0, seed, 0, 2 * SECOND), {"frames": frames, "frame_times_ns": times_ns})


def stage() -> tuple[Flow, Resources]:
    resources = Resources()
    flow = Flow(Flow.Options(method="dis-torch"), RunSettings(device="cpu"), Budget())
    flow.open(resources)
    return flow, resources


def test_a_shift_and_a_zoom_are_found_and_a_batch_gives_what_its_pairs_give_alone() -> None:
    before = [texture(0), texture(1)]
    zoom = [[1.05, 0, -0.05 * WIDTH / 2], [0, 1.05, -0.05 * HEIGHT / 2]]
    after = [mapped(before[0], [[1, 0, 7.5], [0, 1, -3.25]]), mapped(before[1], zoom)]
    found = shifts_of(before, after)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    truth = np.stack([np.stack([np.full_like(x, 7.5), np.full_like(x, -3.25)], -1),
                      np.stack([0.05 * (x - WIDTH / 2), 0.05 * (y - HEIGHT / 2)], -1)])  # fmt: skip
    errors = np.linalg.norm(found - truth, axis=-1)[:, 12:-12, 12:-12]
    assert errors.mean((1, 2)).max() < 0.1
    alone = np.concatenate([shifts_of([one], [other]) for one, other in zip(before, after, strict=True)])
    assert np.abs(found - alone).max() < 1e-3


def test_clips_of_several_sizes_together_give_what_they_give_alone() -> None:
    clips = [clip_of(0, 120, 160), clip_of(1, 80, 60, steps=3), clip_of(2, 120, 160), clip_of(3, 50, 50, steps=1)]
    flow, resources = stage()
    together = [outputs["flow"] for outputs in flow.process_many(clips)]
    alone = [flow.process(clip)["flow"] for clip in clips]
    resources.close()
    assert together[3] == alone[3] == Absent("too_short")
    for one, other in zip(together[:3], alone[:3], strict=True):
        assert one.shape == other.shape
        assert one.dtype == np.float16
        assert np.allclose(one, other, atol=2e-3)


def test_frames_are_uploaded_once_for_all_stages_of_the_process() -> None:
    flow, resources = stage()
    clip = clip_of(0, 120, 160)
    flow.process(clip)
    uploader = resources.get(("uploader", "cpu"), lambda: None)
    assert uploader.upload(clip["frames"]) is uploader.upload(clip["frames"])
    resources.close()


def test_agreement_is_that_on_the_host() -> None:
    before = [texture(0, 57, 90), texture(1, 57, 90), np.zeros((57, 90), np.float32)]
    after = [mapped(before[0], [[1, 0, 3], [0, 1, 0]]), texture(2, 57, 90), before[2]]
    found = shifts_of(before, after)
    pairs = zip(before, after, found, strict=True)
    wanted = [agreement_on_host([one, other], shift[None])[0] for one, other, shift in pairs]
    tensors = (torch.from_numpy(np.stack(each)) for each in (before, after, np.moveaxis(found, -1, 1)))
    got = agreement(*tensors).numpy()
    assert np.allclose(got, wanted, atol=0.01)
    assert got[0] > 0.9
    assert got[1] < 0.65
    assert got[2] == 1
