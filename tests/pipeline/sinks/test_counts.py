"""Visits and crossings as events of a source, and totals."""

from pipeline.result import ClipRecord, Crossing, Track, Visit, ZoneVisits
from pipeline.sinks.counts import Counts
from pipeline.sinks.hysteresis import Merger
from pipeline.status import EventOptions, LineCount, ZoneCount


def clip(number: int, *visits: Visit, crossings: tuple[Crossing, ...] = (), epoch: int = 0) -> ClipRecord:
    track = Track(id=3, boxes=[(number * 2.0, 1.0, 1.0, 2.0, 2.0)], label="dog", probability=0.8)
    parts = {"tracks": [track], "zones": [ZoneVisits("yard", visits=list(visits))], "crossings": list(crossings)}
    return ClipRecord(source="a", epoch=epoch, clip=number, start_s=number * 2.0, end_s=number * 2.0 + 2, parts=parts)


def visit(since_s: float, until_s: float, left: bool = False, track: int = 3) -> Visit:
    return Visit(track, since_s, until_s, round(until_s - since_s, 3), "dog" if track == 3 else None, left)


def test_a_visit_is_one_event_over_clips_and_ends_when_no_more_is_told() -> None:
    counts = Counts()
    assert counts.add(clip(0, visit(0.5, 1.9))) == []
    assert counts.first_s == 0.5
    assert counts.add(clip(1, visit(0.5, 3.0))) == []
    (event,) = counts.add(clip(3))
    assert (event.label, event.start_s, event.end_s, event.mean) == ("dog in yard", 0.5, 3.0, 0.8)
    assert counts.zones == {"yard": ZoneCount(1, 2.5, 2.5)}
    assert counts.end() == []


def test_a_visit_ends_when_it_left_at_a_new_epoch_and_at_the_end() -> None:
    counts = Counts()
    assert [event.end_s for event in counts.add(clip(0, visit(0.0, 1.0, left=True), visit(0.5, 1.9, track=4)))] == [1.0]
    assert [event.label for event in counts.add(clip(1, visit(2.5, 3.5), epoch=1))] == ["something in yard"]
    assert [event.start_s for event in counts.end()] == [2.5]
    assert counts.zones["yard"] == ZoneCount(3, 1.133, 1.4)


def test_a_crossing_is_an_event_and_is_counted_by_its_way() -> None:
    counts = Counts()
    crossed = (Crossing("gate", 3, 0.5, "in", "dog"), Crossing("gate", 4, 0.7, "out"))
    events = counts.add(clip(0, crossings=crossed))
    assert [(event.label, event.start_s) for event in events] == [
        ("dog over gate, in", 0.5),
        ("something over gate, out", 0.7),
    ]
    assert counts.lines == {"gate": LineCount(1, 1)}


def test_events_of_a_source_come_in_order_with_totals_in_its_summary() -> None:
    merger = Merger("a", EventOptions())
    events = merger.add(clip(0, visit(0.5, 1.9), crossings=(Crossing("gate", 3, 1.5, "in", "dog"),)))
    assert events == [], "the visit began before the crossing, and goes on"
    rest, summary = merger.end()
    assert [each.event for each in rest] == ["dog in yard", "dog over gate, in"]
    assert (summary.zones, summary.lines) == ({"yard": ZoneCount(1, 1.4, 1.4)}, {"gate": LineCount(1, 0)})


def test_who_was_there_when_everything_came_to_rest_is_there_until_something_moves() -> None:
    counts = Counts()
    counts.add(clip(0, visit(0.5, 1.9)))
    still = [
        ClipRecord(source="a", epoch=0, clip=n, start_s=n * 2.0, end_s=n * 2.0 + 2, reused=True) for n in (1, 2, 3)
    ]
    for record in still:
        assert counts.add(record) == []
    counts = Counts(counts.state())
    assert counts.add(clip(4, visit(0.5, 9.5))) == []
    assert counts.zones["yard"].visits == 0, "it goes on"
    (event,) = counts.add(clip(6))
    assert (event.start_s, event.end_s) == (0.5, 9.5)


def test_a_visit_that_was_over_while_clips_were_dropped_counts_once() -> None:
    counts = Counts()
    counts.add(clip(0, visit(0.5, 1.9)))
    lost = [ClipRecord(source="a", epoch=0, clip=n, start_s=n * 2.0, end_s=n * 2.0 + 2, dropped="late") for n in (1, 2)]
    assert [len(counts.add(record)) for record in lost] == [0, 1]
    counts.add(clip(3, visit(0.5, 1.9, left=True)))
    assert counts.zones["yard"].visits == 1
