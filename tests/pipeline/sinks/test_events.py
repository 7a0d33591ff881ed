"""Events of all sources of a run, and the JSON lines of events."""

import json
from pathlib import Path

from pipeline.sinks.events import EventLines, EventSink, event_line
from pipeline.status import EventOptions, EventRecord, OutputSpec, SummaryRecord
from tests.pipeline.sinks.records import failed, feed, info, result

SPEC = OutputSpec(kind="events", sources=("a.mp4", "b.mp4"))


class Recording(EventSink):
    """Keeps the events and summaries that it receives, in order."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self.calls: list[str] = []

    def open(self) -> None: ...

    def event(self, event: EventRecord) -> None:
        self.calls.append(f"{event.source}: {event}")

    def summary(self, summary: SummaryRecord) -> None:
        self.calls.append(f"{summary.source}: {summary.clips} clips, {summary.errors} errors")

    def close(self, complete: bool) -> None: ...


def test_events_come_in_order_of_start_and_each_source_has_a_summary() -> None:
    sink = Recording(SPEC)
    sink.source_started(info("a.mp4", 0))
    sink.write(result(0, "a.mp4", rain=0.9, dog=0.9))
    assert sink.calls == []
    sink.write(result(1, "a.mp4", dog=0.9))
    assert sink.calls == []
    sink.source_ended(0, 2)
    assert sink.calls == ["a.mp4: dog 0.0–4.0 s", "a.mp4: rain 0.0–2.0 s", "a.mp4: 2 clips, 0 errors"]
    assert [summary.source for summary in sink.summaries()] == ["a.mp4"]


def test_events_of_a_live_source_wait_for_seconds_only() -> None:
    camera = "rtsp://camera/1"
    sink = Recording(OutputSpec(kind="events", sources=(camera,)))
    sink.source_started(info(camera, 0))
    for clip in range(9):
        sink.write(result(clip, camera, street=0.9, **({"dog": 0.8} if clip == 1 else {})))
    assert sink.calls == [f"{camera}: dog 2.0–4.0 s"]


def test_sources_do_not_share_events() -> None:
    sink = Recording(SPEC)
    for clip in range(2):
        for index, source in enumerate(SPEC.sources):
            sink.source_started(info(source, index))
            sink.write(result(clip, source, rain=0.9 if (clip, index) != (1, 1) else 0.1))
    for index in range(2):
        sink.source_ended(index, 2)
    assert [line for line in sink.calls if "rain" in line] == ["b.mp4: rain 0.0–2.0 s", "a.mp4: rain 0.0–4.0 s"]


def test_a_source_that_could_not_be_opened_has_a_summary_too() -> None:
    sink = Recording(SPEC)
    sink.write(failed(-1, "b.mp4"))
    sink.source_ended(1, 0)
    assert sink.calls == ["b.mp4: 0 clips, 1 errors"]


def test_the_options_of_the_output_decide_what_is_an_event() -> None:
    sink = Recording(OutputSpec(kind="events", sources=("a.mp4",), events=EventOptions(enter=0.9)))
    feed(sink, [result(0, "a.mp4", rain=0.8), result(1, "a.mp4", dog=0.95)])
    assert [line for line in sink.calls if " s" in line] == ["a.mp4: dog 2.0–4.0 s"]


def test_a_line_is_an_event_or_a_summary(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    feed(EventLines(OutputSpec(kind="events", path=str(path), sources=("a.mp4",))), [result(0, "a.mp4", rain=0.75)])
    event, summary = map(json.loads, path.read_text().splitlines())
    assert event == {
        "source": "a.mp4", "event": "rain", "start_s": 0.0, "end_s": 2.0, "probability": 0.75, "peak": 0.75, "clips": 1,
    }  # fmt: skip
    assert (summary["source"], summary["summary"], summary["clips"]) == ("a.mp4", {"rain": 2.0}, 1)


def test_a_name_that_is_not_utf8_is_written_with_backslashes() -> None:
    sink = Recording(SPEC)
    feed(sink, [result(0, "caf\udce9.mp4", rain=0.75)])
    assert json.loads(event_line(sink.summaries()[-1]))["source"] == "caf\\udce9.mp4"


def test_the_longest_events_of_a_summary_are_not_in_its_line() -> None:
    sink = Recording(SPEC)
    feed(sink, [result(0, "a.mp4", rain=0.75)])
    summary = sink.summaries()[0]
    assert len(summary.first_events) == 1
    assert "first_events" not in json.loads(event_line(summary))
