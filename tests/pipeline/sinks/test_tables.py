"""Events as a table and as subtitles."""

import csv
from pathlib import Path

from pipeline.sinks.subtitles import Srt, Vtt, clock, cues
from pipeline.sinks.tables import Csv
from pipeline.status import EventRecord, OutputSpec
from tests.pipeline.sinks.records import feed, result

RECORDS = [result(0, rain=0.9), result(1, rain=0.9, **{"rock_&_roll": 0.8}), result(2, **{"rock_&_roll": 0.8})]


def event(label: str, start_s: float, end_s: float, probability: float = 0.5) -> EventRecord:
    return EventRecord(source="a", event=label, start_s=start_s, end_s=end_s, probability=probability, peak=1, clips=1)


def test_csv_has_one_row_per_event(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    feed(Csv(OutputSpec(kind="csv", path=str(path), sources=("talk.mp4",))), RECORDS)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["label"], row["start_s"], row["end_s"]) for row in rows] == [
        ("rain", "0.000", "4.000"),
        ("rock & roll", "2.000", "6.000"),
    ]


def test_webvtt_has_a_cue_per_stretch_with_the_same_labels(tmp_path: Path) -> None:
    path = tmp_path / "out.vtt"
    feed(Vtt(OutputSpec(kind="vtt", path=str(path), sources=("talk.mp4",))), RECORDS)
    assert path.read_text() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nrain\n\n00:00:02.000 --> 00:00:04.000\nrain\nrock &amp; roll\n"
        "\n00:00:04.000 --> 00:00:06.000\nrock &amp; roll\n"
    )


def test_subrip_numbers_its_cues(tmp_path: Path) -> None:
    path = tmp_path / "out.srt"
    feed(Srt(OutputSpec(kind="srt", path=str(path), sources=("talk.mp4",))), RECORDS)
    assert path.read_text().startswith("1\n00:00:00,000 --> 00:00:02,000\nrain\n\n2\n")


def test_cues_never_overlap() -> None:
    shown = cues([event("a", 0, 10, 0.5), event("b", 2, 4, 0.9), event("c", 20, 21)])
    assert shown == [(0, 2, ["a"]), (2, 4, ["b", "a"]), (4, 10, ["a"]), (20, 21, ["c"])]


def test_a_time_has_hours_and_milliseconds() -> None:
    assert clock(3723.4567) == "01:02:03.457"
    assert clock(0.9996, ",") == "00:00:01,000"
