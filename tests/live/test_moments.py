"""The events of one camera: when they begin, when they are over, and that none is told twice."""

from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live.event import LiveEvent
from live.moments import LONGEST_UNKNOWN_S, Moments
from live.settings import Camera, Rule, Schedule, Watched
from pipeline.result import ClipRecord, Evidence, Label, Track
from tests.live.records import ZERO, camera, clip, dropped, failed, gap


def told(records: list[ClipRecord], watched: Camera, stop: bool = True) -> list[LiveEvent]:
    moments = Moments(watched)
    events = [event for record in records for event in moments.add(record)]
    return events + (moments.stop() if stop else [])


def spans(records: list[ClipRecord], watched: Camera) -> list[tuple[str, float, float]]:
    """Name, start and end in seconds of the closed events."""
    return [
        (event.name, seconds(event.start), round(seconds(event.start) + event.duration_s, 3))
        for event in told(records, watched)
        if event.state == "closed"
    ]


def seconds(text: str) -> float:
    return (datetime.fromisoformat(text) - ZERO) / timedelta(seconds=1)


DOG = camera("dog", hold_s=0.0)
SERIES = [0.4, 0.6, 0.35, 0.45, 0.2, 0.4]


def test_an_event_begins_at_its_threshold_and_ends_below_six_tenths_of_it() -> None:
    records = [clip(i, dog=p) for i, p in enumerate(SERIES)]
    assert spans(records, DOG) == [("dog", 2.0, 8.0)]


def test_an_event_is_told_when_it_begins_and_with_the_same_id_when_it_is_over() -> None:
    opened, closed = told([clip(i, dog=p) for i, p in enumerate(SERIES)], DOG)
    assert (opened.state, closed.state) == ("open", "closed")
    assert opened.id == closed.id
    assert opened.id.startswith("door-20261128T180002Z-")
    assert len(opened.id.rpartition("-")[2]) == 6
    assert opened.start == closed.start == "2026-11-28T18:00:02.000+00:00"
    assert (opened.end, closed.end) == ("", "2026-11-28T18:00:08.000+00:00")
    assert closed.duration_s == 6.0
    assert closed.probability == pytest.approx((0.6 + 0.35 + 0.45) / 3, abs=1e-4)
    assert (closed.peak, closed.threshold, closed.clips, closed.first_clip) == (0.6, 0.5, 3, 1)
    assert closed.evidence["image"] == {"probability": closed.probability, "weight": 0.4}
    assert closed.evidence["audio"]["probability"] == pytest.approx(closed.probability / 2, abs=1e-4)
    assert closed.clock == "camera"


def test_an_event_tells_the_mean_of_what_each_modality_adds() -> None:
    def adding(index: int, *log_odds: float) -> ClipRecord:
        evidence = {"image": Evidence(0.9, 0.2, 0.8, *log_odds)}
        return msgspec.structs.replace(
            clip(index, dog=0.7), parts={"labels": [Label("dog", 0.7, 1.0, evidence)], "tracks": []}
        )

    *_, closed = told([adding(0, 5.0), adding(1), adding(2, 4.0), clip(3, dog=0.0), clip(4, dog=0.0)], DOG)
    assert closed.evidence["image"] == {"probability": 0.9, "weight": 0.8, "contribution": 4.5}


def test_events_no_further_apart_than_the_hold_time_are_one() -> None:
    for away, count in ((1, 1), (2, 1), (3, 2)):
        records = [clip(0, dog=0.9), *(clip(i, dog=0.1) for i in range(1, 1 + away)), clip(1 + away, dog=0.9)]
        assert len(spans(records, camera("dog", hold_s=4.0))) == count, away


def test_a_label_has_its_own_threshold_and_hold_time() -> None:
    watched = camera("cat", Watched(label="dog", threshold=0.8, hold_s=2.0), hold_s=0.0)
    values = [0.7, 0.9, 0.1, 0.9, 0.1]
    records = [clip(i, dog=p, cat=p) for i, p in enumerate(values)]
    assert spans(records, watched) == [("cat", 0, 4), ("cat", 6, 8), ("dog", 2, 8)]


def test_a_label_may_be_watched_without_events() -> None:
    watched = camera(Watched(label="dog", events=False), rules={"bark": "dog"}, hold_s=0.0)
    assert spans([clip(0, dog=0.9), clip(1)], watched) == [("bark", 0, 2)]


def test_a_dropped_clip_and_an_error_end_no_event() -> None:
    records = [clip(0, dog=0.9), *(dropped(i) for i in range(1, 8)), failed(8), clip(9, dog=0.35), clip(10)]
    assert spans(records, DOG) == [("dog", 0, 20)]


def test_a_missing_record_is_like_a_dropped_clip() -> None:
    assert spans([clip(0, dog=0.9), clip(5, dog=0.9), clip(6)], DOG) == [("dog", 0, 12)]


def test_after_a_minute_without_a_result_no_event_goes_on() -> None:
    count = int(LONGEST_UNKNOWN_S / 2) + 2
    records = [clip(0, dog=0.9), *(dropped(i) for i in range(1, count)), clip(count, dog=0.9)]
    assert [event.state for event in told(records, DOG, stop=False)] == ["open", "closed", "open"]


def test_a_gap_longer_than_the_hold_time_ends_an_event_and_a_shorter_one_does_not() -> None:
    watched = camera("dog", hold_s=4.0)
    for length_s, count in ((3.0, 1), (5.0, 2)):
        back = clip(1, dog=0.9, epoch=1, start_s=2 + length_s)
        assert len(spans([clip(0, dog=0.9), gap(2, 2 + length_s), back], watched)) == count
        assert len(spans([clip(0, dog=0.9), back], watched)) == count  # the record of the gap was lost


def test_after_a_gap_a_label_must_reach_its_threshold_again() -> None:
    records = [clip(0, dog=0.9), gap(2, 3), clip(1, dog=0.4, epoch=1, start_s=3)]
    assert spans(records, camera("dog", hold_s=4.0)) == [("dog", 0, 2)]


def test_reused_clips_count_like_others() -> None:
    records = [clip(0, dog=0.9), clip(1, dog=0.9, reused=True), clip(2, dog=0.9, reused=True), clip(3)]
    assert spans(records, DOG) == [("dog", 0, 6)]


def test_near_synonyms_are_one_event() -> None:
    watched = camera("dog", "hound", "cat", hold_s=0.0)
    records = [
        clip(0, dog=0.9, cat=0.8),
        clip(1, near="dog hound", dog=0.6, hound=0.7, cat=0.8),
        clip(2, near="dog hound", dog=0.1, hound=0.7, cat=0.8),
        clip(3),
    ]
    events = [event for event in told(records, watched) if event.state == "closed"]
    assert [(event.name, event.duration_s, event.text) for event in events] == [
        ("dog", 6.0, "also like hound"),
        ("cat", 6.0, ""),
    ]


def test_events_begin_only_in_active_time_and_may_end_outside_it() -> None:
    schedule = Schedule(zone="UTC", active=("daily 17:00-18:00", "daily 18:01-18:02"))
    records = [clip(i, dog=0.9) for i in range(70)]
    assert spans(records, camera("dog", schedule=schedule, hold_s=0.0)) == [("dog", 60, 140)]


def test_a_rule_makes_events_of_its_own_with_the_truth_of_its_parts() -> None:
    watched = camera("dog", "person", rules={"alone": "dog and not person"}, hold_s=0.0)
    events = told([clip(0, dog=0.9, person=0.8), clip(1, dog=0.9, person=0.2), clip(2)], watched)
    alone = [event for event in events if event.kind == "rule"]
    assert [(event.name, event.state, event.start) for event in alone] == [
        ("alone", "open", "2026-11-28T18:00:02.000+00:00"),
        ("alone", "closed", "2026-11-28T18:00:02.000+00:00"),
    ]
    assert alone[0].evidence == {"dog": True, "person": False}
    assert alone[0].text == "dog and not person"
    assert alone[0].probability == 0.9


def test_a_rule_is_told_when_it_has_lasted_long_enough() -> None:
    watched = Camera(
        name="door",
        labels=(Watched(label="dog", events=False),),
        rules=(Rule(name="long", when="dog", min_s=6.0, hold_s=0.0),),
    )
    values = [0.9, 0.9, 0.1, 0.9, 0.9, 0.9, 0.9, 0.1]
    moments = Moments(watched)
    at = [(i, event.state) for i, p in enumerate(values) for event in moments.add(clip(i, dog=p))]
    assert at == [(5, "open"), (7, "closed")]


def test_a_track_in_a_zone_makes_a_rule_true() -> None:
    zones = {"drive": ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0))}
    watched = camera(Watched(label="car", events=False), rules={"parked": "car in drive"}, zones=zones, hold_s=0.0)
    inside = Track(id=1, boxes=[(0.5, 700.0, 400.0, 900.0, 600.0)], label="car")
    outside = Track(id=1, boxes=[(2.5, 10.0, 10.0, 90.0, 60.0)], label="car")
    assert spans([clip(0, tracks=[inside]), clip(1, tracks=[outside]), clip(2)], watched) == [("parked", 0, 2)]


def test_a_label_that_was_just_added_is_unknown_in_clips_that_were_not_asked_for_it() -> None:
    watched = camera("dog", hold_s=0.0)
    moments = Moments(watched)
    moments.add(clip(0, dog=0.9))
    assert moments.configure(camera("dog", "person", hold_s=0.0)) == []
    assert moments.configure(camera("dog", "person", "cat", rules={"alone": "dog and not person"}, hold_s=0.0)) == []
    assert not [event for event in moments.add(clip(1, dog=0.9)) if event.kind == "rule"]
    opened = moments.add(clip(2, dog=0.9, labels_version=2))
    assert [event.name for event in opened] == ["alone"]
    assert opened[0].labels_version == 2


def test_what_is_removed_closes_its_events() -> None:
    moments = Moments(camera("dog", "cat", rules={"both": "dog and cat"}))
    moments.add(clip(0, dog=0.9, cat=0.9))
    closed = moments.configure(camera("cat"))
    assert sorted((event.name, event.state) for event in closed) == [("both", "closed"), ("dog", "closed")]
    assert [event.name for event in moments.stop()] == ["cat"]


def test_an_event_goes_on_through_a_change_of_its_threshold() -> None:
    moments = Moments(DOG)
    moments.add(clip(0, dog=0.9))
    assert moments.configure(camera("dog", threshold=0.8, hold_s=0.0)) == []
    assert moments.add(clip(1, dog=0.5)) == []
    assert [event.clips for event in moments.add(clip(2, dog=0.4))] == [2]


def test_without_records_an_event_is_over_some_time_after_its_hold_time() -> None:
    moments = Moments(camera("dog", hold_s=4.0))
    moments.add(clip(0, dog=0.9))
    assert moments.quiet(10.0) == []
    (closed,) = moments.quiet(15.0)
    assert (closed.state, closed.duration_s) == ("closed", 2.0)
    assert moments.quiet(20.0) == []


def test_a_new_output_process_goes_on_where_the_old_one_was_killed() -> None:
    watched = camera("dog", "person", rules={"long": "dog for 6 s"}, hold_s=4.0)
    records = [clip(i, dog=p, person=0.1) for i, p in enumerate([0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.9])]
    for killed in range(1, len(records)):
        first, second = Moments(watched), Moments(watched)
        events = [event for record in records[:killed] for event in first.add(record)]
        second.restore(first.state())
        again = records[max(0, killed - 2) :]  # some of them have been seen
        events += [event for record in again for event in second.add(record)] + second.stop()
        assert events == told(records, watched)


def test_a_restored_state_closes_what_is_no_longer_watched() -> None:
    first, second = Moments(camera("dog", "cat")), Moments(camera("cat"))
    first.add(clip(0, dog=0.9, cat=0.9))
    second.restore(first.state())
    assert [(event.name, event.state) for event in second.add(clip(1, cat=0.9))] == [("dog", "closed")]


def test_a_later_watch_closes_the_events_of_the_one_before_and_begins_anew() -> None:
    first, second = Moments(DOG), Moments(DOG)
    for i in range(50):
        first.add(clip(i, dog=0.9))
    second.restore(first.state())
    (closed,) = second.begin_watch()
    (opened,) = second.add(clip(0, dog=0.9, zero=ZERO + timedelta(hours=1)))
    assert (closed.state, closed.duration_s, opened.state, opened.duration_s) == ("closed", 100.0, "open", 2.0)
    assert closed.id != opened.id


def test_what_a_budget_learned_may_be_kept_apart_and_goes_on_in_the_next_watch() -> None:
    watched = camera("dog", false_alarms_per_day=10.0)
    first, second, third = Moments(watched), Moments(watched), Moments(watched)
    for index in range(60 * 26):
        first.add(clip(index, seconds=60.0, dog=0.9 if index % 10 == 0 else 0.1))
    assert len(first.state(with_past=False)) < 200 < len(first.past())
    second.restore(first.state(with_past=False), first.past())
    assert second.thresholds() == first.thresholds()
    third.restore(second.state())
    third.begin_watch()
    assert third.thresholds() == first.thresholds()


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(0, 1), st.none()), max_size=60), st.sampled_from([0.0, 2.0, 4.0, 7.0]))
def test_every_event_that_opens_closes_once_and_they_do_not_overlap(values: list[float | None], hold_s: float) -> None:
    records = [dropped(i) if p is None else clip(i, dog=p) for i, p in enumerate(values)]
    events = told(records, camera("dog", hold_s=hold_s))
    assert [event.state for event in events] == ["open", "closed"] * (len(events) // 2)
    ends = -100.0
    for opened, closed in zip(events[::2], events[1::2], strict=True):
        assert opened.id == closed.id
        assert seconds(closed.start) >= ends + hold_s
        ends = seconds(closed.start) + closed.duration_s
        inside = [p for i, p in enumerate(values) if seconds(closed.start) <= i * 2 < ends and p is not None]
        assert closed.peak == pytest.approx(max(inside), abs=1e-4)
        assert max(inside) >= 0.5


def test_a_rule_of_which_nothing_is_known_any_more_is_over() -> None:
    zones = {"drive": ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0))}
    watched = camera("dog", rules={"parked": "anything in drive"}, zones=zones, hold_s=4.0)
    inside = Track(id=1, boxes=[(0.5, 700.0, 400.0, 900.0, 600.0)])
    blind = [msgspec.structs.replace(clip(i), parts={"labels": []}) for i in range(1, 50)]
    (opened, closed) = told([clip(0, tracks=[inside]), *blind], watched, stop=False)
    assert (opened.state, closed.state, closed.duration_s) == ("open", "closed", 2.0)


def test_what_a_budget_learned_survives_a_time_without_it() -> None:
    watched = camera("dog", false_alarms_per_day=10.0)
    moments = Moments(watched)
    for index in range(60 * 26):
        moments.add(clip(index, seconds=60.0, dog=0.9 if index % 10 == 0 else 0.1))
    learned = moments.thresholds()["dog"]
    assert (learned.basis, learned.value > 0.9) == ("past", True)
    moments.configure(camera("dog"))
    assert moments.thresholds()["dog"].value == 0.5
    moments.configure(watched)
    assert moments.thresholds()["dog"] == learned


RECORDS = st.lists(
    st.one_of(
        st.tuples(st.just("clip"), st.floats(0, 1), st.floats(0, 1)),
        st.tuples(st.sampled_from(["dropped", "failed", "lost", "gap"]), st.just(0.0), st.just(0.0)),
    ),
    max_size=40,
)


def series(kinds: list[tuple[str, float, float]]) -> list[ClipRecord]:
    """Records of these kinds, one after another; "lost": there is none."""
    records, epoch = [], 0
    for index, (kind, dog, person) in enumerate(kinds):
        start_s = index * 2.0
        if kind == "clip":
            records.append(clip(index, dog=dog, person=person, epoch=epoch))
        elif kind == "gap":
            epoch += 1
            records.append(gap(start_s, start_s + 2, epoch))
        elif kind == "dropped":
            records.append(dropped(index, epoch=epoch))
        elif kind == "failed":
            records.append(msgspec.structs.replace(failed(index), epoch=epoch))
    return records


@settings(deadline=None)
@given(RECORDS, st.integers(0, 40), st.integers(0, 5))
def test_however_often_it_is_killed_the_same_events_are_told(
    kinds: list[tuple[str, float, float]], killed: int, again: int
) -> None:
    watched = camera(
        "dog", "person", rules={"long": "dog for 4 s and not person", "lately": "dog within 6 s"}, hold_s=3.0
    )
    records = series(kinds)
    first, second = Moments(watched), Moments(watched)
    killed = min(killed, len(records))
    events = [event for record in records[:killed] for event in first.add(record)]
    second.restore(first.state())
    events += [event for record in records[max(0, killed - again) :] for event in second.add(record)] + second.stop()
    assert events == told(records, watched)
    open_ids = [event.id for event in events if event.state == "open"]
    assert len(open_ids) == len(set(open_ids))
    assert sorted(open_ids) == sorted(event.id for event in events if event.state == "closed")
