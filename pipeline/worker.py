"""A worker: runs the stages of a group on leased clips and answers with what they settled."""

import os
import time
import traceback
from collections.abc import Callable
from typing import Any

from pipeline.build import make_stages
from pipeline.bus import Bus
from pipeline.clip import MODALITIES, Clip, moved
from pipeline.errors import PerceptError
from pipeline.group import Settled, StageGroup
from pipeline.inbox import Inbox
from pipeline.messages import (
    PROTOCOL_VERSION,
    Begin,
    Broken,
    Done,
    DoneClip,
    HalfOpen,
    Hello,
    Note,
    Prepared,
    Probed,
    Warned,
    WorkClip,
    pack,
    unpack,
)
from pipeline.plan import GroupPlan, Plan
from pipeline.relay import relay_warnings
from pipeline.slots import Phase, SlotError, Slots
from pipeline.stage import Stage
from pipeline.threads import limit_threads

BEGINNING = "faster engines are being built, once per model and machine; until then PyTorch runs the networks"
IMPROVING_NICE = 5
"""Improvements are built at a lower priority than clips are processed."""
FLUSH_NS = 5_000_000
"""Answers for quick clips are sent together. None waits longer than this."""


def run_group(worker: int, seat: int, group: GroupPlan, plan: Plan, slots: Slots) -> None:
    """The life of a worker: load, say hello, then process batches until asked to stop.

    Stages that need nothing prepared are opened while the others wait for that.
    """
    bus = Bus(plan.settings.directory, worker)
    relay_warnings(bus)
    os.nice(group.nice)
    slots.watch(seat, Phase.LOADING)
    limit_threads(group.threads)
    members = StageGroup(plan, group, lambda text: bus.send(Note(text)), slots.memory)
    try:
        if group.opens_early:
            members.open_early()
            bus.send(HalfOpen())
            slots.watch(seat, Phase.IDLE)
            if not isinstance(bus.receive(), Begin):
                return
            slots.watch(seat, Phase.LOADING)
        facts = members.open()
    except Exception as error:
        kind = type(error).__name__ if isinstance(error, PerceptError) else "ModelError"
        traceback.print_exc()
        bus.send(Broken(kind, f"{group.name}: {_text(error)}"))
        bus.close()
        return
    batches = 1 if group.latest else 2  # one is processed while the next gathers, unless a newer clip may come
    credit = max(plan.config.queue.credit, batches * group.batch)
    bus.send(Hello(worker, PROTOCOL_VERSION, credit, facts))
    answers = Answers(bus, group.batch, members.took_ns, members.most_bytes)
    _serve(Inbox(bus, group.batch), answers, ClipRunner(members, plan, slots, seat))
    members.close()
    bus.close()


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, PerceptError) else f"{type(error).__name__}: {error}"


class Answers:
    """Answers that are not sent yet. Those for quick clips are sent together.

    took_ns: how long each stage has worked; emptied whenever it is sent. most_bytes: see `StageGroup`.
    """

    def __init__(self, bus: Bus, batch: int, took_ns: dict[str, int], most_bytes: dict[str, int]) -> None:
        self._bus = bus
        self._took_ns, self._most_bytes = took_ns, most_bytes
        self._counts = batch > 1
        self._clips: list[DoneClip] = []
        self._batches = 0
        self._since = time.monotonic_ns()

    def add(self, clips: list[DoneClip]) -> None:
        self._clips += clips
        self._batches += self._counts
        if time.monotonic_ns() - self._since > FLUSH_NS:
            self.flush()
            self.restart()

    def flush(self) -> None:
        if self._clips:
            self._bus.send(Done(self._clips, self._batches, self._took_ns, self._most_bytes))
            self._clips, self._batches = [], 0
            self._took_ns.clear()

    def probed(self, problem: str) -> None:
        self._bus.send(Probed(problem))

    def restart(self) -> None:
        self._since = time.monotonic_ns()


class ClipRunner:
    """Runs the stages of a group on leased clips, which it reads from their slots."""

    def __init__(self, members: StageGroup, plan: Plan, slots: Slots, seat: int) -> None:
        self._members = members
        self._slots = slots
        self._seat = seat
        self._specs = plan.specs
        self._passed_on = [(name, plan.specs[name]) for name in members.owner if name in plan.shared]
        self._reported = plan.shared | _REPORTED

    def idle(self) -> None:
        self._slots.watch(self._seat, Phase.IDLE)

    def probe(self) -> str:
        """What is wrong with the stages, by inputs whose answers are known; "" if nothing is."""
        self._slots.watch(self._seat, Phase.WORKING)
        problems = []
        for name, stage in self._members.stages.items():
            try:
                problem = stage.probe()
            except Exception as error:
                traceback.print_exc()
                problem = f"{type(error).__name__}: {error}"
            problems += [f"{name}: {problem}"] if problem else []
        return "; ".join(problems)

    def settle(self, items: list[WorkClip], states: list[bytes]) -> list[DoneClip]:
        """Read the slots of leased clips, run the group, and write what other groups need.

        Generations are checked before and after. The watch record names the first clip, and the deadline for a clip
        applies to the whole batch.
        """
        first = items[0].info
        self._slots.watch(self._seat, Phase.WORKING, first.source_index, first.index)
        settled = self._members.run_many(map(self._clip, items), states)
        return list(map(self._answer, items, settled))

    def _clip(self, item: WorkClip) -> Clip:
        if item.shapes:
            self._slots.check(item.slot, item.generation)
        arrays: dict[str, Any] = {name: self._slots.read(item.slot, name, shape) for name, shape in item.shapes.items()}
        for name, data in item.values.items():
            arrays[name] = unpack(self._specs[name], data)
        if (reuse := item.info.reuse) is not None:
            arrays = moved(arrays, item.info.start_ns - reuse.start_ns)
        return Clip(item.info, arrays, item.absent)

    def _answer(self, item: WorkClip, settled: Settled) -> DoneClip:
        values, absent, failed, state = settled
        shapes, packed = {}, {}
        for name, spec in self._passed_on:
            if name not in values:
                continue
            try:
                if spec.in_message:
                    packed[name] = pack(spec, values[name])
                else:
                    shapes[name] = self._slots.write(item.slot, name, values[name])
            except (SlotError, TypeError, ValueError, OverflowError) as error:  # msgpack or the slot refuses the value
                absent[name] = "failed"
                failed[self._members.owner[name]] = f"{type(error).__name__}: {error}"
        if item.shapes:
            self._slots.check(item.slot, item.generation)
        absent = {name: reason for name, reason in absent.items() if name in self._reported}
        return DoneClip(item.info.source_index, item.info.index, shapes, packed, absent, failed, state)


def _serve(inbox: Inbox, answers: Answers, runner: ClipRunner) -> None:
    """Process batches until asked to stop. No answer waits while the worker waits for work."""
    state = b""
    while not inbox.stopped:
        if not inbox.is_full:
            answers.flush()
            runner.idle()
            inbox.fill()
            answers.restart()
        while inbox.probes:
            inbox.probes -= 1
            answers.probed(runner.probe())
        items = inbox.take()
        if not items:
            continue
        states = [state if item.state is None else item.state for item in items]
        done = runner.settle(items, states)
        state = states[-1] if done[-1].state is None else done[-1].state
        answers.add(done)
    answers.flush()


_REPORTED = frozenset(f"{name}_embedding" for name in MODALITIES)
"""Arrays whose absence is reported although they may never leave their group."""


def run_prepare(worker: int, seat: int, plan: Plan, slots: Slots) -> None:
    """Once per run: each stage builds and caches what it needs, then, while workers run, what makes it faster."""
    bus = Bus(plan.settings.directory, worker)
    relay_warnings(bus)
    slots.watch(seat, Phase.PREPARING)

    def report(text: str) -> None:
        slots.watch(seat, Phase.PREPARING)
        bus.send(Prepared(text))

    try:
        stages = make_stages(plan.config, plan.settings, plan.budget)
        for stage in stages.values():
            stage.prepare(report)
    except PerceptError as error:
        bus.send(Broken(type(error).__name__, str(error)))
    except Exception as error:
        traceback.print_exc()
        bus.send(Broken("PerceptError", f"preparing: {type(error).__name__}: {error}"))
    else:
        bus.send(Prepared(ready=True))
        os.nice(IMPROVING_NICE)
        first = [BEGINNING]

        def report_improvement(text: str) -> None:
            while first:
                report(first.pop())
            report(text)

        improved = [name for name, stage in stages.items() if _improve(name, stage, report_improvement, bus)]
        bus.send(Prepared(finished=True, improved=improved))
    bus.close()


def _improve(name: str, stage: Stage, report: Callable[[str], None], bus: Bus) -> bool:
    """The stage works as it is, so a failure is only a warning."""
    try:
        return stage.improve(report)
    except Exception as error:
        traceback.print_exc()
        bus.send(Warned(f"{name}: nothing faster could be built: {_text(error)}"))
        return False
