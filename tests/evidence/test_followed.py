"""Which track a map lies on."""

import numpy as np
import pytest

from evidence.followed import box_at, lies_on
from pipeline.result import Track

WINDOW = (0.0, 0.0, 100.0, 100.0)


def track(number: int, *rows: tuple[float, float, float, float, float]) -> Track:
    return Track(number, list(rows))


def test_a_map_lies_on_the_track_whose_boxes_have_most_of_it() -> None:
    """The thing goes from the upper left to the lower right, and so does its track; another one stays."""
    values = np.zeros((2, 10, 10))
    values[0, 0:4, 0:4] = values[1, 6:10, 6:10] = 1.0
    values[:, 9, 0] = 4.0
    goes = track(7, (0.0, 0, 0, 40, 40), (1.0, 60, 60, 100, 100))
    stays = track(8, (0.0, 0, 80, 20, 100), (1.0, 0, 80, 20, 100))
    found = lies_on(values, [0.0, 1.0], [stays, goes], WINDOW)
    assert found is not None
    assert (found.track.id, found.share) == (7, pytest.approx(32 / 40))


def test_cells_at_an_edge_count_in_part() -> None:
    found = lies_on(np.ones((1, 1, 4)), [0.0], [track(1, (0.0, 0, 0, 62.5, 100))], (0.0, 0.0, 100.0, 100.0))
    assert found is None, "as much of it as of the area"
    found = lies_on(np.array([[[1.0, 1.0, 1.0, 0.0]]]), [0.0], [track(1, (0.0, 0, 0, 62.5, 100))], WINDOW)
    assert found is not None
    assert found.share == pytest.approx(2.5 / 3)


def test_a_box_around_everything_or_at_another_time_says_nothing() -> None:
    values = np.zeros((1, 10, 10))
    values[0, :5] = 1.0
    assert lies_on(values, [0.0], [track(1, (0.0, 0, 0, 100, 90))], WINDOW) is None
    assert lies_on(values, [0.0], [track(1, (3.0, 0, 0, 100, 50))], WINDOW) is None
    assert lies_on(np.zeros((1, 2, 2)), [0.0], [track(1, (0.0, 0, 0, 50, 50))], WINDOW) is None


def test_a_box_moves_evenly_between_two_and_holds_for_a_moment() -> None:
    moving = track(1, (1.0, 0, 0, 10, 10), (2.0, 10, 0, 20, 10))
    assert box_at(moving, 1.5) == (5, 0, 15, 10)
    assert box_at(moving, 2.2) == (10, 0, 20, 10)
    assert box_at(moving, 0.9) == (0, 0, 10, 10)
    assert (box_at(moving, 0.5), box_at(moving, 3.0)) == (None, None)
