"""Cameras that are opened again: what is asked of their processes."""

import os
from collections.abc import Iterator
from typing import Any, cast

import pytest

from pipeline.live_feed import LiveFeed
from pipeline.live_ledger import LiveLedger
from pipeline.messages import Open
from pipeline.processes import Processes, Worker
from pipeline.slots import Layout, Slots
from tests.pipeline.test_live_ledger import GROUPS


class FakeProcesses:
    def __init__(self) -> None:
        self.spawned: list[Worker] = []
        self.killed: list[Worker] = []

    def spawn(self, role: Any, name: str) -> Worker:
        self.spawned.append(Worker(len(self.spawned) + 1, 0, role, name=name))
        return self.spawned[-1]

    def kill(self, worker: Worker) -> None:
        self.killed.append(worker)


class Desk:
    """A feed of one camera whose process has been spawned."""

    def __init__(self) -> None:
        self.processes = FakeProcesses()
        self.sent: list[Any] = []
        self.slots = Slots.create(Layout.of({}), 4)
        ledger = LiveLedger(GROUPS, frozenset({"frames"}), lambda slot: None, 3, lambda index: None, ())
        self.feed = LiveFeed(
            ledger,
            self.slots,
            cast(Processes, self.processes),
            lambda worker, message: self.sent.append(message),
            lambda camera: None,
        )
        self.camera = self.feed.add("door", {"stall_s": 10.0}, every=False)
        self.feed.dispatch(False)
        self.first = self.processes.spawned[0]

    def opened(self) -> list[Any]:
        """The options with which it was opened, each time."""
        return [message.options for message in self.sent if isinstance(message, Open)]


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    os.close(made.slots.fd)


def test_the_end_of_a_process_whose_camera_is_opened_again_is_expected(desk: Desk) -> None:
    desk.feed.introduce(desk.first)
    desk.feed.reopen(0, {"stall_s": 11.0})
    assert desk.processes.killed == [desk.first]
    assert desk.first.stopping
    desk.feed.exited(desk.first)
    desk.feed.dispatch(False)
    assert len(desk.processes.spawned) == 2, "at once"
    desk.feed.introduce(desk.processes.spawned[1])
    assert desk.opened() == [{"stall_s": 10.0}, {"stall_s": 11.0}]
    assert desk.camera.deaths == 0


def test_slots_of_a_process_whose_camera_is_opened_again_are_free_when_it_is_dead(desk: Desk) -> None:
    desk.feed.introduce(desk.first)
    desk.feed.dispatch(False)
    held = 4 - desk.feed.free
    desk.feed.reopen(0, {})
    assert 4 - desk.feed.free == held > 0
    desk.feed.exited(desk.first)
    assert desk.feed.free == 4


def test_a_process_that_still_loads_takes_the_new_settings_when_it_is_ready(desk: Desk) -> None:
    desk.feed.reopen(0, {"stall_s": 11.0})
    assert not desk.processes.killed
    desk.feed.introduce(desk.first)
    assert desk.opened() == [{"stall_s": 11.0}]
    assert not desk.first.stopping
