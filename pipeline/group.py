"""A group of stages: how clips go through them, one by one or several together, and what is settled for each."""

import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

import msgspec

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
    """A clip on its way through a group: what is known of it so far."""

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
        """What the next stage sees."""
        return Clip(self.clip.info, self.known, self.absent)

    def barred(self, required: tuple[str, ...]) -> str | None:
        """Why a stage cannot run: the reason for which what it requires is absent."""
        for need in required:
            if need not in self.known:
                return self.absent.get(need, "not_asked")
        return None

    def take(self, specs: Mapping[str, Spec], outputs: Outputs) -> None:
        """Enter what a stage gave; all of it, or nothing when it is not what the stage promised."""
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
    """The stages of one group, and how clips go through them. Also what the plain loop in benchmarks runs.

    tell: takes a line that a person should read.
    memory: all slots, uint8 "N"; None where clips do not come in slots.
    """

    def __init__(
        self,
        plan: Plan,
        group: GroupPlan,
        tell: Callable[[str], None] = lambda text: None,
        memory: Array | None = None,
    ) -> None:
        settings = msgspec.structs.replace(plan.settings, threads=group.threads)
        made = make_stages(plan.config, settings, plan.budget)
        self.stages: dict[str, Stage] = {name: made[name] for name in group.stages}
        self.specs = {name: stage.gives() for name, stage in self.stages.items()}
        self.owner = {array: name for name, specs in self.specs.items() for array in specs}
        self._folds = frozenset(name for name, stage in self.stages.items() if isinstance(stage, Fold))
        self._resources = Resources(memory)
        self._tell = tell
        self._told: set[str] = set()

    @property
    def has_fold(self) -> bool:
        """Whether a stage carries state from clip to clip."""
        return bool(self._folds)

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
        return self.run_many([clip], [state])[0]

    def run_many(self, clips: Iterable[Clip], states: Iterable[bytes]) -> list[Settled]:
        """The same for several clips, stage by stage; what one of them costs, none of the others pays."""
        passages = list(map(Passage, clips, states))
        for name, stage in self.stages.items():
            self._run_stage(name, stage, passages)
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
                    passage.take(specs, together[passage] if together else self._alone(name, stage, passage))
                except Exception as error:
                    traceback.print_exc()
                    reason, passage.failed[name] = "failed", f"{type(error).__name__}: {error}"
            if reason is not None:
                passage.absent |= dict.fromkeys(specs, reason)
        if fault and name not in self._told and not any(name in passage.failed for passage in passages):
            self._told.add(name)
            self._tell(
                f"{name}: {len(passages)} clips together failed, but each by itself did not ({fault}). "
                "Give its group a smaller batch"
            )

    def _alone(self, name: str, stage: Stage, passage: Passage) -> Outputs:
        if name in self._folds:
            passage.new_state, outputs = cast(Fold, stage).update(passage.state, passage.view())
            return outputs
        return stage.process(passage.view())


def _together(stage: Stage, passages: list[Passage]) -> tuple[dict[Passage, Outputs], str]:
    """What the stage gives in one call for all that it can run on; nothing if that fails, and why."""
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
        raise KeyError(f"{name} was promised but not given; expected a value or Absent(reason)")
    value = outputs[name]
    if isinstance(value, Absent):
        return value
    if isinstance(spec, Part):
        return plain(name, spec, value)
    if spec.is_record:
        return value
    check_array(name, value, spec.dims, spec.dtype)
    return read_only(value)
