"""Grey pictures on a device equal those that OpenCV makes."""

import cv2
import numpy as np
import pytest
import torch

from stages.device_flow.grey import grey, warped
from stages.flow import grey_at, size_at


@pytest.mark.parametrize("size", [(360, 640), (225, 127), (90, 100)])
def test_grey_pictures_are_those_of_opencv_within_a_level(size: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    ours = grey(torch.from_numpy(frame)[None], *size_at(*size, 112))[0].numpy()
    theirs = grey_at(frame, 112)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1


def test_a_warped_picture_is_that_of_opencv() -> None:
    random = np.random.default_rng(0)
    picture = random.uniform(0, 255, (30, 50)).astype(np.float32)
    shifts = random.normal(0, 9, (2, 30, 50)).astype(np.float32)
    ours = warped(torch.from_numpy(picture)[None], torch.from_numpy(shifts)[None])[0].numpy()
    y, x = np.mgrid[:30, :50].astype(np.float32)
    theirs = cv2.remap(picture, x + shifts[0], y + shifts[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(ours - theirs).max() < 5, "OpenCV rounds places to 1/32 px"
