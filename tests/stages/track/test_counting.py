"""Zones and lines count tracks over clips: who came in and went out, who stayed how long, and which way."""

from pipeline.result import Crossing, ZoneVisits
from stages.track.counting import Followed, count
from stages.track.paths import Place
from stages.track.state import Known

SECOND_NS = 1_000_000_000
SIZE = (200, 100)
LEFT = {"left": ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))}
GATE = {"gate": ((0.5, 0.0), (0.5, 1.0))}


def walk(*feet: float, start_s: float = 0.0, step_s: float = 0.25, height: float = 40.0, number: int = 1) -> Followed:
    """A track whose foot is at these x, in pixels."""
    places = [
        Place(round((start_s + index * step_s) * SECOND_NS), (x - 10, 80 - height, x + 10, 80.0))
        for index, x in enumerate(feet)
    ]
    return Followed(number, "person", places)


def counted(*clips: Followed) -> tuple[list[ZoneVisits], list[list[Crossing]]]:
    """What is told of each clip, of a source with one zone and one line."""
    known: dict[int, Known] = {}
    zones, crossings = [], []
    for track in clips:
        known, (zone,), crossed = count(known, [track], LEFT, GATE, SIZE)
        zones.append(zone)
        crossings.append(crossed)
    return zones, crossings


def test_a_track_walks_through_a_zone_and_over_a_line() -> None:
    (first, second), (none, crossed) = counted(walk(20, 40, 60, 80), walk(120, 150, 180, 190, 195, 195, start_s=1.0))
    assert (first.entered, first.left, none) == (1, 0, [])
    assert (first.visits[0].since_s, first.visits[0].until_s, first.visits[0].label) == (0.0, 0.75, "person")
    assert (second.entered, second.left) == (0, 1)
    (visit,) = second.visits
    assert (visit.since_s, visit.dwell_s, visit.left) == (0.0, 0.75, True)
    assert [(each.line, each.way, each.time_s, each.track) for each in crossed] == [("gate", "in", 1.0, 1)]


def test_back_and_forth_over_a_line_counts_twice_and_jitter_on_it_never() -> None:
    _, ((first, second),) = counted(walk(60, 140, 60))
    assert (first.way, second.way) == ("in", "out")
    assert counted(walk(60, 99, 101, 99, 102, 98, 60))[1] == [[]], "closer than a tenth of the box"


def test_a_track_that_is_back_soon_was_there_all_the_time() -> None:
    ((short,), _) = counted(walk(40, 40, 130, 130, 40, 40))
    assert [(visit.since_s, visit.dwell_s) for visit in short.visits] == [(0.0, 1.25)]
    ((long,), _) = counted(walk(40, *[130] * 6, 40))
    assert [(visit.since_s, visit.dwell_s, visit.left) for visit in long.visits] == [
        (0.0, 0.0, True),
        (1.75, 0.0, False),
    ]
    assert (long.entered, long.left) == (2, 1)


def test_a_stay_goes_on_over_clips_and_a_lost_track_did_not_leave() -> None:
    (first, second), _ = counted(walk(40, 40), walk(45, 45, start_s=2.0, step_s=1.0))
    assert [visit.dwell_s for visit in first.visits] == [0.25]
    assert [visit.since_s for visit in second.visits if not visit.left] == [2.0], "it was away for too long"
    ((first, second, third), _) = counted(walk(40, 40), walk(45, 45, start_s=0.5), walk(45, start_s=1.0))
    assert [visit.dwell_s for zone in (first, second, third) for visit in zone.visits] == [0.25, 0.75, 1.0]
    assert not any(visit.left for zone in (first, second, third) for visit in zone.visits)


def test_a_gap_is_crossed_in_a_straight_line() -> None:
    _, (_, crossed) = counted(walk(60), walk(140, start_s=3.0))
    assert [each.way for each in crossed] == ["in"]


def test_without_the_size_of_the_picture_nothing_is_counted() -> None:
    known, zones, crossings = count({}, [walk(60, 140)], LEFT, GATE, (0, 0))
    assert (known, zones, crossings) == ({}, [], [])


def test_a_zone_without_visits_is_told_as_empty() -> None:
    _, zones, _ = count({}, [], LEFT, {}, SIZE)
    assert zones == [ZoneVisits("left")]
