"""Tables, subtitles and JSON are those of a run, and are read back."""

import csv
import html
import io
import re
from pathlib import Path

from archive.exports import from_sinks
from pages.read import read_results
from pipeline.result import ClipRecord
from pipeline.status import EventRecord
from tests.archive.exports.made import EVIL, clips_at, source_with

SOURCE = source_with(clips_at([0, 2, 4.5, 3600, 3605], ["dog", "=1+1", EVIL]))


def test_a_table_has_a_row_per_event() -> None:
    rows = list(csv.DictReader(io.StringIO(from_sinks.csv(SOURCE).removeprefix("\ufeff"), newline="")))
    assert [row["label"] for row in rows] == ["dog", "'=1+1", EVIL, "dog"]
    assert [(row["start"], row["end_s"]) for row in rows][2:] == [
        ("00:00:04.500", "3600.000"),
        ("01:00:00.000", "3605.000"),
    ]
    assert from_sinks.csv(SOURCE).startswith("\ufeffsource,label,")


def test_subtitles_have_a_cue_per_stretch() -> None:
    head, *cues = from_sinks.vtt(SOURCE).strip().split("\n\n")
    assert head == "WEBVTT"
    found = [re.fullmatch(r"([\d:.]+) --> ([\d:.]+)\n(.+)", cue) for cue in cues]
    assert [(each[1], each[2]) for each in found if each] == [
        ("00:00:00.000", "00:00:02.000"),
        ("00:00:02.000", "00:00:04.500"),
        ("00:00:04.500", "01:00:00.000"),
        ("01:00:00.000", "01:00:05.000"),
    ]
    assert [html.unescape(each[3]) for each in found if each][:2] == ["dog", "=1+1"]
    assert from_sinks.srt(SOURCE).startswith("1\n00:00:00,000 --> 00:00:02,000\ndog\n")


def test_json_is_what_view_reads(tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text(from_sinks.json(SOURCE), encoding="utf-8")
    found = list(read_results(str(tmp_path / "talk.json")))
    assert [each for each in found if isinstance(each, ClipRecord)] == list(SOURCE.clips)
    assert [each for each in found if isinstance(each, EventRecord)] == list(SOURCE.events)
