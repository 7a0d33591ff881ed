"""Comparing small copies of pictures."""

from typing import Any

import av
import numpy as np
import pytest

from stages.decode.cuts import Sketch, Sketcher, agreement, change, is_cut, sketch


def sketched(picture: Any, time_s: float = 0.0) -> Sketch:
    return sketch(round(time_s * 1e9), Sketcher().small(av.VideoFrame.from_ndarray(picture)))


def noise(seed: int, shift_px: int = 0) -> Any:
    levels = np.random.default_rng(seed).integers(0, 255, (30, 60, 3), np.uint8)
    return np.kron(levels, np.ones((12, 12, 1), np.uint8))[:, shift_px : shift_px + 640].copy()


def test_a_change_is_zero_for_the_same_picture_and_one_for_black_and_white_at_most() -> None:
    black, white = np.zeros((360, 640, 3), np.uint8), np.full((360, 640, 3), 255, np.uint8)
    assert change(sketched(noise(1)), sketched(noise(1))) == 0
    assert 0.5 < change(sketched(black), sketched(white)) <= 1


def test_flow_explains_a_pan_but_not_a_cut() -> None:
    before = sketched(noise(1))
    assert agreement(before, sketched(noise(1, 10))) > 0.9
    assert agreement(before, sketched(noise(2))) < 0.5


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "gray", "rgb24", "yuv444p"])
def test_any_format_gives_the_same_small_copy(pixel_format: str) -> None:
    grey = np.repeat(noise(3)[:, :, :1], 3, axis=2)
    frame = av.VideoFrame.from_ndarray(grey).reformat(format=pixel_format)
    difference = np.abs(Sketcher().small(frame)[:72].astype(int) - sketched(grey).luma)
    assert difference.mean() < 20


def test_a_picture_that_stays_after_a_change_begins_a_shot_and_one_that_goes_back_does_not() -> None:
    past = [sketched(noise(1, place), place / 30) for place in range(4)]
    head = sketched(noise(2), 4 / 30)
    stays = [sketched(noise(2, place), (5 + place) / 30) for place in range(4)]
    back = [sketched(noise(1, 5 + place), (5 + place) / 30) for place in range(4)]
    assert is_cut(past, head, stays)
    assert not is_cut(past, head, back)
    assert not is_cut(past, sketched(noise(1, 4), 4 / 30), back)
