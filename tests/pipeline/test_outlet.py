"""The way out: order, how many records are under way, and the end."""

from collections.abc import Iterable

from pipeline.clip import SourceInfo
from pipeline.ledger import Ledger
from pipeline.messages import Records, SinkClosed, SourceDone, SourceStarted, Stop, Written
from pipeline.outlet import RECORDS_UNDER_WAY, Outlet
from pipeline.status import Position, SummaryRecord
from tests.pipeline.crew import Crew, Post, answer, decode, fake_plan, open_source
from tests.pipeline.fakes import CLIP_NS, fake_config

PLAN = fake_plan(groups=fake_config()["groups"][:1], stages={"fake_model": fake_config()["stages"]["fake_model"]})
"""One group: a clip that it answers is finished."""
WORKER = 1


class WayOut:
    """An outlet behind a real ledger; `finish` is what the worker of the one group answers."""

    def __init__(self, *clips: int, ready: bool = True) -> None:
        self.post = Post()
        self.ledger = Ledger(PLAN.groups, PLAN.slot_arrays, lambda slot: None)
        self.ledger.introduce(WORKER, 0, {"engine": "fake-fp32"})
        for source, count in enumerate(clips):
            open_source(self.ledger, source)
            decode(self.ledger, source, count)
        self.ledger.lease(0, WORKER, sum(clips))
        self.outlet = Outlet(self.ledger, len(clips), self.post)
        self.outlet.worker = Crew().spawn("sink", "output")
        self.outlet.worker.ready = ready

    def finish(self, source: int, indices: Iterable[int], end: bool = False) -> None:
        for index in indices:
            assert self.ledger.done(WORKER, 0, answer(source, index, labels=b"x"))
        if end:
            self.ledger.ended(source)

    def passed_on(self) -> list[str]:
        """What is sent now, in words."""
        self.outlet.pass_on()
        words: list[str] = []
        for name, message in self.post.take():
            assert name == "output"
            match message:
                case SourceStarted(info):
                    words.append(f"start {info.source}")
                case Records(records):
                    words += [f"{done.info.source} {done.info.index}" for done in records]
                case SourceDone(source, count):
                    words.append(f"end s{source} of {count}")
                case Stop(complete):
                    words.append(f"stop {complete}")
        return words


def test_records_leave_in_the_order_of_sources_and_clips() -> None:
    out = WayOut(2, 2)
    out.finish(1, [1, 0], end=True)
    out.finish(0, [1])
    assert out.passed_on() == ["start s0"]
    out.finish(0, [0], end=True)
    assert out.passed_on() == ["s0 0", "s0 1", "end s0 of 2", "start s1", "s1 0", "s1 1", "end s1 of 2"]


def test_the_number_of_records_under_way_is_bounded() -> None:
    out = WayOut(2 * RECORDS_UNDER_WAY)
    out.finish(0, range(2 * RECORDS_UNDER_WAY), end=True)
    assert len(out.passed_on()) == 1 + RECORDS_UNDER_WAY
    assert out.passed_on() == []
    assert len(out.outlet) == RECORDS_UNDER_WAY + 1, "the other half, and the end of the source"
    out.outlet.handle(Written(2))
    assert out.passed_on() == [f"s0 {RECORDS_UNDER_WAY}", f"s0 {RECORDS_UNDER_WAY + 1}"]


def test_it_is_empty_once_everything_is_written() -> None:
    out = WayOut(3)
    assert out.outlet.is_empty
    out.finish(0, range(3), end=True)
    out.passed_on()
    out.outlet.handle(Written(2))
    assert not out.outlet.is_empty
    out.outlet.handle(Written(1))
    assert out.outlet.is_empty


def test_nothing_is_sent_before_the_output_process_is_ready() -> None:
    out = WayOut(1, ready=False)
    out.finish(0, [0], end=True)
    assert out.passed_on() == []
    out.outlet.stop(complete=True, now_s=1.0)
    assert out.passed_on() == []
    assert not out.outlet.is_empty
    assert out.outlet.worker
    out.outlet.worker.ready = True
    assert out.passed_on() == ["start s0", "s0 0", "end s0 of 1"]


def test_records_carry_the_facts_that_they_refer_to() -> None:
    out = WayOut(2)
    out.finish(0, [0, 1])
    out.outlet.pass_on()
    (records,) = [message for _, message in out.post.take() if isinstance(message, Records)]
    assert [records.facts[done.facts] for done in records.records] == [{"engine": "fake-fp32"}] * 2


def test_the_output_process_is_asked_to_stop_once() -> None:
    out = WayOut(ready=False)
    assert out.outlet.stopping_s(5.0) == 0.0
    out.outlet.stop(complete=False, now_s=10.0)
    assert out.post.take() == []
    assert out.outlet.worker
    out.outlet.worker.ready = True
    for now_s in (11.0, 12.0):
        out.outlet.stop(complete=False, now_s=now_s)
    assert out.post.take() == [("output", Stop(complete=False))]
    assert out.outlet.stopping_s(12.0) == 2.0, "since it was asked for the first time, ready or not"


def test_it_is_closed_when_the_output_process_is() -> None:
    out = WayOut()
    summary = SummaryRecord(source="s0", summary={}, clips=1, seconds=2.0, seconds_labelled=0.0, events=0)
    assert not out.outlet.is_closed
    out.outlet.handle(SinkClosed((summary,)))
    assert out.outlet.is_closed
    assert out.outlet.summaries == (summary,)


def test_the_position_is_that_of_the_newest_clip() -> None:
    out = WayOut(2, 1)
    out.ledger.opened(SourceInfo("s0", 0, duration_ns=3 * CLIP_NS))
    out.finish(0, [0, 1])
    out.outlet.pass_on()
    assert out.outlet.position == Position(
        source="s0", source_number=1, source_count=2, clip=1, position_s=4.0, duration_s=6.0, end_s=6.0
    )
    assert out.outlet.media_ns == 2 * CLIP_NS


def test_a_source_that_failed_adds_no_media() -> None:
    out = WayOut(0)
    out.ledger.ended(0, "cannot be opened")
    assert out.passed_on() == ["start s0", "s0 -1", "end s0 of 0"]
    assert out.outlet.media_ns == 0
