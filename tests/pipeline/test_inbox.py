"""When a batch is taken: full, or when its first clip has waited long enough."""

import time
from collections import deque
from typing import cast

import pytest

from pipeline.bus import Bus
from pipeline.clip import ClipInfo
from pipeline.inbox import Inbox
from pipeline.messages import Stop, ToWorker, Work, WorkClip

SECOND_NS = 1_000_000_000


class ScriptedBus:
    """Returns messages at their time; waiting moves the clock."""

    def __init__(self, *script: tuple[float, ToWorker]) -> None:
        self.now_s = 100.0
        self.script = deque((100.0 + at_s, message) for at_s, message in script)

    def receive(self, timeout_s: float | None = None) -> ToWorker | None:
        until_s = self.now_s + (1e9 if timeout_s is None else timeout_s)
        if not self.script or self.script[0][0] > until_s:
            assert timeout_s is not None, "it waits forever"
            self.now_s = until_s
            return None
        at_s, message = self.script.popleft()
        self.now_s = max(self.now_s, at_s)
        return message


def work(*indices: int, until_s: float | None = None) -> Work:
    clips = [WorkClip(ClipInfo("s", 0, index, 0, 1), 0, 0, {}, {}, {}) for index in indices]
    return Work(clips, 0 if until_s is None else round((100.0 + until_s) * SECOND_NS))


def batches_of(
    monkeypatch: pytest.MonkeyPatch, batch: int, *script: tuple[float, ToWorker]
) -> list[tuple[list[int], float]]:
    """Every batch that is taken, and when."""
    bus = ScriptedBus(*script, (1e6, Stop()))
    monkeypatch.setattr(time, "monotonic_ns", lambda: round(bus.now_s * SECOND_NS))
    inbox, taken = Inbox(cast(Bus, bus), batch), []
    while not inbox.stopped:
        inbox.fill()
        if items := inbox.take():
            taken.append(([item.info.index for item in items], round(bus.now_s - 100.0, 6)))
    return taken


def test_a_full_batch_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(0.1, work(0, 1, until_s=1.1)), (0.2, work(2, 3, 4, until_s=1.2)), (0.3, work(5, until_s=1.3))]
    assert batches_of(monkeypatch, 3, *script) == [([0, 1, 2], 0.2), ([3, 4, 5], 0.3)]


def test_a_batch_waits_no_longer_than_its_first_clip_may(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(0.1, work(0, until_s=0.15)), (0.12, work(1, until_s=0.17)), (0.2, work(2, until_s=0.25))]
    assert batches_of(monkeypatch, 4, *script) == [([0, 1], 0.15), ([2], 0.25)]


def test_clips_that_waited_while_the_worker_was_busy_do_not_wait_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(0.0, work(0, until_s=-1.0)), (0.0, work(1, until_s=0.5)), (0.1, work(2, until_s=0.6))]
    assert batches_of(monkeypatch, 4, *script) == [([0, 1], 0.0), ([2], 0.6)]


def test_a_clip_that_must_run_alone_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(0.1, work(0)), (0.2, work(1, until_s=5.0))]
    assert batches_of(monkeypatch, 4, *script) == [([0], 0.1), ([1], 5.0)]


def test_a_worker_without_batches_takes_each_clip_when_it_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    assert batches_of(monkeypatch, 1, (0.1, work(0, 1)), (0.2, work(2))) == [([0], 0.1), ([1], 0.1), ([2], 0.2)]


def test_clips_that_are_left_at_a_stop_are_still_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert batches_of(monkeypatch, 4, (0.1, work(0, until_s=9.0)), (0.2, Stop())) == [([0], 0.2)]
