"""A group of stages in a process: take a leased clip, settle what the group gives, answer, forget."""

import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pipeline import slots as phase
from pipeline.arrays import Spec, check_array, read_only
from pipeline.build import GroupPlan, Plan, make_stages
from pipeline.bus import Bus
from pipeline.clip import Absent, Clip
from pipeline.errors import PerceptError
from pipeline.messages import (
    PROTOCOL_VERSION,
    Broken,
    Done,
    DoneClip,
    Hello,
    Prepared,
    Stop,
    Work,
    WorkClip,
    pack,
    unpack,
)
from pipeline.slots import SlotError, Slots
from pipeline.stage import Fold, Resources, Stage

FLUSH_NS = 5_000_000
"""Answers of quick clips travel together; none waits longer than this."""


class Settled(NamedTuple):
    """What a group settled for one clip."""

    values: dict[str, Any]
    absent: dict[str, str]
    failed: dict[str, str]
    """Error text by stage."""
    state: bytes | None
    """The fold's new state, when the group has one."""


class Group:
    """The stages of one group, and how a clip goes through them. Also what the plain loop in benchmarks runs."""

    def __init__(self, plan: Plan, group: GroupPlan) -> None:
        settings = msgspec.structs.replace(plan.settings, threads=group.threads)
        made = make_stages(plan.config, settings, plan.budget)
        self.stages: dict[str, Stage] = {name: made[name] for name in group.stages}
        self.specs = {name: stage.gives() for name, stage in self.stages.items()}
        self.owner = {array: name for name, specs in self.specs.items() for array in specs}
        self._plan = plan
        self._group = group
        self._resources = Resources()

    def open(self) -> dict[str, str]:
        """Load all; returns the facts the stages tell of themselves."""
        facts: dict[str, str] = {}
        for stage in self.stages.values():
            stage.open(self._resources)
            facts |= stage.describe()
        return facts

    def close(self) -> None:
        for stage in reversed(self.stages.values()):
            stage.close()
        self._resources.close()

    def run(self, clip: Clip, state: bytes = b"") -> Settled:
        """Everything the group settles for a clip. A stage that raises costs its own outputs, never the clip."""
        known, absent = dict(clip.arrays), dict(clip.absent)
        values: dict[str, Any] = {}
        failed: dict[str, str] = {}
        new_state: bytes | None = None
        for name, stage in self.stages.items():
            reason = next((absent.get(need, "not_asked") for need in stage.required if need not in known), None)
            outputs: Mapping[str, Any] = {}
            if reason is None:
                try:
                    view = Clip(clip.info, known, absent)
                    if isinstance(stage, Fold):
                        new_state, outputs = stage.update(state, view)
                    else:
                        outputs = stage.process(view)
                    outputs = {key: _checked(key, spec, outputs) for key, spec in self.specs[name].items()}
                except Exception as error:
                    reason, failed[name] = "failed", f"{type(error).__name__}: {error}"
                    traceback.print_exc()
            for key in self.specs[name]:
                value = Absent(reason) if reason is not None else outputs[key]  # type: ignore[arg-type]
                if isinstance(value, Absent):
                    absent[key] = value.reason
                else:
                    known[key] = values[key] = value
        absent = {key: reason for key, reason in absent.items() if key not in clip.absent}
        return Settled(values, absent, failed, new_state)


def _checked(name: str, spec: Spec, outputs: Mapping[str, Any]) -> Any:
    if name not in outputs:
        raise KeyError(f"{name} was promised but not given; expected a value or Absent(reason)")
    value = outputs[name]
    if spec.is_record or isinstance(value, Absent):
        return value
    check_array(name, value, spec.dims, spec.dtype)
    return read_only(value)


def run_group(worker: int, seat: int, group: GroupPlan, plan: Plan, slots: Slots) -> None:
    """The life of a worker: load, say hello, then clip by clip until told to stop."""
    bus = Bus(plan.settings.directory, worker)
    slots.watch(seat, phase.LOADING)
    _limit_threads(group.threads)
    members = Group(plan, group)
    try:
        facts = members.open()
    except Exception as error:
        kind = type(error).__name__ if isinstance(error, PerceptError) else "ModelError"
        traceback.print_exc()
        bus.send(Broken(kind, f"{group.name}: {_said(error)}"))
        bus.close()
        return
    bus.send(Hello(worker, PROTOCOL_VERSION, plan.config.queue.credit, facts))
    while True:
        slots.watch(seat, phase.IDLE)
        message = bus.receive()
        if isinstance(message, Stop):
            break
        if isinstance(message, Work):
            _work(message, members, group, plan, slots, seat, bus)
    members.close()
    bus.close()


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, PerceptError) else f"{type(error).__name__}: {error}"


def _work(work: Work, members: Group, group: GroupPlan, plan: Plan, slots: Slots, seat: int, bus: Bus) -> None:
    answers: list[DoneClip] = []
    states: dict[int, bytes] = {}
    since = time.monotonic_ns()
    for item in work.clips:
        source = item.info.source_index
        slots.watch(seat, phase.WORKING, source, item.info.index)
        answer = settle(item, states.get(source, item.state), members, group, plan, slots)
        if answer.state is not None:
            states[source] = answer.state
        answers.append(answer)
        if time.monotonic_ns() - since > FLUSH_NS:
            bus.send(Done(answers))
            answers, since = [], time.monotonic_ns()
    if answers:
        bus.send(Done(answers))


def settle(item: WorkClip, state: bytes, members: Group, group: GroupPlan, plan: Plan, slots: Slots) -> DoneClip:
    """One leased clip: read its slot, run the group, write what other groups need. Generations frame the use."""
    if item.shapes:
        slots.check(item.slot, item.generation)
    arrays: dict[str, Any] = {name: slots.read(item.slot, name, shape) for name, shape in item.shapes.items()}
    arrays |= {name: unpack(plan.specs[name], data) for name, data in item.values.items()}
    values, absent, failed, new_state = members.run(Clip(item.info, arrays, item.absent), state)
    shapes, packed = {}, {}
    for name in values.keys() & plan.shared:
        spec = plan.specs[name]
        try:
            if spec.in_message:
                packed[name] = pack(spec, values[name])
            else:
                shapes[name] = slots.write(item.slot, name, values[name])
        except (SlotError, TypeError, ValueError, OverflowError) as error:  # what msgpack or the slot cannot take
            absent[name] = "failed"
            failed[members.owner[name]] = f"{type(error).__name__}: {error}"
    if item.shapes:
        slots.check(item.slot, item.generation)
    absent = {name: reason for name, reason in absent.items() if name in plan.shared or name in _TOLD}
    return DoneClip(item.info.source_index, item.info.index, shapes, packed, absent, failed, new_state)


_TOLD = frozenset({"image_embedding", "motion_embedding", "audio_embedding", "flow", "boxes"})
"""Absences a result tells of, although the arrays themselves never leave their group."""


def _limit_threads(threads: int) -> None:
    """Every library that was imported gets its share of the cores and no more."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)


def run_prepare(worker: int, seat: int, plan: Plan, slots: Slots) -> None:
    """Once per run, before any worker opens: every stage builds and caches what it needs."""
    bus = Bus(plan.settings.directory, worker)
    slots.watch(seat, phase.PREPARING)

    def report(text: str) -> None:
        slots.watch(seat, phase.PREPARING)
        bus.send(Prepared(text))

    try:
        for stage in make_stages(plan.config, plan.settings, plan.budget).values():
            stage.prepare(report)
    except PerceptError as error:
        bus.send(Broken(type(error).__name__, str(error)))
    except Exception as error:
        traceback.print_exc()
        bus.send(Broken("PerceptError", f"preparing: {type(error).__name__}: {error}"))
    else:
        bus.send(Prepared(finished=True))
    bus.close()
