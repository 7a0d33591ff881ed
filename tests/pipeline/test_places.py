"""Zones and lines: what is inside, what crosses, and how they are written."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.places import (
    Line,
    Point,
    area,
    clipped,
    contains,
    crosses,
    line_problem,
    parse_place,
    places_problems,
    share_inside,
    side,
    zone_problem,
)

L_SHAPE = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0))


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


@pytest.mark.parametrize(
    ("line", "start", "end", "way"),
    [
        (((0.5, 0.0), (0.5, 1.0)), (0.2, 0.5), (0.8, 0.5), "in"),  # from the top down: what moves right
        (((0.5, 1.0), (0.5, 0.0)), (0.2, 0.5), (0.8, 0.5), "out"),
        (((0.0, 0.5), (1.0, 0.5)), (0.5, 0.9), (0.5, 0.1), "in"),  # from left to right: what moves up
        (((0.0, 0.5), (1.0, 0.5)), (0.5, 0.1), (0.5, 0.9), "out"),
        (((0.5, 0.0), (0.5, 0.4)), (0.2, 0.5), (0.8, 0.5), ""),  # past its end
        (((0.5, 0.0), (0.5, 1.0)), (0.2, 0.5), (0.4, 0.5), ""),  # not so far
    ],
)
def test_a_line_is_crossed_between_its_ends_in_or_out_as_with_supervision(
    line: Line, start: Point, end: Point, way: str
) -> None:
    assert crosses(line, start, end) is bool(way)
    if way:
        assert (side(line, end) > 0) is (way == "in")


def test_the_side_is_a_distance() -> None:
    assert side(((100.0, 0.0), (100.0, 50.0)), (130.0, 300.0)) == pytest.approx(30)
    assert side(((0.0, 0.0), (3.0, 4.0)), (3.0, 4.0)) == pytest.approx(0)


def test_a_place_is_written_as_a_name_and_points() -> None:
    assert parse_place("door:0,0.5; 0.3,0.5;0.3,1;") == ("door", ((0.0, 0.5), (0.3, 0.5), (0.3, 1.0)))


@pytest.mark.parametrize("text", ["door", ":0,0;1,1", "a b:0,0;1,1", "door:0,0;1", "door:0,0;x,1", "door:0,0,0;1,1"])
def test_what_is_no_place_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        parse_place(text)
    assert repr(text) in str(error.value)


def test_problems_say_what_is_expected() -> None:
    assert "from 3 to" in zone_problem(((0.0, 0.0), (1.0, 1.0)))
    assert "outside" in zone_problem(((0.0, 0.0), (2.0, 1.0), (0.0, 1.0)))
    assert "outside" in zone_problem(((0.0, 0.0), (float("nan"), 1.0), (0.0, 1.0)))
    assert "no area" in zone_problem(((0.0, 0.0), (0.5, 0.5), (1.0, 1.0)))
    assert "expected 2" in line_problem(((0.0, 0.0),))
    assert "outside" in line_problem(((0.0, 0.0), (0.0, 1.5)))
    assert "ends where it begins" in line_problem(((0.5, 0.5), (0.5, 0.5)))
    zone, line = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)), ((0.0, 0.0), (1.0, 1.0))
    assert places_problems({"door": zone}, {"gate": line}) == []
    assert len(places_problems({"door": zone, "no good": zone}, {"door": line})) == 2
