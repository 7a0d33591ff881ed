"""Scene cuts are told from pictures that stay the same, of which the flow is zero, too."""

from typing import Any

import numpy as np

from pipeline.arrays import Array
from pipeline.clip import Clip, ClipInfo
from stages.detect.cuts import cut_pairs
from stages.detect.stage import cuts

SECOND = 1_000_000_000


def clip_of(shades: list[int], moving: list[bool], **more: Any) -> Clip:
    frames = np.array(shades, np.uint8)[:, None, None, None] + np.zeros((1, 60, 80, 3), np.uint8)
    flow: Array = np.array(moving, np.float16)[:, None, None, None] * np.ones((1, 15, 20, 2), np.float16)
    times = np.arange(len(shades)) * SECOND + SECOND
    arrays = {"frames": frames, "frame_times_ns": times, "flow": flow, **more}
    return Clip(ClipInfo("a.mp4", 0, 0, 0, 9 * SECOND), arrays)


def test_a_cut_is_where_pictures_differ_and_no_flow_leads() -> None:
    clip = clip_of([50, 50, 200, 202, 100], [False, False, False, True])
    assert cut_pairs(clip).tolist() == [False, True, False, False]
    assert cuts(clip).tolist() == [3 * SECOND]


def test_the_last_frame_of_the_clip_before_counts() -> None:
    before = {"previous_time_ns": np.array([0])}
    for shade, times in ((50, []), (200, [SECOND])):
        previous = np.full((60, 80, 3), shade, np.uint8)
        clip = clip_of([50, 50], [False, False], previous_frame=previous, **before)
        assert cuts(clip).tolist() == times


def test_without_flow_there_are_none() -> None:
    clip = Clip(ClipInfo("a.mp4", 0, 0, 0, SECOND), {"frame_times_ns": np.array([0, 1])})
    assert cuts(clip).tolist() == []
