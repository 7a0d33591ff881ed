"""Consecutive clips become events, with hysteresis."""

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline.result import ClipRecord
from pipeline.sinks.hysteresis import HELD_S, MAX_HELD, Merger
from pipeline.status import EventOptions, EventRecord, SummaryRecord
from tests.pipeline.sinks.records import failed, gap, result

OPTIONS = EventOptions(enter=0.5, leave=0.3)


def merge(records: list[ClipRecord], options: EventOptions = OPTIONS) -> tuple[list[EventRecord], SummaryRecord]:
    merger = Merger("talk.mp4", options)
    events = [event for record in records for event in merger.add(record)]
    last, summary = merger.end()
    return events + last, summary


def spans(records: list[ClipRecord], options: EventOptions = OPTIONS) -> list[tuple[str, float, float]]:
    return [(event.event, event.start_s, event.end_s) for event in merge(records, options)[0]]


def test_an_event_begins_at_enter_and_ends_below_leave() -> None:
    records = [result(i, rain=p) for i, p in enumerate([0.4, 0.6, 0.35, 0.45, 0.2, 0.4])]
    assert spans(records) == [("rain", 2.0, 8.0)]


def test_each_label_has_events_of_its_own() -> None:
    records = [result(0, rain=0.9, dog=0.8), result(1, rain=0.9), result(2, dog=0.7)]
    assert spans(records) == [("dog", 0, 2), ("rain", 0, 4), ("dog", 4, 6)]


def test_an_error_a_gap_and_a_missing_clip_end_events() -> None:
    for broken in (
        [result(0, rain=0.9), failed(1), result(2, rain=0.9)],
        [result(0, rain=0.9), gap(2, 4), result(2, rain=0.9, epoch=1)],
        [result(0, rain=0.9), result(2, rain=0.9)],
    ):
        assert len(spans(broken)) == 2


def test_an_event_goes_on_in_an_epoch_that_begins_where_the_one_before_ends() -> None:
    assert spans([result(0, rain=0.9), result(1, rain=0.9, epoch=1)]) == [("rain", 0, 4)]


def test_after_a_break_a_label_must_reach_enter_again() -> None:
    assert spans([result(0, rain=0.9), failed(1), result(2, rain=0.4)]) == [("rain", 0, 2)]


def test_short_events_are_dropped() -> None:
    options = EventOptions(min_duration_s=3.0)
    records = [result(0, rain=0.9), result(1, dog=0.9), result(2, dog=0.9)]
    assert spans(records, options) == [("dog", 2, 6)]


def test_an_event_has_the_mean_and_the_peak_of_its_clips() -> None:
    event = merge([result(0, rain=0.6), result(1, rain=0.8)])[0][0]
    assert (event.probability, event.peak, event.clips, str(event)) == (0.7, 0.8, 2, "rain 0.0–4.0 s")


def test_the_summary_counts_clips_errors_gaps_and_events() -> None:
    _, summary = merge(
        [result(0, rain=0.9), failed(1), gap(4, 20), result(2, dog=0.1, epoch=1), result(3, rain=0.9, epoch=1)]
    )
    assert (summary.clips, summary.errors, summary.gaps, summary.events) == (3, 1, 1, 2)
    assert summary.summary == {"rain": 4.0}
    assert (summary.seconds, summary.seconds_labelled) == (6.0, 4.0)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=40))
def test_events_never_overlap_and_cover_every_clip_above_enter(values: list[float | None]) -> None:
    records = [failed(i) if p is None else result(i, rain=p) for i, p in enumerate(values)]
    found = spans(records)
    assert all(a[2] <= b[1] for a, b in pairwise(found))
    for record, p in zip(records, values, strict=True):
        covered = any(start <= record.start_s and record.end_s <= end for _, start, end in found)
        assert not covered if p is None or p < OPTIONS.leave else covered or p < OPTIONS.enter


def test_an_event_waits_for_those_that_began_earlier() -> None:
    merger = Merger("talk.mp4", OPTIONS)
    records = [
        result(0, street=0.9),
        result(1, street=0.9, dog=0.8),
        result(2, street=0.9),
        result(3),
        result(4, dog=0.8),
    ]
    given = [[str(event) for event in merger.add(record)] for record in records]
    assert given == [[], [], [], ["street 0.0–6.0 s", "dog 2.0–4.0 s"], []]


def test_a_long_event_does_not_hold_back_others_for_ever() -> None:
    merger = Merger("talk.mp4", OPTIONS)
    clips = round(HELD_S / 2) + 10
    first = [merger.add(result(i, street=0.9, **({"dog": 0.8} if i == 1 else {}))) for i in range(clips)]
    written = [(i, event.event) for i, events in enumerate(first) for event in events]
    assert written == [(2 + round(HELD_S / 2), "dog")]
    assert [event.event for event in merger.end()[0]] == ["street"]


def test_the_number_of_events_that_are_held_back_is_bounded() -> None:
    merger = Merger("talk.mp4", OPTIONS)
    for i in range(2 * MAX_HELD):
        merger.add(result(i, seconds=0.01, street=0.9, **{f"label_{i}": 0.9}))
    assert len(merger.end()[0]) <= MAX_HELD + 2


def test_events_of_a_label_that_are_close_are_joined() -> None:
    records = [
        result(0, rain=0.9),
        result(1),
        result(2, rain=0.7),
        failed(3),
        result(4, rain=0.8),
        *map(result, (5, 6)),
    ]
    records += [result(7, rain=0.9)]
    joined = merge(records, EventOptions(gap_s=2.0))[0]
    assert [(event.start_s, event.end_s, event.clips, event.probability) for event in joined] == [
        (0, 10, 3, 0.8),
        (14, 16, 1, 0.9),
    ]
    assert len(spans(records)) == 4
    assert spans(records, EventOptions(gap_s=2.0, min_duration_s=3.0)) == [("rain", 0, 10)]


def test_a_gap_in_the_media_is_never_bridged() -> None:
    records = [result(0, rain=0.9), gap(2, 3), result(1, rain=0.9, epoch=1)]
    assert len(spans(records, EventOptions(gap_s=60.0))) == 2


def test_leave_follows_enter() -> None:
    records = [result(0, rain=0.9), result(1, rain=0.55), result(2, rain=0.5)]
    assert spans(records, EventOptions(enter=0.9)) == [("rain", 0, 4)]


def test_near_synonyms_that_overlap_are_one_event() -> None:
    near = "dog puppy pup"
    records = [
        result(0, near=near, dog=0.9),
        result(1, near=near, dog=0.9, puppy=0.8),
        result(2, near=near, dog=0.9, puppy=0.6, cat=0.7, pup=0.5),
    ]
    (dog, cat), summary = merge(records)
    assert (dog.event, dog.start_s, dog.end_s, dog.clips, cat.event) == ("dog", 0, 6, 3, "cat")
    assert [(each.label, each.probability) for each in dog.alternatives] == [("puppy", 0.7), ("pup", 0.5)]
    assert (summary.events, summary.summary) == (2, {"dog": 6.0, "cat": 2.0})
    assert len(merge(records, EventOptions(merge=False))[0]) == 4


def test_a_merged_event_has_the_name_with_the_most_evidence_and_covers_all() -> None:
    near = "car automobile"
    records = [result(0, near=near, car=0.95, automobile=0.6), *(result(i, near=near, automobile=0.6) for i in (1, 2))]
    (event,) = merge(records)[0]
    assert (event.event, event.start_s, event.end_s, event.alternatives[0].label) == ("automobile", 0, 6, "car")


def test_near_synonyms_that_overlap_little_are_two_events() -> None:
    near = "dog puppy"
    records = [
        result(i, near=near, **{"dog": 0.9} if i < 5 else {}, **{"puppy": 0.9} if i > 3 else {}) for i in range(9)
    ]
    assert spans(records) == [("dog", 0, 10), ("puppy", 8, 18)]


def star(**probabilities: float) -> list[tuple[str, set[str]]]:
    """Events and alternatives of two clips in which "dog" is near "puppy" and "dog barking", which are not near."""
    records = [result(0, near="dog puppy", **probabilities), result(1, near="dog barking", **probabilities)]
    return [(event.event, {each.label for each in event.alternatives}) for event in merge(records)[0]]


def test_every_alternative_is_near_the_label_of_the_event() -> None:
    assert star(dog=0.9, puppy=0.8, barking=0.7) == [("dog", {"puppy", "barking"})]
    assert star(dog=0.7, puppy=0.9, barking=0.8) == [("barking", {"dog"}), ("puppy", set())]


def test_events_have_wall_times_if_the_clips_have() -> None:
    first = msgspec.structs.replace(result(0, rain=0.9), wall_time="2026-05-06T23:59:57.500+02:00")
    (event,) = merge([first, result(1, rain=0.9)])[0]
    assert event.start_wall == "2026-05-06T23:59:57.500+02:00"
    assert event.end_wall == "2026-05-07T00:00:01.500+02:00"


@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.floats(0, 1)), max_size=30),
    st.sampled_from([0.0, 2.0, 5.0]),
)
def test_events_of_a_short_source_are_always_in_order(clips: list[dict[str, float]], gap_s: float) -> None:
    records = [result(i, near="a b c", **found) for i, found in enumerate(clips)]
    events, summary = merge(records, EventOptions(gap_s=gap_s))
    order = [(event.start_s, event.event) for event in events]
    assert order == sorted(order)
    assert summary.events == len(events)
    named = {event.event for event in events} | {each.label for event in events for each in event.alternatives}
    assert named == {name for found in clips for name, p in found.items() if p >= 0.5}
