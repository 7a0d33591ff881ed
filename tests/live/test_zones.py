"""What is in a zone: tracks by foot point or share of the box, and motion."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from live.zones import PICTURE, Zone, active, area, clipped, contains, share_inside, tracks_in
from pipeline.result import Track
from tests.live.records import clip, dropped

LOWER_RIGHT = Zone("drive", ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0)))
L_SHAPE = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0))


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


def test_a_polygon_may_be_concave() -> None:
    assert contains(L_SHAPE, 0.25, 0.75)
    assert not contains(L_SHAPE, 0.75, 0.75)
    assert share_inside(L_SHAPE, (0.0, 0.0, 1.0, 1.0)) == pytest.approx(0.75)
    assert share_inside(L_SHAPE, (0.5, 0.5, 1.0, 1.0)) == pytest.approx(0.0)
    assert share_inside(L_SHAPE, (0.25, 0.25, 0.75, 0.75)) == pytest.approx(0.75)


UNIT = st.floats(0, 1, allow_subnormal=False)


@settings(deadline=None)
@given(st.lists(st.tuples(UNIT, UNIT), min_size=3, max_size=3), UNIT, UNIT, UNIT, UNIT)
def test_the_share_of_a_box_in_a_triangle_is_that_of_its_points(
    corners: list[tuple[float, float]], x0: float, y0: float, x1: float, y1: float
) -> None:
    box = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    assume(area(corners) > 0.01 and box[2] - box[0] > 0.05 and box[3] - box[1] > 0.05)
    count = 60
    steps = [(number + 0.5) / count for number in range(count)]
    points = [(box[0] + sx * (box[2] - box[0]), box[1] + sy * (box[3] - box[1])) for sx in steps for sy in steps]
    counted = sum(contains(tuple(corners), *point) for point in points) / len(points)
    assert share_inside(tuple(corners), box) == pytest.approx(counted, abs=0.06)
    assert area(clipped(corners, box)) <= area(corners) + 1e-9


def test_a_track_with_its_foot_outside_is_inside_by_half_of_its_box() -> None:
    upper = Zone("upper", ((0.0, 0.0), (1.0, 0.0), (1.0, 0.6), (0.0, 0.6)))
    for y0, inside in ((200, True), (300, False)):  # 60 % and 45 % of it are above 432 pixels
        assert active(upper, clip(0, tracks=[track(100, y0, 300, 590)])).active is inside
