"""On resume, a sink that writes whole files first receives the records of the earlier run."""

import csv
import os
from pathlib import Path

import msgspec
import pytest

from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord, decode_json
from pipeline.sinks.jsonl import Jsonl
from pipeline.sinks.kinds import make_sink, resolved
from pipeline.sinks.resumed import Resumed
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec
from tests.pipeline.sinks.records import failed, feed, info, result

SOURCES = ("a.mp4", "b.mp4", "c.mp4")


class Recording(Sink):
    """Keeps the calls that it receives, in order."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")

    def source_started(self, info: SourceInfo) -> None:
        self.calls.append(f"start {info.source} {info.source_index}")

    def write(self, record: ClipRecord) -> None:
        self.calls.append(f"{record.source} {record.clip} track {(record.tracks or ())[0].id}")

    def source_ended(self, source_index: int, clips: int) -> None:
        self.calls.append(f"end {source_index}")

    def close(self, complete: bool) -> None:
        self.calls.append(f"close {complete}")


@pytest.fixture
def lines(tmp_path: Path) -> str:
    """The JSON lines of a run that finished a.mp4 and was interrupted in b.mp4, after an error."""
    path = str(tmp_path / "out.jsonl")
    sink = Jsonl(OutputSpec(path=path, sources=SOURCES))
    sink.open()
    for record in (result(0, "a.mp4"), result(1, "a.mp4")):
        sink.write(record)
    sink.source_ended(0, 2)
    for record in (result(0, "b.mp4"), failed(1, "b.mp4"), result(2, "b.mp4")):
        sink.write(record)
    sink.close(complete=False)
    return path


def test_complete_sources_are_replayed_at_once_and_others_when_they_start(lines: str) -> None:
    inner = Recording(OutputSpec(sources=SOURCES, resume=True, resume_from=lines))
    sink = Resumed(inner)
    sink.open()
    assert inner.calls == ["open", "start a.mp4 0", "a.mp4 0 track 1", "a.mp4 1 track 2", "end 0"]
    inner.calls.clear()
    sink.source_ended(0, 0)
    assert inner.calls == [], "it has ended already"
    sink.source_started(info("b.mp4", 1))
    assert inner.calls == ["start b.mp4 1", "b.mp4 0 track 1"]
    sink.write(result(0, "b.mp4"))
    assert inner.calls[2:] == ["b.mp4 0 track 2"], "its track ids continue"
    sink.source_ended(1, 3)
    sink.source_started(info("c.mp4", 2))
    sink.write(result(0, "c.mp4"))
    sink.close(complete=True)
    assert inner.calls[3:] == ["end 1", "start c.mp4 2", "c.mp4 0 track 1", "close True"]


def test_notes_and_summaries_are_those_of_the_sink(lines: str) -> None:
    table = resolved(OutputSpec(kind="csv", path=f"{lines}.csv", sources=SOURCES, resume=True, resume_from=lines), {})
    sink = make_sink(table)
    sink.open()
    assert [summary.source for summary in sink.summaries()] == ["a.mp4"]
    inner = Recording(table)
    inner.notes.append("a note")
    assert Resumed(inner).notes is inner.notes
    sink.close(complete=False)


def test_a_resumed_run_writes_the_table_of_a_run_that_was_never_interrupted(tmp_path: Path) -> None:
    sources = ("a.mp4", "b.mp4")
    out, table = str(tmp_path / "out.jsonl"), str(tmp_path / "events.csv")

    def sinks(resume: bool) -> list[Sink]:
        return [
            make_sink(resolved(OutputSpec(path=out, sources=sources, resume=resume), {})),
            make_sink(
                resolved(OutputSpec(kind="csv", path=table, sources=sources, resume=resume, resume_from=out), {})
            ),
        ]

    near = "rain drizzle"
    first = [result(0, "a.mp4", near=near, rain=0.9, drizzle=0.6), result(1, "a.mp4", rain=0.9)]
    first[0] = msgspec.structs.replace(first[0], wall_time="2026-05-06T12:00:00.000+02:00")
    second = [result(0, "b.mp4", dog=0.9), result(1, "b.mp4", dog=0.9)]
    for sink in sinks(False):
        sink.open()
        for record in first:
            sink.write(record)
        sink.source_ended(0, 2)
        sink.write(second[0])
        sink.close(complete=False)
    assert not os.path.exists(table)

    resumed = sinks(True)
    for sink in reversed(resumed):  # JSON lines are opened last
        sink.open()
    for sink in resumed:
        sink.source_started(info("b.mp4", 1))
        sink.write(second[1])
        sink.source_ended(1, 2)
        sink.close(complete=True)
    once = tmp_path / "once.csv"
    feed(make_sink(resolved(OutputSpec(kind="csv", path=str(once), sources=sources), {})), first + second)
    assert Path(table).read_text() == once.read_text()
    with once.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["clips"], row["alternatives"]) for row in rows] == [
        ("rain", "2", "drizzle (0.60)"),
        ("dog", "2", ""),
    ]
    assert rows[0]["end_wall"] == "2026-05-06T12:00:04.000+02:00"
    assert [record.clip for record in map(decode_json, Path(out).read_bytes().splitlines())] == [0, 1, 0, 1]
    assert [summary.source for summary in resumed[1].summaries()] == ["a.mp4", "b.mp4"]
