"""The ledger of a watch, under any order of arrivals, answers, deaths and reused clips."""

import random
from collections import deque

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clip import ClipInfo, LiveFacts, Missed, SourceInfo
from pipeline.ledger import Entry
from pipeline.live_ledger import LATE, MOST_AGE_NS, NOTHING_TO_REUSE, SUPERSEDED, LiveLedger
from pipeline.messages import DoneClip, Finished
from pipeline.plan import GroupPlan

SECOND_NS = 1_000_000_000
SENSE, LABEL, TRACK = range(3)


def group(index: int, name: str, gives: tuple[str, ...], after: tuple[int, ...], **more: object) -> GroupPlan:
    return msgspec.structs.replace(
        GroupPlan(
            index=index,
            name=name,
            stages=(name,),
            needs=("frames",) if name != "track" else ("boxes",),
            gives=gives,
            after=after,
            ordered=False,
            workers=1,
            threads=1,
            preload=(),
        ),
        **more,
    )


GROUPS = (
    group(SENSE, "sense", ("boxes",), ()),
    group(LABEL, "label", ("labels", "vector"), (SENSE,), parts=("labels",), essential=("labels",), latest=True),
    group(TRACK, "track", ("tracks",), (SENSE, LABEL), parts=("tracks",), ordered=True),
)


class Watch:
    """A ledger with two cameras, of which the second lets its clips wait, and one worker per group."""

    def __init__(self, slots: int = 40, groups: tuple[GroupPlan, ...] = GROUPS) -> None:
        self.free = deque(range(slots))
        self.woken: list[int] = []
        self.ledger = LiveLedger(
            groups, frozenset({"frames"}), self.free.append, 3, self.woken.append, ("vector",), lambda: self.now_ns
        )
        self.slots = slots
        self.now_ns = 0
        self.next = [0, 0]
        self.resembles: dict[tuple[int, int], int] = {}
        """By camera and clip: the clip decoded in full whose answers it must have."""
        self.reference = [-1, -1]
        self.out: list[Finished] = []
        self.held: list[tuple[int, int, Entry]] = []
        self.workers = {index: 10 + index for index in range(len(GROUPS))}
        for camera in (0, 1):
            self.ledger.add_camera(camera, f"cam{camera}", every=camera == 1)
            self.ledger.opened(SourceInfo(f"cam{camera}", camera, has_video=True))
        for index, worker in self.workers.items():
            self.ledger.introduce(worker, index, {"engine": "none"})

    def leave_out(self, before_ns: int) -> None:
        """Leave out what was captured before an instant. All work of this watch takes no time."""
        self.now_ns = before_ns + MOST_AGE_NS
        self.ledger.leave_out()
        self.now_ns = 0

    def info(self, camera: int, reused: bool = False) -> ClipInfo:
        index = self.next[camera]
        self.next[camera] += 1
        facts = LiveFacts(wall_ns=index, captured_ns=index, reused=reused)
        start_ns = index * 2 * SECOND_NS
        return ClipInfo(
            f"cam{camera}", camera, index, start_ns, start_ns + 2 * SECOND_NS, live=facts, labels_version=index // 3 + 1
        )

    def arrive(self, camera: int) -> None:
        if self.free:
            self.reference[camera] = self.next[camera]
            assert self.ledger.decoded(self.info(camera), self.free.popleft(), 0, {"frames": (1,)}, {})
        else:
            self.reference[camera] = self.next[camera]
            self.ledger.missed(Missed(self.info(camera), "no_slot"))

    def reuse(self, camera: int) -> None:
        self.resembles[camera, self.next[camera]] = self.reference[camera]
        self.ledger.reused(self.info(camera, reused=True))

    def lease(self, index: int, room: int = 2) -> list[Entry]:
        leased = self.ledger.lease(index, self.workers[index], room)
        self.held += [(index, self.workers[index], entry) for entry in leased]
        return leased

    def answer(self, place: int = 0) -> None:
        index, worker, entry = self.held.pop(place)
        gives = {name: f"{name} of {entry.info.index}".encode() for name in GROUPS[index].gives}
        state = b"state" if GROUPS[index].ordered else None
        done = DoneClip(entry.info.source_index, entry.info.index, {}, gives, {}, state=state)
        self.ledger.done(worker, index, done)

    def die(self, index: int) -> None:
        self.ledger.died(self.workers[index], "killed")
        self.held = [each for each in self.held if each[0] != index]
        self.workers[index] += 10
        self.ledger.introduce(self.workers[index], index, {"engine": "none"})

    def collect(self) -> None:
        self.out += [item for item in self.ledger.emit() if isinstance(item, Finished)]

    def run_dry(self) -> None:
        while self.held or any(self.lease(index) for index in range(len(GROUPS))):
            self.answer()
        self.collect()

    def of(self, camera: int) -> list[Finished]:
        return [item for item in self.out if item.info.source_index == camera]

    def check(self) -> None:
        counts = self.ledger.counts
        assert counts.clips_in == sum(self.next)
        assert counts.clips_in == counts.results + counts.errors + counts.drops + counts.in_flight
        leased = [
            entry.info.source_index for index, _, entry in self.held if index == LABEL and entry.info.source_index == 0
        ]
        assert len(leased) <= 1, "one clip of a camera is in work"


def test_a_newer_clip_supersedes_the_waiting_one_and_never_the_one_in_work() -> None:
    watch = Watch()
    for _ in range(4):
        watch.arrive(0)
        watch.lease(SENSE)
        watch.answer(-1)
        watch.lease(LABEL)
    watch.run_dry()
    assert [(item.info.index, item.dropped) for item in watch.out] == [
        (0, None),
        (1, SUPERSEDED),
        (2, SUPERSEDED),
        (3, None),
    ]
    assert watch.ledger.cameras[0].drops == {SUPERSEDED: 2}
    assert [item.parts.get("tracks") for item in watch.out] == [f"tracks of {index}".encode() for index in range(4)]
    assert watch.out[1].absent["labels"] == SUPERSEDED


def test_a_clip_that_is_superseded_early_costs_no_later_group_anything() -> None:
    groups = (msgspec.structs.replace(GROUPS[SENSE], latest=True), *GROUPS[1:])
    watch = Watch(groups=groups)
    for _ in range(3):
        watch.arrive(0)
        watch.lease(SENSE)
    assert [entry.info.index for _, _, entry in watch.held] == [0]
    watch.answer()
    watch.lease(LABEL)
    watch.run_dry()
    assert [(item.info.index, item.dropped) for item in watch.out] == [(0, None), (1, SUPERSEDED), (2, None)]
    assert {name: watch.out[1].absent[name] for name in ("boxes", "labels")} == dict.fromkeys(
        ("boxes", "labels"), SUPERSEDED
    )
    assert sorted(watch.free) == list(range(watch.slots))


def test_a_clip_that_has_waited_too_long_is_left_out_unless_its_camera_lets_clips_wait() -> None:
    watch = Watch()
    for camera in (0, 1):
        for _ in range(2):
            watch.arrive(camera)
    watch.lease(SENSE, room=4)
    for _ in range(4):
        watch.answer()
    watch.lease(LABEL, room=1)
    watch.leave_out(before_ns=100)
    watch.run_dry()
    assert {(item.info.source_index, item.info.index, item.dropped) for item in watch.out} == {
        (0, 0, SUPERSEDED),
        (0, 1, None if watch.out[1].dropped is None else LATE),
        (1, 0, None),
        (1, 1, None),
    }
    watch.arrive(0)
    watch.lease(SENSE)
    watch.answer()
    watch.leave_out(before_ns=2)
    assert watch.lease(LABEL), "the third was captured at 2"
    watch.run_dry()
    assert watch.out[-1].dropped is None
    watch.arrive(0)
    watch.lease(SENSE)
    watch.answer()
    watch.leave_out(before_ns=4)
    watch.run_dry()
    assert (watch.out[-1].dropped, watch.woken) == (LATE, [0] * len(watch.woken))


def test_the_clips_of_a_camera_that_lets_them_wait_are_all_answered() -> None:
    watch = Watch()
    for _ in range(5):
        watch.arrive(1)
    watch.run_dry()
    assert [(item.info.index, item.dropped) for item in watch.out] == [(index, None) for index in range(5)]


def test_no_camera_waits_for_another() -> None:
    watch = Watch()
    watch.arrive(0)
    watch.lease(SENSE)
    watch.arrive(1)
    watch.lease(SENSE)
    watch.answer(1)
    for index in (LABEL, TRACK):
        watch.lease(index)
        watch.answer(1)
    watch.collect()
    assert [item.info.source for item in watch.out] == ["cam1"]


def test_the_camera_whose_turn_was_longest_ago_comes_first() -> None:
    """Also if its clip waits for longest, or has just superseded another: so no camera is left out."""
    watch = Watch()
    turns = []
    for _ in range(4):
        for camera in (0, 1):
            watch.arrive(camera)
        watch.lease(SENSE, room=2)
        watch.answer()
        watch.answer()
        (entry,) = watch.lease(LABEL, room=1)
        turns.append(entry.info.source_index)
        watch.answer(-1)
    assert turns == [0, 1, 0, 1]


def test_a_reused_clip_has_the_answers_of_the_clip_that_it_resembles() -> None:
    watch = Watch()
    watch.arrive(0)
    watch.reuse(0)
    watch.collect()
    assert watch.out == []
    watch.run_dry()
    watch.reuse(0)
    watch.collect()
    assert [item.parts.get("labels") for item in watch.out] == [b"labels of 0"] * 3
    assert [item.parts.get("tracks") for item in watch.out] == [b"tracks of 0", None, None]
    assert [item.info.labels_version for item in watch.out] == [1, 1, 1]
    assert watch.ledger.cameras[0].reused == 2
    assert [each.kept for each in watch.ledger.cameras[0].recent] == [{"vector": b"vector of 0"}] * 3


def test_without_an_answer_there_is_nothing_to_reuse_and_the_camera_is_woken() -> None:
    watch = Watch()
    watch.reuse(0)
    watch.collect()
    assert [item.dropped for item in watch.out] == [NOTHING_TO_REUSE]
    assert watch.woken == [0]


def test_after_a_missed_clip_no_older_answer_is_reused() -> None:
    watch = Watch()
    watch.arrive(0)
    watch.run_dry()
    watch.ledger.missed(Missed(watch.info(0), "no_slot"))
    assert watch.woken == [0]
    watch.reuse(0)
    watch.collect()
    assert [item.dropped for item in watch.out] == [None, "no_slot", NOTHING_TO_REUSE]


def test_a_clip_that_was_not_decoded_changes_nothing_for_those_that_reuse_an_answer() -> None:
    watch = Watch()
    watch.arrive(0)
    watch.run_dry()
    watch.ledger.missed(Missed(watch.info(0), LATE))
    watch.reuse(0)
    watch.collect()
    assert [item.dropped for item in watch.out] == [None, LATE, None]
    assert watch.woken == []


def test_a_camera_that_has_reused_answers_comes_before_one_that_always_asks() -> None:
    watch = Watch()
    for camera in (1, 0):
        watch.arrive(camera)
        watch.run_dry()
    watch.reuse(0)
    for camera in (1, 0):
        watch.arrive(camera)
    assert [entry.info.source_index for entry in watch.lease(SENSE, room=2)] == [1, 0], (
        "in the order in which they came"
    )
    for _ in range(2):
        watch.answer()
    assert [entry.info.source_index for entry in watch.lease(LABEL, room=2)] == [0, 1]


@pytest.mark.parametrize("fails", ["superseded", "given up"])
def test_a_reused_clip_is_dropped_if_the_one_it_resembles_has_no_answer(fails: str) -> None:
    watch = Watch()
    watch.arrive(0)
    if fails == "superseded":
        watch.lease(SENSE)
        watch.answer()
        watch.lease(LABEL)
        watch.arrive(0)
        watch.lease(SENSE)
        watch.answer(1)
        watch.reuse(0)
        watch.ledger.decoded(watch.info(0), watch.free.popleft(), 0, {"frames": (1,)}, {})
        watch.lease(SENSE)
        watch.answer(1)
    else:
        watch.reuse(0)
        for _ in range(4):
            watch.lease(SENSE)
            watch.die(SENSE)
    watch.run_dry()
    outcomes = [(item.dropped, item.error is not None) for item in watch.out]
    assert (NOTHING_TO_REUSE, False) in outcomes
    assert set(watch.woken) == {0}
    watch.check()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 12), st.integers(20, 160))
def test_every_clip_comes_out_once_and_in_order(seed: int, slots: int, steps: int) -> None:
    choose, watch = random.Random(seed), Watch(slots)
    for _ in range(steps):
        step = choose.randrange(10)
        if step < 3:
            watch.arrive(choose.randrange(2))
        elif step < 4:
            watch.reuse(choose.randrange(2))
        elif step < 6:
            watch.lease(choose.randrange(3), choose.randint(1, 3))
        elif step < 9 and watch.held:
            watch.answer(choose.randrange(len(watch.held)))
        elif choose.random() < 0.3:
            watch.die(choose.randrange(3))
        watch.collect()
        watch.check()
    watch.run_dry()
    for camera in (0, 1):
        assert [item.info.index for item in watch.of(camera)] == list(range(watch.next[camera]))
    for item in watch.out:
        key = item.info.source_index, item.info.index
        if item.dropped is None and item.error is None:
            assert item.parts["labels"] == f"labels of {watch.resembles.get(key, item.info.index)}".encode()
    assert watch.ledger.counts.in_flight == 0
    assert sorted(watch.free) == list(range(slots)), "every slot is free again"
