"""A decode process, here a thread, and the supervisor's end of its queue."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.build import make_plan
from pipeline.bus import Hub
from pipeline.config import make_config
from pipeline.decode_worker import run_decode
from pipeline.messages import (
    PROTOCOL_VERSION,
    CloseSource,
    Decoded,
    Ended,
    GapFound,
    Grants,
    Hello,
    Open,
    Opened,
    SourceFailed,
    Stop,
    ToWorker,
)
from pipeline.run import place
from pipeline.slots import Phase, Slots
from tests.pipeline.fakes import FakeReader, ReaderOptions, fake_config
from tests.pipeline.runs import wait_for

SEAT = 3
closed: list[str] = []


class ClosedReader(FakeReader):
    """Records the sources that are closed."""

    def close(self) -> None:
        closed.append(self.source)


__all__ = ["ReaderOptions"]  # `make_reader` finds it in the module of the reader


class Supervised:
    """A decoder that runs, its slots, and the messages to and from it."""

    def __init__(self, directory: str) -> None:
        config = fake_config()
        config["decode"]["factory"] = f"{__name__}:ClosedReader"
        self.plan = place(make_plan(make_config(config)), directory)
        self.slots = Slots.create(self.plan.layout, 6)
        self.hub = Hub(directory)
        self.thread = threading.Thread(target=run_decode, args=(1, SEAT, self.plan, self.slots))
        self.thread.start()
        assert self.next() == Hello(1, PROTOCOL_VERSION)

    def send(self, message: ToWorker) -> None:
        self.hub.send(1, message)

    def next(self) -> Any:
        return wait_for(self.hub.receive, 10.0, "a message of the decoder")[1]

    def grant(self, *slots: int) -> None:
        self.send(Grants([(slot, self.slots.generation(slot)) for slot in slots]))

    def open(self, source: str, start: int = 0) -> Any:
        """Open a source; the answer."""
        self.send(Open(source, 0, start))
        return self.next()

    def ended(self) -> tuple[int, int]:
        """Number of the source that ended, and its clips."""
        message = self.next()
        assert isinstance(message, Ended)
        assert message.took_ns > 0
        return message.source_index, message.count

    def decoded(self) -> tuple[int, int]:
        """Index and slot of the clip that arrives now."""
        message = self.next()
        assert isinstance(message, Decoded), message
        return message.info.index, message.slot

    def is_silent(self) -> bool:
        """Whether it waits for the supervisor and has nothing to report."""
        wait_for(lambda: self.slots.watched(SEAT).phase == Phase.IDLE, 10.0, "an idle decoder")
        return self.hub.receive() is None

    def end(self) -> None:
        self.send(Stop())
        self.thread.join(10)
        self.hub.close()
        os.close(self.slots.fd)
        assert not self.thread.is_alive()


@pytest.fixture
def decoder(tmp_path: Path) -> Iterator[Supervised]:
    closed.clear()
    made = Supervised(str(tmp_path))
    yield made
    made.end()


def test_a_clip_is_written_into_a_slot_that_was_granted(decoder: Supervised) -> None:
    opened = decoder.open("fake:clips=3")
    assert isinstance(opened, Opened)
    assert opened.info.duration_ns == 6_000_000_000
    assert decoder.is_silent(), "without a slot it has to wait"
    decoder.grant(4, 2)
    assert [decoder.decoded(), decoder.decoded()] == [(0, 4), (1, 2)]
    assert decoder.is_silent()
    decoder.grant(0, 1)
    message = decoder.next()
    assert (message.info.index, message.slot, message.absent) == (2, 0, {"audio": "no_stream"})
    assert message.shapes.keys() == {"frames"}
    assert (decoder.slots.read(0, "frames", message.shapes["frames"]) == 2).all()
    assert decoder.ended() == (0, 3)
    wait_for(lambda: closed == ["fake:clips=3"], 10.0, "the reader to be closed")


def test_a_grant_that_was_withdrawn_is_skipped(decoder: Supervised) -> None:
    decoder.open("fake:clips=2")
    stale = decoder.slots.generation(4)
    decoder.slots.retire(4)
    decoder.send(Grants([(4, stale)]))
    assert decoder.is_silent()
    decoder.grant(4)
    message = decoder.next()
    assert (message.slot, message.generation) == (4, stale + 1)


def test_a_source_can_begin_at_a_later_clip(decoder: Supervised) -> None:
    decoder.open("fake:clips=9", start=7)
    decoder.grant(0, 1)
    assert [decoder.decoded()[0], decoder.decoded()[0]] == [7, 8]
    assert decoder.ended() == (0, 9)


def test_a_gap_is_reported_in_its_place_and_takes_no_slot(decoder: Supervised) -> None:
    decoder.open("fake:clips=3,gap=1")
    decoder.grant(0)
    assert decoder.decoded() == (0, 0)
    message = decoder.next()
    assert isinstance(message, GapFound)
    assert (message.gap.next_index, message.gap.epoch) == (1, 1)


def test_a_source_is_closed_on_request_and_the_next_one_is_opened(decoder: Supervised) -> None:
    decoder.open("fake:clips=99")
    decoder.grant(0, 1)
    decoder.decoded()
    decoder.decoded()
    decoder.send(CloseSource())
    assert decoder.ended() == (0, 2)
    assert isinstance(decoder.open("fake:clips=1"), Opened)
    decoder.grant(0)
    assert decoder.decoded() == (0, 0)
    assert decoder.ended() == (0, 1)
    wait_for(lambda: closed == ["fake:clips=99", "fake:clips=1"], 10.0, "both readers to be closed")


def test_it_stops_in_the_middle_of_a_source(decoder: Supervised) -> None:
    decoder.open("fake:clips=99")
    decoder.grant(0)
    decoder.decoded()
    decoder.send(Stop())
    assert decoder.ended() == (0, 1)
    decoder.thread.join(10)
    assert not decoder.thread.is_alive()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("fake:unopenable=1", "fake:unopenable=1: cannot be opened. Give a file that can."),
        ("fake:clips=5,break=2", "fake:clips=5,break=2: ValueError: the container is broken"),
        ("fake:nothing", "fake:nothing: IndexError: list index out of range"),
    ],
)
def test_a_source_that_cannot_be_read_is_reported_and_closed(decoder: Supervised, source: str, error: str) -> None:
    answer = decoder.open(source)
    decoder.grant(0, 1, 2)
    while isinstance(answer, Opened | Decoded):
        answer = decoder.next()
    assert isinstance(answer, SourceFailed)
    assert (answer.source_index, answer.error) == (0, error)
    wait_for(lambda: closed == [source], 10.0, "the reader to be closed")
    assert isinstance(decoder.open("fake:clips=1"), Opened), "the process continues"


def test_the_watch_record_shows_what_it_does(decoder: Supervised) -> None:
    decoder.open("fake:clips=2,slow_decode_ms=300")
    decoder.grant(0)
    seen = wait_for(lambda: watched if (watched := decoder.slots.watched(SEAT)).phase == Phase.DECODING else None)
    assert (seen.source_index, seen.index) == (0, 0)
    decoder.decoded()
    wait_for(lambda: decoder.slots.watched(SEAT).index == 1, 10.0, "the second clip")
    assert decoder.slots.watched(SEAT).phase == Phase.DECODING
    wait_for(lambda: decoder.slots.watched(SEAT).phase == Phase.IDLE, 10.0, "an end of the work")
