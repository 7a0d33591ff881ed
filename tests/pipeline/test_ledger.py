"""The ledger under random plans and a random order of everything that can happen to a clip."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clip import ClipInfo, Gap, Reuse, SourceInfo
from pipeline.ledger import SAME_FAULT_LIMIT, Entry, Ledger
from pipeline.messages import DoneClip, Finished, SourceDone, SourceStarted
from pipeline.plan import GroupPlan

SECOND_NS = 1_000_000_000
TRIES = 3


def group_plan(index: int, after: tuple[int, ...], ordered: bool, uses_slot: bool, labels: bool) -> GroupPlan:
    return GroupPlan(
        index=index,
        name=f"group{index}",
        stages=(f"stage{index}",),
        needs=("frames",) if uses_slot else (),
        gives=("labels",) if labels else (f"array{index}",),
        parts=("labels",) if labels else (),
        essential=("labels",) if labels else (),
        after=after,
        ordered=ordered,
        workers=1,
        threads=1,
        preload=(),
    )


@st.composite
def plans(draw: st.DrawFn) -> tuple[GroupPlan, ...]:
    count = draw(st.integers(1, 4))
    flags = st.booleans()
    return tuple(
        group_plan(
            index,
            tuple(earlier for earlier in range(index) if draw(flags)),
            ordered=draw(flags),
            uses_slot=draw(flags),
            labels=index == count - 1,
        )
        for index in range(count)
    )


@dataclass
class Worker:
    id: int
    group: int
    held: list[Entry] = field(default_factory=list)
    slots: dict[tuple[int, int], int] = field(default_factory=dict)
    """The slot of each held clip, if the group uses slots."""
    local: dict[int, bytes] = field(default_factory=dict)


class World:
    """A ledger and everything that the rest of a run does to it, chosen by numbers."""

    def __init__(
        self, groups: tuple[GroupPlan, ...], lengths: list[int], gaps: set[tuple[int, int]], slots: int
    ) -> None:
        self.groups = groups
        self.lengths = lengths
        self.gap_places = gaps
        self.free = list(range(slots))
        self.granted: dict[int, tuple[int, int]] = {}
        self.workers: list[Worker] = []
        self.dead: list[Worker] = []
        self.next_worker = 1
        self.next_clip = [0] * len(lengths)
        self.ended = [False] * len(lengths)
        self.failed_sources: set[int] = set()
        self.undecodable: set[tuple[int, int]] = set()
        self.out: list[Finished | SourceStarted | SourceDone] = []
        self.lone_deaths: dict[tuple[int, int], int] = {}
        self.lost_labels: set[tuple[int, int]] = set()
        self.answers = 0
        self.ledger = Ledger(groups, frozenset({"frames"}), self.release, TRIES)
        for index in range(len(lengths)):
            self.ledger.add_source(index, f"s{index}")
            self.ledger.opened(SourceInfo(f"s{index}", index))

    def release(self, slot: int) -> None:
        assert slot in self.granted, "a slot was released twice"
        users = [worker for worker in self.workers if slot in worker.slots.values()]
        assert not users, "a slot was released under a living worker"
        del self.granted[slot]
        self.free.append(slot)

    # -- what can happen ------------------------------------------------------------------------------------------

    def info(self, source: int, index: int) -> ClipInfo:
        return ClipInfo(f"s{source}", source, index, index * SECOND_NS, (index + 1) * SECOND_NS)

    def decode(self, number: int) -> None:
        source = number % len(self.lengths)
        index = self.next_clip[source]
        if self.ended[source] or not self.free or index >= self.lengths[source]:
            return
        if (source, index) in self.gap_places:
            gap = Gap(f"s{source}", source, index + 1, index * SECOND_NS, index * SECOND_NS, index)
            for _ in range(1 + number % 2):  # a restarted decoder reports it again
                self.ledger.gap(gap)
        slot = self.free.pop()
        self.granted[slot] = (source, index)
        assert self.ledger.decoded(self.info(source, index), slot, 0, {"frames": (1,)}, {})
        self.next_clip[source] += 1

    def decode_again(self, number: int) -> None:
        source = number % len(self.lengths)
        if self.free and self.next_clip[source]:
            index = number % self.next_clip[source]
            assert not self.ledger.decoded(self.info(source, index), self.free[0], 0, {}, {})

    def give_up_decoding(self, number: int) -> None:
        source = number % len(self.lengths)
        index = self.next_clip[source]
        if not self.ended[source] and index < self.lengths[source]:
            self.ledger.undecodable(self.info(source, index), "decode: killed")
            self.undecodable.add((source, index))
            self.next_clip[source] += 1

    def end_source(self, number: int) -> None:
        source = number % len(self.lengths)
        if not self.ended[source] and (number % 5 == 0 or self.next_clip[source] == self.lengths[source]):
            self.ended[source] = True
            if number % 3 == 0:
                self.failed_sources.add(source)
            self.ledger.ended(source, "cannot be read" if number % 3 == 0 else None)

    def lease(self, number: int) -> None:
        group = number % len(self.groups)
        mates = [worker for worker in self.workers if worker.group == group]
        if len(mates) < 1 + number % 3:
            mates.append(Worker(self.next_worker, group))
            self.workers.append(mates[-1])
            self.next_worker += 1
        worker = mates[number % len(mates)]
        entries = self.ledger.lease(group, worker.id, 1 + number % 4)
        for entry in entries:
            assert not entry.outcome
            assert entry not in worker.held
            source = entry.info.source_index
            if "frames" in self.groups[group].needs:
                assert self.granted[entry.slot] == entry.key, "a clip was leased without its slot"
                worker.slots[entry.key] = entry.slot
            if self.groups[group].ordered and not any(held.info.source_index == source for held in worker.held):
                worker.local[source] = self.ledger.state_for(entry, group)
            worker.held.append(entry)
        suspects = [entry for entry in worker.held if group in entry.suspect_in]
        assert not suspects or len(worker.held) == 1, "a suspect is leased alone"

    def finish(self, number: int, lose: bool = True) -> None:
        busy = [worker for worker in self.workers if worker.held]
        if not busy:
            return
        worker = busy[number % len(busy)]
        entry = worker.held.pop(0)
        source, group = entry.info.source_index, self.groups[worker.group]
        state = None
        if group.ordered:
            worker.local[source] += f"{entry.info.index},".encode()
            state = worker.local[source]
        labels, failed = {}, {}
        if "labels" in group.gives:
            if lose and number % 7 == 6:
                failed = {"stage": f"clip {entry.info.index} failed"}
                self.lost_labels.add(entry.key)
            else:
                labels = {"labels": b"x"}
        worker.slots.pop(entry.key, None)
        self.answers += 1
        done = DoneClip(*entry.key, {}, labels, {}, failed, state)
        assert self.ledger.done(worker.id, worker.group, done)
        assert not self.ledger.done(worker.id, worker.group, done), "a second answer does not count"

    def die(self, number: int) -> None:
        if not self.workers:
            return
        worker = self.workers.pop(number % len(self.workers))
        tries = {entry.key: entry.tries for entry in worker.held}
        lone = len(worker.held) == 1 and not worker.held[0].outcome
        if lone:
            key = worker.held[0].key
            self.lone_deaths[key] = self.lone_deaths.get(key, 0) + 1
        given_up = self.ledger.died(worker.id, "killed by SIGKILL")
        self.dead.append(worker)
        for entry in worker.held:
            if lone:
                assert entry.tries == tries[entry.key] + 1 or entry in given_up
            else:
                assert entry.tries == tries[entry.key]
                assert entry not in given_up

    def answer_late(self, number: int) -> None:
        held = [(worker, entry) for worker in self.dead for entry in worker.held]
        if held:
            worker, entry = held[number % len(held)]
            late = DoneClip(*entry.key, {}, {"labels": b"late"}, {}, {}, b"late")
            assert not self.ledger.done(worker.id, worker.group, late)

    def emit(self, number: int) -> None:
        self.out += self.ledger.emit()

    ACTIONS = (
        decode, decode, decode, lease, lease, lease, finish, finish, finish, die, die, emit,
        end_source, decode_again, give_up_decoding, answer_late,
    )  # fmt: skip

    def act(self, number: int) -> None:
        self.ACTIONS[number % len(self.ACTIONS)](self, number // len(self.ACTIONS))
        self.check()

    # -- what must hold -------------------------------------------------------------------------------------------

    def check(self) -> None:
        counts = self.ledger.counts
        undecided = [
            entry for source in self.ledger.sources.values() for entry in source.entries.values() if not entry.outcome
        ]
        assert counts.in_flight == len(undecided)
        assert counts.clips_in == counts.results + counts.errors + counts.drops + counts.in_flight
        assert counts.clips_in == sum(self.next_clip)
        assert len(self.free) + len(self.granted) == len(set(self.free) | set(self.granted))

    def work_on(self) -> None:
        """From now on every worker works and every source is read to its end."""
        for _ in range(10_000):
            before = (self.answers, self.ledger.counts.clips_in, len(self.out))
            for source in range(len(self.lengths)):
                self.decode(source)
                if not self.ended[source] and self.next_clip[source] == self.lengths[source]:
                    self.ended[source] = True
                    self.ledger.ended(source)
            for group in range(len(self.groups)):
                self.lease(group)
            for number in range(len(self.workers)):
                self.finish(number, lose=False)
            self.emit(0)
            self.check()
            if before == (self.answers, self.ledger.counts.clips_in, len(self.out)):
                return
        raise AssertionError("the work never ends")

    def check_end(self) -> None:
        assert all(self.ended)
        assert self.ledger.counts.in_flight == 0
        assert self.ledger.waiting() == 0
        assert not self.granted, "every slot is free again"
        assert self.given_out() == self.expected()
        outcomes = [item for item in self.out if isinstance(item, Finished) and item.info.index >= 0]
        errors = [item for item in outcomes if item.error is not None]
        assert (len(outcomes) - len(errors), len(errors)) == (self.ledger.counts.results, self.ledger.counts.errors)
        for item in outcomes:
            self.check_outcome(item)
        for source in self.ledger.sources.values():
            for group, state in source.state.items():
                self.check_state(source.index, group, state)

    def check_outcome(self, item: Finished) -> None:
        key = (item.info.source_index, item.info.index)
        lone = self.lone_deaths.get(key, 0)
        assert item.tries == min(1 + lone, TRIES)
        assert (item.error is not None) == (key in self.undecodable or lone >= TRIES or key in self.lost_labels)
        assert item.parts.get("labels") != b"late"

    def check_state(self, source: int, group: int, state: bytes) -> None:
        seen = [int(index) for index in state.decode().split(",")[:-1]]
        assert seen == sorted(set(seen)), "a fold sees the clips of a source once each, in order"
        fine = {
            item.info.index
            for item in self.out
            if isinstance(item, Finished) and item.info.source_index == source and not item.error and not item.gap
        }
        assert fine <= set(seen) | {-1}
        assert {index for source_index, index in self.undecodable if source_index == source}.isdisjoint(seen)

    def given_out(self) -> list[tuple[str, int, int]]:
        found = []
        for item in self.out:
            if isinstance(item, SourceStarted):
                found.append(("start", item.info.source_index, 0))
            elif isinstance(item, SourceDone):
                found.append(("end", item.source_index, item.clips))
            elif item.gap:
                found.append(("gap", item.info.source_index, item.info.epoch - 1))
            else:
                found.append(("clip", item.info.source_index, item.info.index))
        return found

    def expected(self) -> list[tuple[str, int, int]]:
        found: list[tuple[str, int, int]] = []
        for source, count in enumerate(self.next_clip):
            found.append(("start", source, 0))
            for index in range(count):
                if (source, index) in self.gap_places and (source, index) not in self.undecodable:
                    found.append(("gap", source, index))
                found.append(("clip", source, index))
            if source in self.failed_sources:
                found.append(("clip", source, -1))
            found.append(("end", source, count))
        return found


@given(
    groups=plans(),
    lengths=st.lists(st.integers(0, 8), min_size=1, max_size=3),
    gaps=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 7)), max_size=4),
    slots=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    steps=st.integers(0, 300),
)
@settings(max_examples=500, deadline=None)
def test_every_clip_has_one_outcome_in_its_place_whatever_happens(
    groups: tuple[GroupPlan, ...], lengths: list[int], gaps: set[tuple[int, int]], slots: int, seed: int, steps: int
) -> None:
    world = World(groups, lengths, gaps, slots)
    chance = random.Random(seed)
    for _ in range(steps):
        world.act(chance.randrange(1_000_000))
    world.work_on()
    world.check_end()


def simple(ordered: bool = False, groups: int = 1) -> World:
    plan = [group_plan(0, (), ordered, uses_slot=True, labels=True)]
    plan += [group_plan(index, (), ordered=False, uses_slot=True, labels=False) for index in range(1, groups)]
    return World(tuple(plan), [8], set(), 8)


def test_a_slot_is_kept_while_another_group_still_reads_a_clip_that_was_given_up() -> None:
    world = simple(groups=2)
    world.decode(0)
    reader = world.ledger.lease(1, 99, 1)[0]
    for worker in range(TRIES):
        world.ledger.lease(0, worker, 1)
        world.ledger.died(worker, "killed by SIGKILL")
    assert world.ledger.counts.errors == 1
    assert world.granted, "the other group still reads it"
    assert world.ledger.done(99, 1, DoneClip(*reader.key, {}, {}, {}))
    assert not world.granted


def test_a_clip_that_was_given_up_in_one_group_is_not_leased_in_another() -> None:
    world = simple(groups=2)
    world.decode(0)
    for worker in range(TRIES):
        world.ledger.lease(0, worker, 1)
        world.ledger.died(worker, "killed by SIGKILL")
    assert world.ledger.lease(1, 99, 1) == []


def test_a_death_with_several_clips_is_no_try_and_the_next_lease_is_of_one_clip() -> None:
    world = simple()
    for _ in range(3):
        world.decode(0)
    together = world.ledger.lease(0, 1, 3)
    world.ledger.died(1, "killed by SIGKILL")
    assert [entry.tries for entry in together] == [1, 1, 1]
    assert [entry.info.index for entry in world.ledger.lease(0, 2, 3)] == [0]
    assert world.ledger.lease(0, 2, 3) == [], "nothing is leased together with a suspect"
    world.ledger.died(2, "killed by SIGKILL")
    assert together[0].tries == 2


@pytest.mark.parametrize("cause", ["killed by SIGKILL", "hung: working clip {} of source 0 for 7 s"])
def test_the_model_is_at_fault_if_the_first_clips_all_die_of_one_cause(cause: str) -> None:
    world = simple()
    for index in range(SAME_FAULT_LIMIT):
        assert world.ledger.fault is None
        world.decode(0)
        for worker in range(TRIES):
            world.ledger.lease(0, worker, 1)
            world.ledger.died(worker, cause.format(index))
    assert world.ledger.fault == cause.format(SAME_FAULT_LIMIT - 1)


def test_after_one_good_clip_the_model_is_never_at_fault() -> None:
    world = simple()
    world.decode(0)
    entry = world.ledger.lease(0, 1, 1)[0]
    world.ledger.done(1, 0, DoneClip(*entry.key, {}, {"labels": b"x"}, {}))
    for _ in range(SAME_FAULT_LIMIT + 1):
        world.decode(0)
        for worker in range(2, 2 + TRIES):
            world.ledger.lease(0, worker, 1)
            world.ledger.died(worker, "killed by SIGKILL")
    assert world.ledger.counts.errors == SAME_FAULT_LIMIT + 1
    assert world.ledger.fault is None


@pytest.mark.parametrize(("failed", "at_fault"), [({}, False), ({"stage0": "broken"}, True)])
def test_a_group_that_has_settled_a_clip_is_not_at_fault_before_there_is_a_result(
    failed: dict[str, str], at_fault: bool
) -> None:
    world = simple(groups=2)
    world.decode(0)
    entry = world.ledger.lease(0, 1, 1)[0]
    world.ledger.done(1, 0, DoneClip(*entry.key, {}, {}, {}, failed))
    assert world.ledger.counts.results == 0, "the other group still has it"
    for _ in range(SAME_FAULT_LIMIT):
        world.decode(0)
        for worker in range(2, 2 + TRIES):
            world.ledger.lease(0, worker, 1)
            world.ledger.died(worker, "killed by SIGKILL")
    assert world.ledger.counts.errors == SAME_FAULT_LIMIT
    assert (world.ledger.fault is not None) == at_fault


def test_a_resumed_source_begins_after_its_last_clip() -> None:
    released: list[int] = []
    ledger = Ledger((group_plan(0, (), True, True, True),), frozenset({"frames"}), released.append)
    ledger.add_source(0, "s0", first_index=5)
    ledger.opened(SourceInfo("s0", 0))
    info = ClipInfo("s0", 0, 4, 0, 1)
    assert not ledger.decoded(info, 0, 0, {}, {})
    assert ledger.decoded(ClipInfo("s0", 0, 5, 0, 1), 1, 0, {}, {})
    entry = ledger.lease(0, 1, 1)[0]
    ledger.done(1, 0, DoneClip(*entry.key, {}, {"labels": b"x"}, {}, {}, b"state"))
    ledger.ended(0)
    assert [item.clips for item in ledger.emit() if isinstance(item, SourceDone)] == [1]
    assert released == [1]


def given_up_during_a_fold() -> tuple[World, Entry]:
    """Clip 0 is with worker 99 of an ordered group while another group gives it up; clip 1 waits."""
    groups = (
        group_plan(0, (), ordered=True, uses_slot=True, labels=False),
        group_plan(1, (), ordered=False, uses_slot=True, labels=True),
    )
    world = World(groups, [8], set(), 8)
    world.decode(0)
    entry = world.ledger.lease(0, 99, 1)[0]
    world.decode(0)
    for worker in range(TRIES):
        world.ledger.lease(1, worker, 1)
        world.ledger.died(worker, "killed by SIGKILL")
    assert entry.outcome == "error"
    return world, entry


def test_a_fold_commits_a_clip_given_up_elsewhere_before_the_next_clip() -> None:
    world, entry = given_up_during_a_fold()
    assert world.ledger.lease(0, 98, 2) == []
    world.ledger.done(99, 0, DoneClip(*entry.key, {}, {}, {}, {}, b"0,"))
    (after,) = world.ledger.lease(0, 98, 2)
    assert (after.info.index, world.ledger.state_for(after, 0)) == (1, b"0,")


def test_a_fold_that_dies_at_a_clip_given_up_elsewhere_continues_after_it() -> None:
    world, _ = given_up_during_a_fold()
    list(world.ledger.emit())
    world.ledger.died(99, "killed by SIGKILL")
    (after,) = world.ledger.lease(0, 98, 2)
    assert (after.info.index, world.ledger.state_for(after, 0)) == (1, b"")


def lone(ordered: bool) -> Ledger:
    """One source, and one group that gives labels; with another, that is ordered, after it."""
    groups = [group_plan(0, (), ordered=False, uses_slot=True, labels=True)]
    groups += [group_plan(1, (0,), ordered=True, uses_slot=False, labels=False)] if ordered else []
    ledger = Ledger(tuple(groups), frozenset({"frames"}), lambda slot: None, TRIES)
    ledger.add_source(0, "a")
    ledger.opened(SourceInfo("a", 0))
    for group in groups:
        ledger.introduce(group.index + 1, group.index, {})
    return ledger


def clip(index: int, kept_in: int = -1, place: int = -1) -> ClipInfo:
    reuse = Reuse(place, 0) if place >= 0 else None
    return ClipInfo("a", 0, index, index * SECOND_NS, (index + 1) * SECOND_NS, kept_in=kept_in, reuse=reuse)


def settle(ledger: Ledger, group: int, **values: bytes) -> list[int]:
    """Let a group settle what is ready for it. Returns the clips."""
    leased = ledger.lease(group, group + 1, 9)
    for entry in leased:
        ledger.done(group + 1, group, DoneClip(0, entry.info.index, {}, dict(values), {}, {}, None))
    return [entry.info.index for entry in leased]


@pytest.mark.parametrize("ordered", [False, True])
def test_clips_that_show_the_same_wait_for_its_answers_and_only_ordered_groups_see_them(ordered: bool) -> None:
    ledger = lone(ordered)
    ledger.decoded(clip(0, kept_in=2), 0, 1, {}, {"audio": "no_stream"})
    ledger.reused(clip(1, place=2))
    assert [entry.info.index for entry in ledger.ready[0]] == [0]
    assert settle(ledger, 0, labels=b"labels", array=b"more") == [0]
    ledger.reused(clip(2, place=2))
    if ordered:
        assert settle(ledger, 1, array1=b"one") == [0]
        assert settle(ledger, 1, array1=b"two") == [1, 2]
    out = [each for each in ledger.emit() if isinstance(each, Finished)]
    assert [each.info.index for each in out] == [0, 1, 2]
    assert all(each.parts["labels"] == b"labels" and each.absent == {"audio": "no_stream"} for each in out)
    assert (ledger.counts.results, ledger.counts.reused, ledger.counts.in_flight) == (3, 2, 0)


def test_what_shows_the_same_as_a_clip_that_failed_fails_as_well() -> None:
    ledger = lone(ordered=True)
    ledger.decoded(clip(0, kept_in=0), 0, 1, {}, {})
    ledger.reused(clip(1, place=0))
    for _ in range(TRIES + 1):
        ledger.introduce(1, 0, {})
        ledger.lease(0, 1, 1)
        ledger.died(1, "died")
    ledger.reused(clip(2, place=0))
    assert [each.error is not None for each in ledger.emit() if isinstance(each, Finished)] == [True] * 3
    assert (ledger.counts.errors, ledger.counts.in_flight) == (3, 0)
