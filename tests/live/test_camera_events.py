"""What an earlier watch of a camera has learned is of use to the next one; its events are over."""

import msgspec

from live.camera_events import CameraEvents
from pipeline.result import ClipRecord, Crossing, Visit, ZoneVisits
from pipeline.status import LineCount, PlaceCounts, ZoneNow
from tests.live.records import camera, clip, gap

YARD = {"yard": ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))}
GATE = {"gate": ((0.5, 0.0), (0.5, 1.0))}

SECONDS = 600.0


def test_the_next_watch_knows_what_is_usual_and_goes_on_with_no_event() -> None:
    events = CameraEvents(camera("dog"))
    told = []
    for index in range(40):
        measures = {"level_dbfs": -35.0, "peak_dbfs": -20.0, "brightness": 90.0, "spread": 40.0, "sharpness": 30.0}
        told += events.add(clip(index, seconds=SECONDS, measures=measures, dog=0.9))
    assert [(event.name, event.state) for event in told] == [("dog", "open")]
    kept = events.states(with_past=True)
    before = msgspec.msgpack.decode(kept["health"])
    again = CameraEvents(camera("dog"))
    over = again.begin_watch(kept.get)
    assert [(event.name, event.state) for event in over] == [("dog", "closed")]
    after = msgspec.msgpack.decode(again.states()["health"])
    learned = [name for name in before if name != "seen"]
    assert {name: after[name] for name in learned} == {name: before[name] for name in learned}
    fresh = msgspec.msgpack.decode(CameraEvents(camera("dog")).states()["health"])
    assert before["microphone_silent"] != fresh["microphone_silent"], "something was learned"
    opened = again.add(clip(0, seconds=2.0, dog=0.9))
    assert [(event.name, event.state) for event in opened] == [("dog", "open")]


def seen(index: int, visit: Visit | None = None, crossing: Crossing | None = None, **more: int) -> ClipRecord:
    """A clip in which a track was in the yard, or went through the gate."""
    record = clip(index, **more)  # type: ignore[arg-type]
    visits = [] if visit is None else [visit]
    parts = {"zones": [ZoneVisits("yard", visits=visits)], "crossings": [] if crossing is None else [crossing]}
    return msgspec.structs.replace(record, parts=record.parts | parts)


def test_visits_and_crossings_are_counted_over_a_lost_connection_and_by_another_process() -> None:
    door = camera("dog", zones=YARD, lines=GATE)
    events = CameraEvents(door)
    events.add(seen(0, Visit(1, 0.5, 1.9, 1.4, "dog"), Crossing("gate", 1, 0.5, "in", "dog")))
    assert events.counted() == PlaceCounts({"yard": ZoneNow(1, 1.4, 1.4, 1)}, {"gate": LineCount(1, 0)})
    again = CameraEvents(door)
    again.restore(events.states().get)
    again.add(gap(2.0, 8.0))
    again.add(seen(4, Visit(2, 8.5, 9.9, 1.4, "dog"), Crossing("gate", 2, 8.5, "out", "dog"), epoch=1))
    assert again.counted() == PlaceCounts({"yard": ZoneNow(2, 1.4, 1.4, 1)}, {"gate": LineCount(1, 1)})
    again.configure(camera("dog", zones=YARD))
    assert again.counted().lines == {}, "of a line that was removed"
    again.begin_watch(again.states().get)
    assert again.counted() == PlaceCounts({"yard": ZoneNow()})


def test_a_rule_is_true_of_a_crossing_that_way_and_of_a_track_that_stays_so_long() -> None:
    rules = {"comes": "dog over gate in", "stays": "anything stays in yard for 3 s"}
    events = CameraEvents(camera("dog", rules=rules, zones=YARD, lines=GATE, hold_s=0.0))

    def opened(record: ClipRecord) -> list[str]:
        return [event.name for event in events.add(record) if event.state == "open"]

    assert opened(seen(0, Visit(1, 0.5, 1.9, 1.4), Crossing("gate", 1, 0.5, "out", "dog"))) == []
    assert opened(seen(1, Visit(1, 0.5, 3.9, 3.4), Crossing("gate", 1, 2.5, "in", "dog"))) == ["comes", "stays"]
    assert opened(seen(2, Visit(1, 0.5, 4.5, 4.0, left=True), Crossing("gate", 3, 4.5, "in", "cat"))) == []
