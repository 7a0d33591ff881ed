"""Commands to a watch: one after another, each with its own answer, however long an alert takes."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from live.commands import ASK_TIMEOUT_S, Commands
from live.control import Change, Control
from live.settings import Camera, Settings
from live.watch import WatchSupervisor
from pipeline.config import make_config
from pipeline.live_feed import Watched
from pipeline.messages import Answer, Ask, Reply, Request
from pipeline.processes import Worker
from tests.live.watches import watch_tree

WORKER = Worker(1, 0, "page")


class FakeFeed:
    next_index = 1

    def named(self, name: str) -> Watched | None:
        return Watched(0, name, {})


class FakeWatch:
    """What commands do to a watch is noted, and who was answered what."""

    version = 1

    def __init__(self) -> None:
        self.settings = Settings(cameras=(Camera(name="door", labels=("anything",)),))
        self.feed = FakeFeed()
        self.answers: dict[int, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.stalls_s: list[float] = []

    def answer(self, worker: Worker, answer: Answer) -> None:
        assert answer.id not in self.answers
        self.answers[answer.id] = json.loads(answer.body)

    def ask_clerk(self, request: Request) -> bool:
        self.requests.append(request)
        return True

    def apply(self, changes: list[Change]) -> dict[str, Any]:
        self.stalls_s += [change.after.stall_s for change in changes if change.after]
        return {"version": 2}


class Bench:
    """Commands whose alerts hang until `release` is set."""

    def __init__(self) -> None:
        self.watch = FakeWatch()
        self.release = threading.Event()
        watch = cast(WatchSupervisor, self.watch)
        control = Control(make_config(watch_tree()), lambda settings: [])
        self.commands = Commands(watch, control, lambda settings: {}, self._send)

    def _send(self, settings: Settings) -> list[dict[str, Any]]:
        assert self.release.wait(30)
        return [{"target": "hook"}]

    def ask(self, id: int, until_s: float = 0.0, **command: Any) -> None:
        self.commands.ask(WORKER, Ask(id, json.dumps(command).encode(), until_s))

    def let_alerts_go(self) -> None:
        """And wait until their threads are done."""
        self.release.set()
        for thread in threading.enumerate():
            if thread.name == "test alert":
                thread.join(10)

    @property
    def answers(self) -> dict[int, dict[str, Any]]:
        return self.watch.answers


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.let_alerts_go()


def change(**fields: Any) -> dict[str, Any]:
    return {"do": "change", "camera": "door", "change": fields}


def test_an_alert_that_hangs_holds_no_other_command_up(bench: Bench) -> None:
    bench.ask(1, do="test_alert")
    bench.ask(2, **change(stall_s=11.0))
    assert bench.answers == {2: {"ok": True, "version": 2}}
    assert bench.watch.stalls_s == [11.0]
    bench.let_alerts_go()
    bench.commands.tick(time.monotonic())
    assert bench.answers[1] == {"ok": True, "sent": [{"target": "hook"}]}


def test_commands_behind_a_test_of_alerts_are_done_when_their_turn_comes(bench: Bench) -> None:
    bench.ask(1, **change(labels=["cat"]))
    bench.ask(2, do="test_alert")
    bench.ask(3, **change(stall_s=11.0))
    bench.ask(4, do="settings")
    assert bench.answers == {}
    bench.commands.replied(Reply(bench.watch.requests[0].id, msgspec.msgpack.encode({})))
    assert sorted(bench.answers) == [1, 3, 4]
    assert bench.watch.stalls_s[-1] == 11.0


def test_a_late_answer_to_a_test_of_alerts_is_given_to_nobody_else(bench: Bench) -> None:
    bench.ask(1, do="test_alert")
    late_s = time.monotonic() + ASK_TIMEOUT_S + 1
    bench.commands.tick(late_s)
    assert (bench.answers[1]["ok"], bench.answers[1]["status"]) == (False, 409)
    bench.ask(2, **change(labels=["cat"], stall_s=12.0))
    bench.let_alerts_go()
    bench.commands.tick(time.monotonic())
    assert sorted(bench.answers) == [1], "the change waits for its label vectors"
    bench.commands.replied(Reply(bench.watch.requests[0].id, msgspec.msgpack.encode({})))
    assert bench.answers[2] == {"ok": True, "version": 2}
    assert bench.watch.stalls_s == [12.0]


def test_a_command_for_which_nobody_waits_any_more_is_not_done(bench: Bench) -> None:
    now_s = time.monotonic()
    bench.ask(1, now_s + 60, **change(labels=["cat"]))
    bench.ask(2, now_s - 0.1, **change(stall_s=13.0))
    bench.ask(3, now_s + 60, **change(stall_s=14.0))
    bench.commands.replied(Reply(bench.watch.requests[0].id, msgspec.msgpack.encode({})))
    assert [bench.answers[id]["ok"] for id in (1, 2, 3)] == [True, False, True]
    assert 13.0 not in bench.watch.stalls_s
    assert bench.watch.stalls_s[-1] == 14.0


def test_each_of_two_tests_of_alerts_has_its_own_answer() -> None:
    both = [threading.Event(), threading.Event()]
    waits: Iterator[threading.Event] = iter(both)
    lock = threading.Lock()

    def send(settings: Settings) -> list[dict[str, Any]]:
        with lock:
            mine = next(waits)
        assert mine.wait(30)
        return [{"target": both.index(mine)}]

    watch = FakeWatch()
    control = Control(make_config(watch_tree()), lambda settings: [])
    commands = Commands(cast(WatchSupervisor, watch), control, lambda settings: {}, send)
    for id in (1, 2):
        commands.ask(WORKER, Ask(id, b'{"do": "test_alert"}'))
    for event, count in ((both[1], 1), (both[0], 2)):
        event.set()
        ends_s = time.monotonic() + 10
        while len(watch.answers) < count:
            assert time.monotonic() < ends_s
            time.sleep(0.01)
            commands.tick(time.monotonic())
    assert all(answer["ok"] for answer in watch.answers.values())
