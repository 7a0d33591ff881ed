"""The supply side: who decodes which source, the slots they hold, and the cost of a decoder's death."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from pipeline.clip import Gap, SourceInfo
from pipeline.feed import GRANTS_AHEAD, LOST_CLIPS_LIMIT, Feed
from pipeline.ledger import Entry, Ledger
from pipeline.messages import CloseSource, Decoded, DoneClip, Ended, GapFound, Grants, Open, Opened, SourceFailed
from pipeline.processes import Worker
from pipeline.slots import Phase, Slots
from tests.pipeline.crew import Crew, Post, clip_info, fake_plan
from tests.pipeline.fakes import fake_config

STAGES = {"groups": fake_config()["groups"][:1], "stages": {"fake_model": fake_config()["stages"]["fake_model"]}}
"""One group: a slot is free once it has answered."""
TRIES = 3


class Supply:
    """A feed with real slots and a real ledger; the decoders are on paper."""

    def __init__(self, *lengths: int, slots: int, workers: int, **more: Any) -> None:
        decode = fake_config()["decode"] | {"workers": workers}
        queue = {"slots": slots, "results_waiting": 2, "tries": TRIES}
        self.plan = fake_plan(decode=decode, queue=queue, **STAGES)
        self.lengths = lengths
        self.crew, self.post, self.numbers = Crew(), Post(), count(1)
        self.slots = Slots.create(self.plan.layout, slots)
        self.ledger = Ledger(self.plan.groups, self.plan.slot_arrays, lambda slot: self.feed.release(slot), TRIES)
        names = [f"s{source}" for source in range(len(lengths))]
        starts, complete = more.get("starts", {}), more.get("complete", ())
        self.feed = Feed(names, starts, complete, self.plan, self.ledger, self.slots, self.crew.processes, self.post)
        self.held: dict[int, dict[int, int]] = {}
        """By decoder: the slots that it was granted, with their generations."""
        self.at: dict[int, tuple[int, int]] = {}
        """By decoder: its source, and the next clip."""

    def hire(self) -> Worker:
        """A decoder that is ready."""
        worker = self.crew.spawn("decode", f"decode-{next(self.numbers)}")
        self.feed.introduce(worker)
        return worker

    def dispatch(self, hold_back: bool = False) -> dict[str, list[Any]]:
        """What every decoder receives now: sources as (source, first clip), slots as a number."""
        self.feed.dispatch(hold_back)
        received: dict[str, list[Any]] = {}
        for name, message in self.post.take():
            worker = next(each for each in self.crew.workers.values() if each.name == name)
            match message:
                case Open(_, source, start):
                    self.at[worker.id] = source, start
                    received.setdefault(name, []).append((source, start))
                case Grants(slots):
                    self.held.setdefault(worker.id, {}).update(slots)
                    received.setdefault(name, []).append(len(slots))
                case CloseSource():
                    received.setdefault(name, []).append("close")
        return received

    def open(self, worker: Worker, *notes: str) -> str | None:
        source, _ = self.at[worker.id]
        return self.feed.handle(worker, Opened(SourceInfo(f"s{source}", source, notes=notes)))

    def decode(self, worker: Worker, clips: int = 1) -> None:
        """The decoder sends its next clips."""
        for _ in range(clips):
            (source, index), held = self.at[worker.id], self.held[worker.id]
            slot = next(iter(held))
            generation = held.pop(slot)
            self.slots.check(slot, generation)
            self.at[worker.id] = source, index + 1
            self.feed.handle(worker, Decoded(clip_info(source, index), slot, generation, {"frames": (1, 8, 8, 3)}, {}))

    def end(self, worker: Worker) -> str | None:
        (source, index), _ = self.at.pop(worker.id), self.held.pop(worker.id, None)
        return self.feed.handle(worker, Ended(source, index))

    def kill(self, worker: Worker, phase: Phase = Phase.DECODING, index: int | None = None) -> str | None:
        source, next_index = self.at.pop(worker.id, (-1, -1))
        self.held.pop(worker.id, None)
        self.slots.watch(worker.seat, phase, source, next_index if index is None else index)
        del self.crew.workers[worker.id]
        return self.feed.died(worker, "killed by SIGKILL")

    def entries(self) -> list[Entry]:
        return [entry for source in self.ledger.sources.values() for entry in source.entries.values()]

    def finish(self, source: int, index: int) -> None:
        """The one group answers for a clip, so that its slot is free."""
        self.ledger.lease(0, 99, 1000)
        self.ledger.done(99, 0, DoneClip(source, index, {}, {"labels": b"x"}, {}))


@contextmanager
def supply(*lengths: int, slots: int = 8, workers: int = 2, **more: Any) -> Iterator[Supply]:
    made = Supply(*lengths, slots=slots, workers=workers, **more)
    try:
        yield made
    finally:
        os.close(made.slots.fd)


# -- sources ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sources", "workers", "decoders"), [(1, 3, 1), (5, 3, 3)])
def test_there_are_no_more_decoders_than_sources(sources: int, workers: int, decoders: int) -> None:
    with supply(*[1] * sources, workers=workers) as desk:
        desk.feed.start()
        names = [worker.name for worker in desk.crew.workers.values()]
        assert names == [f"decode-{number + 1}" for number in range(decoders)]


def test_sources_are_opened_in_order_by_the_decoders_that_have_none() -> None:
    with supply(2, 2, 2) as desk:
        one, _ = desk.hire(), desk.hire()
        assert desk.dispatch() == {"decode-1": [(0, 0), 2], "decode-2": [(1, 0), 2]}
        desk.open(one)
        desk.decode(one, 2)
        assert desk.end(one) is None
        assert desk.dispatch()["decode-1"][0] == (2, 0)


def test_a_resumed_source_begins_after_its_last_clip_and_a_complete_one_is_not_opened() -> None:
    with supply(9, 9, 9, starts={1: 4}, complete={0}) as desk:
        for _ in range(2):
            desk.hire()
        assert desk.dispatch() == {"decode-1": [(1, 4), 2], "decode-2": [(2, 0), 2]}
        assert desk.ledger.open_sources == 2


def test_notes_about_a_source_are_reported_once() -> None:
    with supply(5) as desk:
        one, two = desk.hire(), desk.hire()
        desk.dispatch()
        notes = ("cover picture skipped", "times estimated")
        assert desk.open(one, *notes) == "s0: cover picture skipped; times estimated"
        desk.kill(one)
        desk.dispatch()
        assert desk.open(two, *notes) is None


@pytest.mark.parametrize(
    ("until_ns", "notice"),
    [(30_500_000_000, "no media from 12.0 to 30.5 s")],
)
def test_a_gap_is_reported_once(until_ns: int, notice: str) -> None:
    with supply(5) as desk:
        one = desk.hire()
        desk.dispatch()
        desk.open(one)
        message = GapFound(Gap("s0", 0, 1, 12_000_000_000, until_ns, 0))
        assert desk.feed.handle(one, message) == f"s0: {notice}"
        assert desk.feed.handle(one, message) is None


def test_a_source_that_fails_frees_its_decoder_and_its_slots() -> None:
    with supply(5, 5, slots=2, workers=1) as desk:
        one = desk.hire()
        assert desk.dispatch() == {"decode-1": [(0, 0), 2]}
        assert desk.feed.handle(one, SourceFailed(0, "s0: cannot be opened")) == "s0: cannot be opened"
        assert desk.ledger.sources[0].failure == "s0: cannot be opened"
        assert desk.dispatch() == {"decode-1": [(1, 0), 2]}


def test_an_empty_source_is_an_error() -> None:
    with supply(0) as desk:
        one = desk.hire()
        desk.dispatch()
        assert desk.end(one) == "s0: it has nothing to label; expected at least one picture or sound"
        assert desk.ledger.sources[0].failure


def test_a_source_of_which_clips_are_missing_is_an_error() -> None:
    with supply(5) as desk:
        one = desk.hire()
        desk.dispatch()
        desk.decode(one)
        desk.at[one.id] = 0, 3
        assert desk.end(one) == "s0: decode sent 3 clips; expected them in order, got 1"


# -- slots ------------------------------------------------------------------------------------------------------------


def test_a_decoder_gets_more_slots_as_it_uses_them() -> None:
    with supply(99, slots=5, workers=1) as desk:
        one = desk.hire()
        assert not desk.feed.has_work(one)
        assert desk.dispatch() == {"decode-1": [(0, 0), GRANTS_AHEAD]}
        assert desk.feed.has_work(one)
        assert desk.dispatch() == {}
        desk.decode(one, 2)
        assert not desk.feed.has_work(one), "without a slot it has to wait"
        assert desk.dispatch() == {"decode-1": [2]}
        desk.decode(one, 2)
        assert desk.dispatch() == {"decode-1": [1]}, "there are no more"
        desk.decode(one, 1)
        desk.finish(0, 0)
        assert desk.dispatch() == {"decode-1": [1]}


def test_no_slot_is_granted_while_results_cannot_leave() -> None:
    with supply(9) as desk:
        desk.hire()
        assert desk.dispatch(hold_back=True) == {"decode-1": [(0, 0)]}
        assert desk.dispatch() == {"decode-1": [2]}


def test_while_many_results_wait_only_the_first_source_gets_slots() -> None:
    with supply(9, 9, slots=20) as desk:
        one, two = desk.hire(), desk.hire()
        desk.dispatch()
        desk.open(one)
        desk.open(two)
        desk.decode(two, 2)
        desk.dispatch()
        desk.decode(two, 2)
        for index in range(4):
            desk.finish(1, index)
        assert desk.ledger.waiting() == 4
        desk.decode(one, 2)
        assert desk.dispatch() == {"decode-1": [2]}


def test_a_slot_has_a_new_generation_each_time_it_is_granted() -> None:
    with supply(9, slots=1, workers=1) as desk:
        one = desk.hire()
        generations = []
        for index in range(3):
            desk.dispatch()
            generations.append(desk.held[one.id][0])
            desk.decode(one)
            desk.finish(0, index)
        assert len(set(generations)) == 3


def test_a_clip_that_is_sent_again_gives_its_slot_back() -> None:
    with supply(9, slots=2, workers=1) as desk:
        one = desk.hire()
        desk.dispatch()
        desk.decode(one)
        desk.at[one.id] = 0, 0
        desk.decode(one)
        assert desk.ledger.counts.clips_in == 1
        assert desk.dispatch() == {"decode-1": [1]}


@pytest.mark.parametrize("seed", range(20))
def test_no_slot_is_lost_whatever_happens(seed: int) -> None:
    """Every slot is free, held by one decoder, or in the ledger."""
    chance = random.Random(seed)
    with supply(*[chance.randint(1, 9) for _ in range(4)], slots=chance.randint(1, 6)) as desk:
        for _ in range(300):
            living = list(desk.crew.workers.values())
            busy = [worker for worker in living if worker.id in desk.at]
            match chance.randrange(6):
                case 0 if len(living) < 2:
                    desk.hire()
                case 1 if busy:
                    desk.kill(chance.choice(busy), chance.choice([Phase.DECODING, Phase.OPENING, Phase.IDLE]))
                case 2 | 3 if able := [worker for worker in busy if desk.held.get(worker.id)]:
                    worker = chance.choice(able)
                    source, index = desk.at[worker.id]
                    if index < desk.lengths[source]:
                        desk.open(worker)
                        desk.decode(worker)
                    else:
                        desk.end(worker)
                case 4 if desk.entries():
                    desk.finish(*chance.choice(desk.entries()).key)
                case _:
                    desk.dispatch(hold_back=chance.random() < 0.2)
                    list(desk.ledger.emit())
            held = [slot for slots in desk.held.values() for slot in slots]
            used = held + [entry.slot for entry in desk.entries() if entry.slot >= 0]
            assert sorted([*used, *desk.feed._free]) == list(range(desk.slots.count))


# -- deaths -----------------------------------------------------------------------------------------------------------


def test_after_a_death_another_decoder_continues_after_the_last_clip_that_arrived() -> None:
    with supply(9, slots=4, workers=1) as desk:
        one = desk.hire()
        desk.dispatch()
        desk.open(one)
        desk.decode(one, 2)
        stale = dict(desk.held[one.id])
        assert desk.kill(one) is None
        desk.hire()
        assert desk.dispatch() == {"decode-2": [(0, 2), 2]}
        assert all(desk.slots.generation(slot) > generation for slot, generation in stale.items())


def test_a_clip_that_kills_three_decoders_is_given_up_and_the_source_continues() -> None:
    with supply(9) as desk:
        for death in range(TRIES):
            worker = desk.hire()
            desk.dispatch()
            desk.open(worker)
            if not death:
                desk.decode(worker)
            notice = desk.kill(worker)
            assert notice == ("s0: clip 1: decode: killed by SIGKILL; given up after 3 tries" if death == 2 else None)
        entry = desk.ledger.sources[0].entries[1]
        assert entry.error == "decode: killed by SIGKILL; given up after 3 tries"
        assert (entry.info.start_ns, entry.info.end_ns) == (2_000_000_000, 4_000_000_000)
        desk.hire()
        assert desk.dispatch()["decode-4"][0] == (0, 2)


def test_deaths_at_different_clips_and_between_clips_cost_nothing() -> None:
    with supply(99) as desk:
        for death in range(3 * TRIES):
            worker = desk.hire()
            desk.dispatch()
            desk.open(worker)
            desk.decode(worker)
            desk.finish(0, death)
            assert desk.kill(worker, Phase.DECODING if death % 2 else Phase.IDLE) is None
        assert desk.ledger.counts.errors == 0


def test_a_source_that_kills_three_decoders_while_it_opens_is_given_up() -> None:
    with supply(9, 9) as desk:
        for _ in range(TRIES):
            notice = desk.kill(opening(desk), Phase.OPENING)
        assert notice == "s0: clip 0: decode: killed by SIGKILL; given up after 3 tries"
        assert desk.ledger.sources[0].failure == "s0: decode: killed by SIGKILL; given up after 3 tries"
        assert desk.dispatch() == {}
        desk.hire()
        assert desk.dispatch()["decode-4"][0] == (1, 0)


def opening(desk: Supply) -> Worker:
    worker = desk.hire()
    desk.dispatch()
    return worker


def test_a_source_is_given_up_after_several_lost_clips_in_a_row() -> None:
    with supply(99) as desk:
        for _ in range((LOST_CLIPS_LIMIT + 1) * TRIES):
            worker = opening(desk)
            desk.open(worker)
            desk.kill(worker)
        assert desk.ledger.counts.errors == LOST_CLIPS_LIMIT
        assert desk.ledger.sources[0].failure
        assert desk.feed.finished


def test_a_clip_between_them_makes_lost_clips_count_again() -> None:
    with supply(99) as desk:
        for _ in range(2 * LOST_CLIPS_LIMIT):
            for _ in range(TRIES):
                worker = opening(desk)
                desk.open(worker)
                desk.kill(worker)
            worker = opening(desk)
            desk.decode(worker)
            desk.kill(worker, Phase.IDLE)
            desk.finish(*desk.entries()[-1].key)
        assert desk.ledger.sources[0].failure is None
        assert desk.ledger.counts.errors == 2 * LOST_CLIPS_LIMIT


# -- stopping ---------------------------------------------------------------------------------------------------------


def test_closing_ends_open_sources_where_they_are_and_opens_no_other() -> None:
    with supply(9, 9, 9) as desk:
        one, two = desk.hire(), desk.hire()
        desk.dispatch()
        desk.open(one)
        desk.open(two)
        desk.decode(one, 2)
        desk.feed.close()
        assert [(name, type(message)) for name, message in desk.post.take()] == [
            ("decode-1", CloseSource),
            ("decode-2", CloseSource),
        ]
        assert not desk.feed.finished
        assert desk.end(one) is None
        assert desk.kill(two) is None, "nobody opens it again"
        assert desk.feed.finished
        assert all(source.cut and not source.failure for source in desk.ledger.sources.values())
        assert desk.dispatch() == {}


def test_an_empty_source_that_was_closed_is_no_error() -> None:
    with supply(9) as desk:
        one = desk.hire()
        desk.dispatch()
        desk.feed.close()
        assert desk.end(one) is None
        assert desk.ledger.sources[0].failure is None
