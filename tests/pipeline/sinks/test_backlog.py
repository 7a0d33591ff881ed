"""What slow sinks still have to write: in order, one step at a time, with their progress."""

from typing import Any

from pipeline.messages import Behind, Written
from pipeline.result import ClipRecord
from pipeline.sinks.backlog import REPORT_S, Backlog
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec, Writing
from tests.pipeline.sinks.records import info, result


class Slow(Sink):
    is_slow = True

    def __init__(self) -> None:
        super().__init__(OutputSpec(path="film.mp4"))
        self.steps: list[str] = []

    def open(self) -> None: ...

    def source_started(self, info: Any) -> None:
        self.steps.append("start")

    def write(self, record: ClipRecord) -> None:
        self.steps.append(f"write {record.clip}")

    def source_ended(self, source_index: int, clips: int) -> None:
        self.steps.append("end")

    def close(self, complete: bool) -> None: ...


class Sent(list[Any]):
    def send(self, message: Any) -> None:
        self.append(message)


def test_a_step_is_one_call_and_a_record_counts_once_it_is_written() -> None:
    sink, sent, now_s = Slow(), Sent(), [0.0]
    backlog = Backlog(sent, [sink], lambda: now_s[0])  # type: ignore[arg-type]
    backlog.started(info())
    backlog.write([result(0), result(1)])
    backlog.ended(0, 2)
    while backlog:
        now_s[0] += REPORT_S
        backlog.step()
    assert sink.steps == ["start", "write 0", "write 1", "end"]
    assert [message for message in sent if isinstance(message, Written)] == [Written(1), Written(1)]
    shown = [message.writing for message in sent if isinstance(message, Behind)]
    assert shown[0] == (Writing(path="film.mp4", done=0, total=2),)
    assert shown[1] == (Writing(path="film.mp4", done=1, total=2),)
    assert shown[-1] == (), "at the end nothing lags"


def test_without_slow_sinks_records_count_at_once() -> None:
    sent = Sent()
    backlog = Backlog(sent, [])  # type: ignore[arg-type]
    backlog.write([result(0), result(1)])
    assert (list(sent), bool(backlog)) == ([Written(2)], False)
