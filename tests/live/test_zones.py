"""What is in a zone: tracks by foot point or share of the box, and motion."""

import pytest

from live.zones import PICTURE, Zone, active, tracks_in
from pipeline.result import Track
from tests.live.records import clip, dropped

LOWER_RIGHT = Zone("drive", ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0)))


def track(*box: float, label: str | None = "car") -> Track:
    """A track with one box, in pixels of a picture of 1280 × 720."""
    return Track(id=1, boxes=[(0.5, *box)], label=label)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((700, 400, 900, 600), True),  # all of it
        ((600, 100, 760, 700), True),  # its foot point
        ((420, 100, 900, 720), True),  # its foot point, on the edge of the picture
        ((560, 300, 800, 900), True),  # as much of it as is in the picture
        ((480, 380, 1240, 720), True),  # more than half
        ((700, 100, 1200, 350), False),  # above the zone
        ((10, 400, 300, 700), False),
        ((700, 300, 900, 300), False),  # no area, foot point above
    ],
)
def test_a_track_is_inside_by_its_foot_point_or_by_half_of_its_box(box: tuple[float, ...], inside: bool) -> None:
    found = active(LOWER_RIGHT, clip(0, tracks=[track(*box)]))
    assert found.active is inside
    assert found.has("car") is inside
    assert not found.has("dog")


def test_a_track_that_was_inside_at_some_time_of_the_clip_counts() -> None:
    passing = Track(id=2, boxes=[(0.0, 0, 0, 50, 50), (1.0, 700, 400, 900, 600), (1.5, 0, 0, 50, 50)])
    assert tracks_in(LOWER_RIGHT, clip(0, tracks=[passing])) == (passing,)


def test_motion_counts_above_the_least_change() -> None:
    for change, expected in ((0.0, False), (0.004, False), (0.2, True)):
        assert active(LOWER_RIGHT, clip(0, measures={"zone:drive": change})).active is expected
        assert active(PICTURE, clip(0, measures={"change": change})).active is expected
    assert active(LOWER_RIGHT, clip(0, measures={"zone:hall": 0.5})).active is False


def test_of_a_clip_without_a_result_nothing_is_known() -> None:
    assert active(LOWER_RIGHT, dropped(0)).active is None


def test_a_track_with_its_foot_outside_is_inside_by_half_of_its_box() -> None:
    upper = Zone("upper", ((0.0, 0.0), (1.0, 0.0), (1.0, 0.6), (0.0, 0.6)))
    for y0, inside in ((200, True), (300, False)):  # 60 % and 45 % of it are above 432 pixels
        assert active(upper, clip(0, tracks=[track(100, y0, 300, 590)])).active is inside
