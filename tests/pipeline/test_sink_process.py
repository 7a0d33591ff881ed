"""The output process, here a thread: records from what the supervisor sends, and the order of sinks."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.build import make_plan
from pipeline.bus import Hub
from pipeline.clip import ClipInfo, SourceInfo
from pipeline.config import make_config
from pipeline.errors import OutputError
from pipeline.messages import (
    PROTOCOL_VERSION,
    Broken,
    Finished,
    Hello,
    Note,
    Records,
    SinkClosed,
    SourceDone,
    SourceStarted,
    Stop,
    ToWorker,
    Values,
    Written,
)
from pipeline.part import Part, part_info
from pipeline.result import ClipRecord, Label
from pipeline.run import place
from pipeline.sink_process import RecordMaker, run_sink
from pipeline.sinks.sink import Sink
from pipeline.slots import Slots
from pipeline.status import OutputSpec
from tests.pipeline.fakes import LABELS, fake_config
from tests.pipeline.runs import wait_for

# -- records ----------------------------------------------------------------------------------------------------------

PARTS = (
    part_info("labels", "classify", LABELS),
    part_info("category", "classify", Part(type=dict[str, Any] | None, doc="Category.")),
    part_info("brightness", "brighten", Part(type=float | None, doc="Brightness.")),
)
"""`classify` is essential: without labels a clip is an error."""
INFO = ClipInfo("rtsp://me:hidden@cam/1", 0, 3, 6_000_000_400, 8_000_000_600, 1, 320, 240, True, 5, 2)


def packed(**parts: Any) -> Values:
    return {name: msgspec.msgpack.encode(value) for name, value in parts.items()}


def record(facts: dict[str, str] | None = None, **finished: Any) -> ClipRecord:
    return RecordMaker(PARTS).record(Finished(INFO, **finished), facts or {})


def test_a_record_has_what_is_known_of_the_clip_without_secrets() -> None:
    made = record({"model": "m@1", "engine": "torch-fp32", "engine_reason": "no GPU", "flow": "dis"}, tries=2)
    assert made == ClipRecord(
        source="rtsp://***@cam/1", epoch=1, clip=3, start_s=6.0, end_s=8.000001, width=320, height=240, tries=2,
        model="m@1", engine="torch-fp32", engine_reason="no GPU",
        estimated_times=True, corrupt_frames=5, decode_errors=2,
    )  # fmt: skip


def test_parts_are_unpacked_and_those_that_are_none_are_left_out() -> None:
    labels = [{"label": "rain", "probability": 0.5, "share": 1.0}]
    made = record(parts=packed(labels=labels, category=None, brightness=7.5))
    assert made.parts == {"labels": [Label("rain", 0.5, 1.0)], "brightness": 7.5}
    assert made.labels_version == 1


def test_an_error_has_no_parts() -> None:
    made = record(parts=packed(labels=[], brightness=7.5), error="http://me:hidden@h: it broke")
    assert made.parts == {}
    assert made.error == "http://***@h: it broke"
    assert made.labels_version == 0


def test_absent_names_modalities_and_parts_but_not_those_whose_loss_is_an_error() -> None:
    absent = {
        "image_embedding": "failed", "audio_embedding": "no_stream", "flow": "too_short",
        "labels": "failed", "category": "failed", "brightness": "failed",
    }  # fmt: skip
    assert record(absent=absent).absent == {"image": "failed", "audio": "no_stream", "brightness": "failed"}


# -- the process ------------------------------------------------------------------------------------------------------

steps: list[str] = []


class Stepping(Sink):
    """Records what happens to it."""

    fails_at = ""

    def _step(self, name: str) -> None:
        steps.append(name)
        if name == self.fails_at:
            raise OutputError(f"{self.spec.path}: cannot {name}")

    def open(self) -> None:
        self._step("open")

    def source_started(self, info: SourceInfo) -> None:
        self._step(f"start {info.source}")

    def write(self, record: ClipRecord) -> None:
        self._step(f"write {record.clip}")
        self.notes.append(f"wrote {record.clip}")

    def source_ended(self, source_index: int, clips: int) -> None:
        self._step(f"end of {clips}")

    def close(self, complete: bool) -> None:
        self._step(f"close {complete}")


class Beside(Stepping):
    """Records how many JSON lines there are at each step."""

    def _step(self, name: str) -> None:
        path = Path(self.spec.path).with_name("out.jsonl")
        lines = len(path.read_text().splitlines()) if path.exists() else "no"
        steps.append(f"{name.split()[0]}: {lines} lines")


class CannotClose(Stepping):
    fails_at = "close True"


class CannotOpen(Stepping):
    fails_at = "open"


class HasABug(Stepping):
    def write(self, record: ClipRecord) -> None:
        raise ZeroDivisionError("a bug")


class Process:
    """`run_sink` in a thread, with these kinds of output."""

    def __init__(self, folder: Path, *outputs: str) -> None:
        own = (Stepping, Beside, CannotClose, CannotOpen, HasABug)
        config = fake_config(sinks={kind.__name__: {"class": f"{__name__}:{kind.__name__}"} for kind in own})
        specs = [OutputSpec(kind=kind, path=str(folder / f"out.{kind}"), sources=("a.mp4",)) for kind in outputs]
        self.plan = place(make_plan(make_config(config)), str(folder), specs)
        self.slots = Slots.create(self.plan.layout, 1)
        self.hub = Hub(str(folder))
        self.thread = threading.Thread(target=run_sink, args=(1, 0, self.plan, self.slots))
        self.thread.start()

    def send(self, *messages: ToWorker) -> None:
        for message in messages:
            self.hub.send(1, message)

    def next(self) -> Any:
        return wait_for(self.hub.receive, 10.0, "a message of the output process")[1]

    def end(self) -> None:
        self.send(Stop())
        self.thread.join(10)
        self.hub.close()
        os.close(self.slots.fd)
        assert not self.thread.is_alive()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    processes: list[Process] = []
    steps.clear()

    def do(*outputs: str) -> Process:
        processes.append(Process(tmp_path, *outputs))
        return processes[-1]

    yield do
    for process in processes:
        process.end()


def finished(index: int) -> Finished:
    return Finished(ClipInfo("a.mp4", 0, index, 0, 1), packed(labels=[]))


def test_records_are_written_and_counted(start: Any, tmp_path: Path) -> None:
    process = start("jsonl", "csv")
    assert process.next() == Hello(1, PROTOCOL_VERSION)
    process.send(SourceStarted(SourceInfo("a.mp4", 0)), Records([finished(0), finished(1)], {0: {"model": "m@1"}}))
    assert process.next() == Written(2)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["clip"], line["model"]) for line in lines] == [(0, "m@1"), (1, "m@1")]
    process.send(Records([finished(2)], {0: {}}), SourceDone(0, 3), Stop())
    assert process.next() == Written(1)
    closed = process.next()
    assert isinstance(closed, SinkClosed)
    assert [summary.clips for summary in closed.summaries] == [3], "the first sink that has events has summaries"
    assert (tmp_path / "out.csv").exists()


def test_records_have_the_wall_time_of_a_source_that_tells_it(start: Any, tmp_path: Path) -> None:
    process = start("jsonl")
    process.next()
    late = Finished(ClipInfo("a.mp4", 0, 0, 2_500_000_000, 4_500_000_000), packed(labels=[]))
    process.send(
        SourceStarted(SourceInfo("a.mp4", 0, start_wall="2026-05-06T23:59:58.000+02:00")),
        SourceStarted(SourceInfo("b.mp4", 1)),
        Records([late, Finished(ClipInfo("b.mp4", 1, 0, 0, 1), packed(labels=[]))], {0: {}}),
    )
    process.next()
    found = [json.loads(line).get("wall_time") for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert found == ["2026-05-07T00:00:00.500+02:00", None]


def test_json_lines_are_opened_last_and_written_first(start: Any) -> None:
    """On resume, other sinks read the file before it changes. A clip is in the file before anything else shows it."""
    process = start("Beside", "jsonl")
    process.next()
    assert steps == ["open: no lines"]
    process.send(Records([finished(0), finished(1)], {0: {}}))
    assert [process.next() for _ in range(3)] == [Note("wrote 0"), Note("wrote 1"), Written(2)]
    assert steps[1:] == ["write: 2 lines", "write: 2 lines"]


def test_a_sink_receives_sources_and_clips_in_order_and_its_notes_are_passed_on(start: Any) -> None:
    process = start("Stepping")
    process.next()
    process.send(
        SourceStarted(SourceInfo("rtsp://me:hidden@cam", 0)), Records([finished(0)], {0: {}}), SourceDone(0, 1)
    )
    assert [process.next(), process.next()] == [Note("wrote 0"), Written(1)]
    process.send(Stop(complete=False))
    assert process.next() == SinkClosed()
    assert steps == ["open", "start rtsp://***@cam", "write 0", "end of 1", "close False"]


def test_every_sink_is_closed_even_if_one_fails(start: Any, tmp_path: Path) -> None:
    process = start("CannotClose", "csv", "jsonl")
    process.next()
    process.send(Stop())
    assert process.next() == Broken("OutputError", f"{tmp_path}/out.CannotClose: cannot close True")
    process.thread.join(10)
    assert (tmp_path / "out.csv").exists()


def test_a_sink_that_cannot_open_ends_the_process_with_its_reason(start: Any, tmp_path: Path) -> None:
    process = start("CannotOpen")
    assert process.next() == Broken("OutputError", f"{tmp_path}/out.CannotOpen: cannot open")
    process.thread.join(10)
    assert not process.thread.is_alive()


def test_when_a_sink_fails_the_partial_files_of_the_others_are_removed(start: Any, tmp_path: Path) -> None:
    process = start("csv", "HasABug")
    process.next()
    process.send(Records([finished(0)], {0: {}}))
    assert isinstance(process.next(), Broken)
    process.thread.join(10)
    assert not list(tmp_path.glob(".*.part"))


def test_a_bug_in_a_sink_ends_the_process_and_is_named(start: Any) -> None:
    process = start("HasABug")
    process.next()
    process.send(Records([finished(0)], {0: {}}))
    assert process.next() == Broken("PerceptError", "output: ZeroDivisionError: a bug")
    process.thread.join(10)
    assert not process.thread.is_alive()
