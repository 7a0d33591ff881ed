"""Pictures prepared on a GPU equal those prepared on the CPU."""

from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from engines.devices.device import Uploader
from engines.models.model import TowerSpec
from stages import device_pictures, pictures
from stages.tower_inputs import tower_tensor

pytestmark = pytest.mark.gpu

TOWER = TowerSpec(network="clip_vision", space="clip", mean=(0.48, 0.46, 0.41), std=(0.27, 0.26, 0.28))


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch", "tiles"])
@pytest.mark.parametrize("size", [(224, 398), (240, 426), (360, 640), (120, 160)])
def test_frames_differ_by_two_grey_levels_at_most(fit: Any, size: tuple[int, int]) -> None:
    tower = replace(TOWER, fit=fit)
    frames = np.random.default_rng(0).integers(0, 256, (16, *size, 3), np.uint8)
    ours = tower_tensor(tower, frames, Uploader("cuda"))
    wanted = pictures.frame_pictures(frames[pictures.spread(8, 16)], tower)
    apart = np.abs(ours.cpu().numpy() - wanted) * np.reshape(tower.std, (1, 3, 1, 1)) * 255
    assert apart.max() <= 2.01
    assert apart.mean() < 0.05


def test_flow_sound_and_box_pictures_differ_by_two_grey_levels_at_most() -> None:
    random, uploader = np.random.default_rng(1), Uploader("cuda")
    flow = random.normal(0, 1.5, (8, 224, 398, 2)).astype(np.float16)
    log_mel = random.normal(-2, 3, (3, 96, 64)).astype(np.float32)
    frames = random.integers(0, 256, (4, 224, 398, 3), np.uint8)
    boxes = np.array([[3, 10, 10, 150, 160], [1, 0, 0, 397, 223]], np.float32)
    pairs: list[tuple[torch.Tensor, Any]] = [
        (tower_tensor(replace(TOWER, input="flow_picture"), flow, uploader),
         pictures.flow_pictures(flow, TOWER)),
        (tower_tensor(replace(TOWER, input="log_mel_picture"), log_mel, uploader),
         pictures.log_mel_pictures(log_mel, TOWER)),
        (device_pictures.box_tensor(TOWER, frames, boxes, uploader), pictures.crop_pictures(frames, boxes, TOWER)),
    ]  # fmt: skip
    for ours, wanted in pairs:
        apart = np.abs(ours.cpu().numpy() - wanted) * np.reshape(TOWER.std, (1, 3, 1, 1)) * 255
        assert apart.max() <= 2.01
