"""`percept run --tracks`: one file per source, in the format that its name says."""

import json
from pathlib import Path

import msgspec
import pytest

from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord
from pipeline.sinks.kinds import TRACK_KINDS, make_sink
from pipeline.sinks.sink import Sink
from tests.pipeline.sinks.records import failed, make_spec, result


def run(sink: Sink, records: list[ClipRecord], rate_hz: float = 8.0, complete: bool = True) -> Sink:
    sink.open()
    sink.source_started(SourceInfo("talk.mp4", 0, width=640, height=480, frame_rate_hz=rate_hz, has_video=True))
    for record in records:
        sink.write(record)
    if complete:
        sink.source_ended(0, len(records))
    sink.close(complete)
    return sink


def clips() -> list[ClipRecord]:
    return [msgspec.structs.replace(result(number), width=640, height=480) for number in range(2)]


def test_mot_has_a_line_for_each_box_of_each_frame(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    run(make_sink(make_spec("mot", str(path))), [*clips(), failed(2)])
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert [row[:2] for row in rows[:2]] == [["1", "1"], ["2", "1"]]
    assert len(rows) == 18, "two tracks of a second each, at eight frames a second, with both ends"
    assert {row[1] for row in rows} == {"1", "2"}


def test_coco_and_cvat_name_them(tmp_path: Path) -> None:
    for kind in ("coco", "cvat"):
        run(make_sink(make_spec(kind, str(tmp_path))), clips())
    found = json.loads((tmp_path / "talk.json").read_text())
    assert len(found["annotations"]) == 4, "only boxes that were found"
    assert [each["name"] for each in found["categories"]] == ["dog"]
    assert "<track" in (tmp_path / "talk.xml").read_text()


def test_of_a_source_that_was_cut_short_the_tracks_so_far_are_written_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    sink = run(make_sink(make_spec("mot", str(path))), clips(), complete=False)
    assert sink.notes == [f"{path}: has the tracks of talk.mp4 until 0:04, because the run was cut short there"]
    whole = run(make_sink(make_spec("mot", str(tmp_path / "b.txt"))), clips())
    assert (path.read_text(), whole.notes) == ((tmp_path / "b.txt").read_text(), [])
    assert run(make_sink(make_spec("mot", str(tmp_path / "c.txt"))), [], complete=False).notes == []
    assert not (tmp_path / "c.txt").exists(), "nothing came"


def test_a_source_without_a_rate_is_told(tmp_path: Path) -> None:
    sink = run(make_sink(make_spec("mot", str(tmp_path / "b.txt"))), clips(), rate_hz=0.0)
    assert "its frame rate is unknown" in sink.notes[0]


@pytest.mark.parametrize("suffix", TRACK_KINDS)
def test_each_suffix_has_a_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    run(make_sink(make_spec(TRACK_KINDS[suffix], str(path))), clips())
    assert path.stat().st_size > 100
