"""The camera carries boxes and tracks along."""

import math

import numpy as np
import pytest

from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, RunSettings
from stages.boxes import BoxKind
from stages.track.motion_model import MotionOptions, start
from stages.track.paths import Place, filled
from stages.track.scene import REST, Scene
from stages.track.stage import TrackStage

SECOND = 1_000_000_000
STEP = SECOND // 8
WIDTH, HEIGHT = 640, 480
PAN = [[0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]
"""240 pixels a second to the right."""


def scene(*matrices: list[list[float]]) -> Scene:
    starts = np.arange(len(matrices)) * STEP
    return Scene(np.stack([starts, starts + STEP], 1), np.array(matrices, np.float32), WIDTH, HEIGHT)


def test_a_pan_takes_a_box_along_as_far_as_it_is_known() -> None:
    panned = scene(PAN, PAN)
    assert panned.carried((10, 20, 30, 40), 0, 2 * STEP) == pytest.approx((70, 20, 90, 40))
    assert panned.carried((10, 20, 30, 40), STEP // 2, STEP) == pytest.approx((25, 20, 45, 40))
    assert panned.carried((10, 20, 30, 40), STEP, 9 * STEP) == pytest.approx((40, 20, 60, 40))
    assert panned.carried((10, 20, 30, 40), 3 * STEP, 9 * STEP) == (10, 20, 30, 40)
    assert REST.carried((10, 20, 30, 40), 0, SECOND) == (10, 20, 30, 40)
    assert (REST.is_still, panned.is_still) == (True, False)


def test_a_zoom_takes_a_box_from_the_middle_and_makes_it_larger() -> None:
    rate = 0.8
    zoomed = scene(*[[[rate * 320 / 480, 0, 0], [0, rate * 240 / 480, 0]]] * 4)
    x0, y0, x1, y1 = zoomed.carried((360, 230, 400, 250), 0, 4 * STEP)
    grown = math.exp(rate / 2)
    assert (x1 - x0, y1 - y0) == pytest.approx((40 * grown, 20 * grown), rel=1e-6)
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((320 + 60 * grown, 240), rel=0.02)


def test_a_state_keeps_its_own_speed() -> None:
    moving = start((10, 20, 30, 40), MotionOptions())
    after = scene(PAN).carried_state(moving, 0, STEP)
    assert after.x.value == pytest.approx(50)
    assert (after.x.rate, after.x.value_variance) == (moving.x.rate, moving.x.value_variance)


def test_a_gap_is_filled_in_a_straight_line_in_the_scene() -> None:
    there_and_back = scene(PAN, PAN, [[0.0, 0.0, -0.5], [0.0, 0.0, 0.0]], [[0.0, 0.0, -0.5], [0.0, 0.0, 0.0]])
    seen = [Place(0, (100, 100, 140, 140)), Place(4 * STEP, (108, 100, 148, 140))]
    times = [number * STEP for number in range(5)]
    whole = filled(seen, times, 1.0, there_and_back)
    assert [place.box[0] for place in whole] == pytest.approx([100, 132, 164, 136, 108])
    assert [place.filled for place in whole] == [False, True, True, True, False]


@pytest.mark.parametrize("known", [True, False])
def test_a_camera_that_pans_back_and_forth_keeps_its_tracks(known: bool) -> None:
    """Two boxes of a network, side by side; each pan takes one to where the other was."""
    rows, times, spans, rates = [], [], [], []
    x = 100.0
    for number in range(48):
        for index, left in enumerate((x, x + 70)):
            rows.append((0, left, 100.0, left + 40, 200.0, 0.9 - 0.01 * index))
            times.append(number * STEP)
        way = 70.0 if number % 8 == 3 else -70.0 if number % 8 == 7 else 0.0
        spans.append((number * STEP, (number + 1) * STEP))
        rates.append([[0.0, 0.0, way * 8 / HEIGHT], [0.0, 0.0, 0.0]])
        x += way
    stage, state, ids = TrackStage(TrackStage.Options(), RunSettings(), Budget()), b"", []
    for clip in range(3):
        start_ns, end_ns = clip * 2 * SECOND, (clip + 1) * 2 * SECOND
        inside = [row for row, time in enumerate(times) if start_ns <= time < end_ns]
        steps = [row for row, span in enumerate(spans) if start_ns <= span[1] < end_ns]
        arrays = {
            "boxes": np.array([rows[row] for row in inside], np.float32),
            "box_times_ns": np.array([times[row] for row in inside]),
            "box_kinds": np.full(len(inside), int(BoxKind.NETWORK), np.uint8),
        }
        if known:
            arrays |= {
                "scene_spans_ns": np.array([spans[row] for row in steps]),
                "scene_rates": np.array([rates[row] for row in steps], np.float32),
            }
        info = ClipInfo("a.mp4", 0, clip, start_ns, end_ns, width=WIDTH, height=HEIGHT)
        state, outputs = stage.update(state, Clip(info, arrays))
        ids += [track["id"] for track in outputs["tracks"]]
        words = {track["movement"].word for track in outputs["tracks"] if track.get("movement")}
        assert not known or words == {"still"}
    assert (set(ids) == {1, 2}) is known, "without knowing the camera, they are taken for each other"
