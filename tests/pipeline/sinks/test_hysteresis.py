"""Consecutive clips become events, with hysteresis."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.result import ClipRecord
from pipeline.sinks.hysteresis import Merger
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
