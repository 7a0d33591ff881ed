"""What a network finds in some frames of a clip, and what of it there is in the others."""

from typing import Any

import numpy as np
import pytest

from pipeline.arrays import Array
from pipeline.clip import Clip, ClipInfo
from stages.detect.detector import Found
from stages.detect.seen import see
from tests.stages.detect.fake_detector import FakeDetector, found

COUNT, WIDTH, HEIGHT = 8, 200, 100
NOTHING = found()


def frames(step: int = 20) -> Array:
    """Each is brighter than the one before, by so many grey levels."""
    shades = step * np.arange(COUNT, dtype=np.uint8)
    return shades[:, None, None, None] + np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)


def clip_of(**more: Any) -> Clip:
    times = (np.arange(COUNT) + 1) * 1_000_000_000 // 8
    return Clip(ClipInfo("a.mp4", 0, 0, 0, 10**9), {"frames": frames(), "frame_times_ns": times, **more})


def flow_of(*px: float) -> Array:
    """For each pair of frames, this many pixels to the right."""
    flow = np.zeros((len(px), HEIGHT // 2, WIDTH // 2, 2), np.float32)
    flow[..., 0] = np.array(px)[:, None, None] * 8 / HEIGHT
    return flow


def detector(truth: dict[int, Found], count: int = 2) -> FakeDetector:
    return FakeDetector(frames(), [truth.get(index, NOTHING) for index in range(COUNT)], count)


ONE = found((60, 40, 90, 70, 0.75))


def test_frames_between_are_filled_along_the_flow() -> None:
    seen = see(detector({2: ONE}), clip_of(flow=flow_of(1, 2, 3, 4, 5, 6, 7)), 0)
    assert seen.frames == list(range(COUNT))
    assert seen.boxes[:, 0].tolist() == [2, 3, 4, 1, 0]  # frame 6, without objects, stands for those from 5
    np.testing.assert_allclose(seen.boxes[:, 1], [60, 63, 67, 58, 57], atol=0.1)
    np.testing.assert_allclose(seen.boxes[:, 3] - seen.boxes[:, 1], 30, atol=0.1)
    assert set(seen.boxes[:, 5].tolist()) == {0.75}


def test_the_flow_from_the_clip_before_carries_nothing() -> None:
    with_pair = see(detector({2: ONE}), clip_of(flow=flow_of(9, 1, 2, 3, 4, 5, 6, 7)), 0)
    without = see(detector({2: ONE}), clip_of(flow=flow_of(1, 2, 3, 4, 5, 6, 7)), 0)
    np.testing.assert_array_equal(with_pair.boxes, without.boxes)


def test_what_stands_still_is_carried_although_its_flow_is_zero_as_across_a_cut() -> None:
    still = frames(step=1)
    every = see(FakeDetector(still, [ONE] * COUNT, 1), clip_of(frames=still, flow=flow_of(*[0] * 7)), 1)
    assert every.frames == list(range(COUNT))
    assert (every.boxes[:, 1:5] == ONE.boxes[0]).all()


def test_nothing_is_carried_across_a_cut() -> None:
    seen = see(detector({2: ONE, 6: ONE}), clip_of(flow=flow_of(1, 1, 0, 1, 1, 1, 1)), 0)
    assert sorted(seen.boxes[:, 0].tolist()) == seen.frames == [0, 1, 2, 5, 6, 7]


def test_without_flow_only_watched_frames_have_boxes() -> None:
    seen = see(detector({2: ONE, 3: ONE, 6: ONE}), clip_of(), 0)
    assert (seen.boxes[:, 0].tolist(), seen.frames) == ([2, 6], [2, 6])


@pytest.mark.parametrize(("own", "asked", "watched"), [(0, 0, 8), (2, 0, 2), (2, 4, 4), (2, 99, 8)])
def test_the_number_of_frames_is_asked_for_or_that_of_the_detector(own: int, asked: int, watched: int) -> None:
    seen = see(detector({}, own), clip_of(), asked)
    assert len(seen.frames) == watched
    assert seen.boxes.shape == (0, 6)


def test_boxes_are_cut_at_the_edge_and_lost_outside() -> None:
    leaving = found((160, 40, 190, 70, 0.5))
    seen = see(detector({2: leaving}), clip_of(flow=flow_of(1, 1, 20, 20, 1, 1, 1)), 0)
    rows = seen.boxes[seen.boxes[:, 0] >= 2]
    assert rows[:, 0].tolist() == [2, 3]
    np.testing.assert_allclose(rows[1, 1:5], [180, 40, WIDTH, 70], atol=0.1)


def test_names_and_vectors_stay_with_their_rows() -> None:
    leaving, staying = (165, 40, 195, 70, 0.5), (20, 40, 50, 70, 0.25)
    both = found(leaving, staying, names=["bus", "dog"], vectors=np.eye(2, dtype=np.float32))
    other = found(staying, names=["cat"], vectors=np.array([[0.6, 0.8]], np.float32))
    seen = see(detector({2: both, 6: other}), clip_of(flow=flow_of(1, 1, 30, 1, 1, 1, 1)), 0)
    assert seen.vectors is not None
    assert len(seen.names) == len(seen.vectors) == len(seen.boxes) == 2 + 1 + 1 + 2 + 2 + 3
    for row, name, vector in zip(seen.boxes, seen.names, seen.vectors, strict=True):
        wanted = "cat" if row[0] >= 5 else "bus" if row[5] == 0.5 else "dog"
        assert name == wanted
        assert vector.tolist() == {"bus": [1, 0], "dog": [0, 1], "cat": pytest.approx([0.6, 0.8])}[wanted]
    assert sorted(seen.boxes[np.array(seen.names) == "bus", 0].tolist()) == [0, 1, 2]


def test_a_network_without_names_and_vectors_gives_none() -> None:
    seen = see(detector({2: ONE}), clip_of(), 0)
    assert (seen.names, seen.vectors) == ([""], None)
