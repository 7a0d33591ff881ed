"""A group of stages: runs clips through them, one by one or in batches, and collects what is settled."""

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np

from pipeline.arrays import Array, Spec, check_array, read_only
from pipeline.build import make_stages
from pipeline.clip import Absent, Clip
from pipeline.part import Part, plain
from pipeline.plan import GroupPlan, Plan
from pipeline.stage import Fold, Outputs, Resources, Stage


class Settled(NamedTuple):
    """What a group settled for one clip."""

    values: dict[str, Any]
    absent: dict[str, str]
    failed: dict[str, str]
    """Error text by stage."""
    state: bytes | None
    """The fold's new state, when the group has one."""


class Passage:
    """A clip on its way through a group, with what is known about it so far."""

    __slots__ = ("absent", "clip", "failed", "known", "new_state", "state", "values")

    def __init__(self, clip: Clip, state: bytes) -> None:
        self.clip = clip
        self.state = state
        self.new_state: bytes | None = None
        self.known = dict(clip.arrays)
        self.absent = dict(clip.absent)
        self.values: dict[str, Any] = {}
        self.failed: dict[str, str] = {}

    def view(self) -> Clip:
        """The clip as the next stage sees it."""
        return Clip(self.clip.info, self.known, self.absent)

    def barred(self, required: tuple[str, ...]) -> str | None:
        """Why a stage cannot run: the reason why an array that it requires is absent. None if it can."""
        for need in required:
            if need not in self.known:
                return self.absent.get(need, "not_asked")
        return None

    def take(self, specs: Mapping[str, Spec], outputs: Outputs) -> None:
        """Add the outputs of a stage: all of them, or none if they are not what the stage declared."""
        values = {key: _checked(key, spec, outputs) for key, spec in specs.items()}
        for key, value in values.items():
            if isinstance(value, Absent):
                self.absent[key] = value.reason
            else:
                self.known[key] = self.values[key] = value

    def settled(self) -> Settled:
        given = self.clip.absent
        absent = {key: reason for key, reason in self.absent.items() if key not in given}
        return Settled(self.values, absent, self.failed, self.new_state)


class StageGroup:
    """The stages of one group.

    note: receives sentences for the user.
    memory: all slots, uint8 "N"; None if clips are not in slots.
    clock_ns: what `took_ns` is read from.
    """

    def __init__(
        self,
        plan: Plan,
        group: GroupPlan,
        note: Callable[[str], None] = lambda text: None,
        memory: Array | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        settings = msgspec.structs.replace(plan.settings, threads=group.threads)
        made = make_stages(plan.config, settings, plan.budget)
        self.stages: dict[str, Stage] = {name: made[name] for name in group.stages}
        self.specs = {name: stage.gives() for name, stage in self.stages.items()}
        self.owner = {array: name for name, specs in self.specs.items() for array in specs}
        self._folds = frozenset(name for name, stage in self.stages.items() if isinstance(stage, Fold))
        self._resources = Resources(memory)
        self._note = note
        self._clock_ns = clock_ns
        self._noted: set[str] = set()
        self._opened: list[str] = []
        self.took_ns: dict[str, int] = {}
        """How long each stage has worked."""
        self.most_bytes: dict[str, int] = {}
        """The most that the arrays of each stage took for one clip."""

    @property
    def has_fold(self) -> bool:
        """Whether a stage carries state from clip to clip."""
        return bool(self._folds)

    def open_early(self) -> None:
        """Open the stages that need nothing prepared. `open` opens the others."""
        self._open(early=True)

    def open(self) -> dict[str, str]:
        """Open all stages that are not open. Returns the facts that they report."""
        self._open(early=False)
        return {name: fact for stage in self.stages.values() for name, fact in stage.describe().items()}

    def _open(self, early: bool) -> None:
        for name, stage in self.stages.items():
            if name not in self._opened and (stage.opens_early or not early):
                self._opened.append(name)
                stage.open(self._resources)

    def close(self) -> None:
        for name in reversed(self._opened):
            self.stages[name].close()
        self._resources.close()

    def run(self, clip: Clip, state: bytes = b"") -> Settled:
        """Everything that the group settles for a clip. A stage that raises loses its own outputs, never the clip."""
        return self.run_many([clip], [state])[0]

    def run_many(self, clips: Iterable[Clip], states: Iterable[bytes]) -> list[Settled]:
        """The same for several clips, stage by stage. A failure on one clip does not affect the others."""
        passages = list(map(Passage, clips, states))
        for name, stage in self.stages.items():
            began_ns = self._clock_ns()
            self._run_stage(name, stage, passages)
            self.took_ns[name] = self.took_ns.get(name, 0) + self._clock_ns() - began_ns
        return [passage.settled() for passage in passages]

    def _run_stage(self, name: str, stage: Stage, passages: list[Passage]) -> None:
        specs, fault = self.specs[name], ""
        together: dict[Passage, Outputs] = {}
        if len(passages) > 1 and type(stage).process_many is not Stage.process_many:
            together, fault = _together(stage, passages)
        for passage in passages:
            reason = passage.barred(stage.required)
            if reason is None:
                try:
                    outputs = together[passage] if together else self._alone(name, stage, passage)
                    passage.take(specs, outputs)
                    self.most_bytes[name] = max(self.most_bytes.get(name, 0), _bytes_of(outputs))
                except Exception as error:
                    traceback.print_exc()
                    reason, passage.failed[name] = "failed", f"{type(error).__name__}: {error}"
            if reason is not None:
                passage.absent |= dict.fromkeys(specs, reason)
        if fault and name not in self._noted and not any(name in passage.failed for passage in passages):
            self._noted.add(name)
            self._note(
                f"{name}: a batch of {len(passages)} clips failed, but each clip alone did not ({fault}). "
                "Give its group a smaller batch"
            )

    def _alone(self, name: str, stage: Stage, passage: Passage) -> Outputs:
        if name in self._folds:
            passage.new_state, outputs = cast(Fold, stage).update(passage.state, passage.view())
            return outputs
        return stage.process(passage.view())


def _bytes_of(outputs: Outputs) -> int:
    return sum(value.nbytes for value in outputs.values() if isinstance(value, np.ndarray))


def _together(stage: Stage, passages: list[Passage]) -> tuple[dict[Passage, Outputs], str]:
    """The outputs of one call for all clips that the stage can run on; empty, with the error, if the call fails."""
    able = [passage for passage in passages if passage.barred(stage.required) is None]
    if len(able) < 2:
        return {}, ""
    try:
        outputs = stage.process_many([passage.view() for passage in able])
        return dict(zip(able, outputs, strict=True)), ""
    except Exception as error:
        traceback.print_exc()
        return {}, f"{type(error).__name__}: {error}"


def _checked(name: str, spec: Spec, outputs: Outputs) -> Any:
    if name not in outputs:
        raise KeyError(f"{name} was declared but not given; expected a value or Absent(reason)")
    value = outputs[name]
    if isinstance(value, Absent):
        return value
    if isinstance(spec, Part):
        return plain(name, spec, value)
    if spec.is_record:
        return value
    check_array(name, value, spec.dims, spec.dtype)
    return read_only(value)
