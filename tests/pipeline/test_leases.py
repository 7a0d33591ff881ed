"""Who works on which clips: shares, credit, and what a worker receives."""

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.leases import Leases
from pipeline.ledger import Ledger
from pipeline.messages import Done, Hello, Work
from pipeline.processes import Worker
from tests.pipeline.crew import Crew, Post, answer, decode, fake_plan, open_source
from tests.pipeline.fakes import fake_config

MODEL, TRACK = 0, 1
PLAN = fake_plan()
BATCHING = fake_plan(
    groups=[{"name": "model", "stages": ["fake_model"], "batch": 4, "wait_ms": 2000.0}, fake_config()["groups"][1]]
)


class Desk:
    """Leases over a real ledger, with two open sources and workers on paper."""

    def __init__(self, plan: Any = PLAN) -> None:
        self.crew, self.post = Crew(), Post()
        self.ledger = Ledger(plan.groups, plan.slot_arrays, lambda slot: None)
        self.leases = Leases(plan, self.ledger, self.crew.processes, self.post)
        for source in range(2):
            open_source(self.ledger, source)

    def hire(self, name: str, group: int = MODEL, credit: int = 4) -> Worker:
        worker = self.crew.spawn("group", name, group)
        self.leases.introduce(worker, Hello(worker.id, 0, credit))
        return worker

    def lease(self) -> dict[str, list[int]]:
        """Indices of the clips that each worker receives now."""
        self.leases.lease()
        received: dict[str, list[int]] = {}
        for name, message in self.post.take():
            assert isinstance(message, Work)
            received.setdefault(name, []).extend(clip.info.index for clip in message.clips)
        return received

    def work(self) -> Work:
        """The one message that is sent now."""
        self.leases.lease()
        ((_, message),) = self.post.take()
        assert isinstance(message, Work)
        return message


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 30))
def test_every_clip_is_leased_once_within_the_credit_of_each_worker(credits: list[int], clips: int) -> None:
    desk = Desk()
    for number, credit in enumerate(credits):
        desk.hire(str(number), credit=credit)
    decode(desk.ledger, 0, clips)
    held: dict[str, list[int]] = {str(number): [] for number in range(len(credits))}
    while received := desk.lease():
        for name, indices in received.items():
            held[name] += indices
    assert sorted(index for indices in held.values() for index in indices) == list(range(min(clips, sum(credits))))
    assert all(len(held[str(number)]) <= credit for number, credit in enumerate(credits))


def test_a_worker_does_not_take_the_clips_that_others_could_do() -> None:
    desk = Desk()
    desk.hire("one", credit=8)
    desk.hire("two", credit=8)
    decode(desk.ledger, 0, 2)
    assert desk.lease() == {"one": [0], "two": [1]}


def test_workers_with_equal_credit_receive_equal_shares() -> None:
    desk = Desk()
    desk.hire("one", credit=8)
    desk.hire("two", credit=8)
    decode(desk.ledger, 0, 8)
    assert {name: len(indices) for name, indices in desk.lease().items()} == {"one": 4, "two": 4}


def test_the_worker_with_the_most_credit_comes_first() -> None:
    desk = Desk()
    desk.hire("little", credit=1)
    desk.hire("much", credit=8)
    decode(desk.ledger, 0, 1)
    assert desk.lease() == {"much": [0]}


def test_an_answer_gives_credit_back() -> None:
    desk = Desk()
    worker = desk.hire("one", credit=2)
    assert not desk.leases.has_work(worker)
    decode(desk.ledger, 0, 5)
    assert desk.lease() == {"one": [0, 1]}
    assert desk.lease() == {}
    desk.leases.done(worker, Done([answer(0, 0, labels=b"x")]))
    assert desk.leases.has_work(worker), "clip 1 is still with it"
    assert desk.lease() == {"one": [2]}
    desk.leases.done(worker, Done([answer(0, 1, labels=b"x"), answer(0, 2, labels=b"x")]))
    assert not desk.leases.has_work(worker)


def test_a_hung_worker_and_one_that_is_not_ready_receive_nothing() -> None:
    desk = Desk()
    desk.hire("hung").kill_at_s = 1.0
    loading = desk.crew.spawn("group", "loading", MODEL)
    decode(desk.ledger, 0, 1)
    assert desk.lease() == {}
    assert not desk.leases.has_work(loading)


def test_the_clips_of_a_dead_worker_go_to_another_one_by_one_and_at_once() -> None:
    desk = Desk(BATCHING)
    first = desk.hire("first")
    decode(desk.ledger, 0, 2)
    before_ns = time.monotonic_ns()
    assert before_ns <= desk.work().until_ns - 2_000_000_000 <= time.monotonic_ns()
    assert desk.leases.died(first, "killed by SIGKILL") == []
    assert not desk.leases.has_work(first)
    del desk.crew.workers[first.id]
    second = desk.hire("second")
    for index in range(2):
        work = desk.work()
        assert [clip.info.index for clip in work.clips] == [index], "a suspect is alone"
        assert work.until_ns == 0, "a suspect does not wait for others"
        desk.leases.done(second, Done([answer(0, index, labels=b"x")]))


def test_a_clip_that_kills_every_worker_is_returned_as_given_up() -> None:
    desk = Desk()
    decode(desk.ledger, 0, 1)
    for _ in range(2):
        assert desk.leases.died(last_worker(desk), "killed by SIGKILL") == []
    (entry,) = desk.leases.died(last_worker(desk), "killed by SIGKILL")
    assert entry.error == "model: killed by SIGKILL; given up after 3 tries"


def last_worker(desk: Desk) -> Worker:
    worker = desk.hire("next")
    assert desk.lease() == {"next": [0]}
    return worker


def test_a_clip_carries_only_the_arrays_that_its_group_needs() -> None:
    desk = Desk()
    model = desk.hire("model")
    decode(desk.ledger, 0, 1)
    (clip,) = desk.work().clips
    assert (clip.shapes, clip.values, clip.absent) == ({"frames": (2, 8, 8, 3)}, {}, {"audio": "no_stream"})
    desk.leases.done(model, Done([answer(0, 0, labels=b"x", mean=b"y")]))
    desk.hire("track", TRACK)
    (clip,) = desk.work().clips
    assert (clip.shapes, clip.values) == ({}, {"mean": b"y"})


def test_in_an_ordered_group_only_the_first_clip_of_a_source_carries_the_state() -> None:
    desk = Desk()
    model = desk.hire("model", credit=8)
    desk.hire("track", TRACK, credit=8)
    for source in range(2):
        decode(desk.ledger, source, 2)
    desk.lease()
    desk.leases.done(model, Done([answer(*key, labels=b"x", mean=b"y") for key in ((0, 0), (0, 1), (1, 0), (1, 1))]))
    states = [(clip.info.source_index, clip.info.index, clip.state) for clip in desk.work().clips]
    assert states == [(0, 0, b""), (0, 1, None), (1, 0, b""), (1, 1, None)]


def test_the_slowest_group_is_the_one_with_the_most_clips() -> None:
    desk = Desk()
    assert desk.leases.slowest() == "decode", "no group has a clip: all of them starve"
    model = desk.hire("model", credit=2)
    decode(desk.ledger, 0, 3)
    desk.lease()
    assert desk.leases.slowest() == "model"
    desk.leases.done(model, Done([answer(0, index, labels=b"x", mean=b"y") for index in range(2)]))
    desk.lease()
    desk.leases.done(model, Done([answer(0, 2, labels=b"x", mean=b"y")]))
    desk.hire("track", TRACK)
    desk.lease()
    assert desk.leases.slowest() == "track", "clips that a worker holds count too"


def test_the_mean_batch_is_that_of_the_groups_that_batch() -> None:
    desk = Desk()
    model, track = desk.hire("model", credit=8), desk.hire("track", TRACK, credit=8)
    decode(desk.ledger, 0, 4)
    desk.lease()
    desk.leases.done(model, Done([answer(0, index, labels=b"x", mean=b"y") for index in range(3)], batches=1))
    desk.leases.done(model, Done([answer(0, 3, labels=b"x", mean=b"y")], batches=1))
    desk.lease()
    desk.leases.done(track, Done([answer(0, index, tracks=b"x") for index in range(4)]))
    assert desk.leases.mean_batches() == {"model": 2.0}
