"""Rows: what a person reads of a clip."""

import msgspec
import pytest

from pipeline.result import Track
from pipeline.sinks.rows import Headings, items, plain_row, row_of, short_name, time_text
from pipeline.status import EventOptions, Row
from tests.pipeline.sinks.records import failed, gap, result

EVENTS = EventOptions()


def test_labels_that_fit_come_first_then_the_tracks_counted_by_name() -> None:
    record = result(0, rain=0.41, dog_barking=0.75, siren=0.29)
    tracks = [Track(id=number, boxes=[], label=label) for number, label in enumerate(["dog", None, "person", "person"])]
    record = msgspec.structs.replace(record, parts=record.parts | {"tracks": tracks})
    assert plain_row(row_of(record, EVENTS)) == (
        "0:00–0:02  dog barking 75 %  ·  rain 41 %  ·  tracks: 2 × person, dog, 1 unnamed"
    )


def test_without_a_label_that_fits_there_is_a_dash() -> None:
    record = result(3, rain=0.2)
    record = msgspec.structs.replace(record, parts={"labels": record.labels})
    assert plain_row(row_of(record, EVENTS)) == "0:06–0:08  –"


def test_labels_follow_the_measure_and_the_threshold_of_events() -> None:
    options = EventOptions(measure="share", enter=0.2, leave=0.1)
    row = row_of(result(0, rain=0.15, dog=0.05), options)
    assert (row.labels, row.sure) == ((("rain", 0.15),), 0.2)


def test_errors_gaps_and_drops_say_what_they_are() -> None:
    assert plain_row(row_of(failed(1), EVENTS)) == "0:02–0:04  error: it broke"
    assert items(row_of(gap(4, 30), EVENTS)) == ["no media"]
    dropped = msgspec.structs.replace(result(0), parts={}, dropped="too late")
    assert items(row_of(dropped, EVENTS)) == ["dropped: too late"]
    broken = Row(source="a.mp4", start_s=0, end_s=0, state="error", text="a.mp4: is no video")
    assert plain_row(broken).strip() == "error: is no video"


@pytest.mark.parametrize(
    ("start_s", "end_s", "text"),
    [
        (0, 2, "0:00–0:02"),
        (58, 60, "0:58–1:00"),
        (3598, 3600, "59:58–1:00:00"),
        (0.5, 2.5, "0:00.5–0:02.5"),
        (59.96, 61.99, "1:00–1:02"),
        (0, 0, ""),
    ],
)
def test_times_are_those_of_a_player(start_s: float, end_s: float, text: str) -> None:
    assert time_text(Row(source="a", start_s=start_s, end_s=end_s)) == text


def test_a_label_cannot_move_the_cursor() -> None:
    record = result(0, **{"a\x1b[2J\rb\n": 0.9})
    line = plain_row(row_of(record, EVENTS))
    assert "a?[2J b 90 %" in line
    assert not {"\x1b", "\r", "\n"} & set(line)


def test_only_several_sources_have_headings() -> None:
    rows = [Row(source=f"films/{name}", start_s=0, end_s=2) for name in ("a.mp4", "a.mp4", "b.mp4")]
    several, single = Headings(2), Headings(1)
    assert [several.before(row) for row in rows] == ["a.mp4", "", "b.mp4"]
    assert [single.before(row) for row in rows] == ["", "", ""]


def test_a_url_keeps_its_host_and_loses_its_secrets() -> None:
    assert short_name("rtsp://me:word@cam/live") == "rtsp://***@cam/live"
