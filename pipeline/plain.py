"""The plain loop: a reader and stages in one process, clip after clip.

It does what the processes of a run do together, without slots, queues or retries. Quantisation, prompt templates,
training, `percept check` and the benchmarks use it: they need the values of stages, not records.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import msgspec

from pipeline.build import load
from pipeline.clip import Clip, ClipInfo, DecodedClip, Gap, SourceInfo, moved
from pipeline.errors import PerceptError
from pipeline.group import StageGroup
from pipeline.machine import core_count
from pipeline.plan import GroupPlan, Plan
from pipeline.stage import Stage
from pipeline.threads import limit_threads


class Reader(Protocol):
    """What the pipeline asks of a reader; see `stages.decode.reader.Reader`."""

    alive: Callable[[], None]

    def open(self) -> SourceInfo: ...

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap]: ...

    def close(self) -> None: ...


def make_reader(plan: Plan, source: str, source_index: int = 0, **changes: Any) -> Reader:
    """The reader of a plan for one source, not yet open. `changes` replace options, such as start_ns.

    The factory that the config names takes the options struct that its module defines.
    """
    path = plan.config.decode.factory
    module = path.partition(":")[0]
    options = msgspec.convert(plan.reader_options | changes, load(f"{module}:ReaderOptions", "decode.factory"))
    reader: Reader = load(path, "decode.factory")(source, source_index, options)
    return reader


class Passed(NamedTuple):
    """A clip that went through the stages."""

    info: ClipInfo
    values: dict[str, Any]
    """What was decoded and what the stages gave, by name."""
    absent: dict[str, str]
    failed: dict[str, str]
    """Error text by stage."""


class PlainLoop:
    """The stages of a plan, open in this process. A context manager; the plan has a directory (`pipeline.run.place`).

    arrays: only the stages that give one of these run; by default all do.
    threads: of each network and library; 0 takes every core.
    report: shows the steps of preparing.
    improve: build faster engines first, as a run does while it works.
    clock_ns: what `took_ns` is read from.
    """

    def __init__(
        self,
        plan: Plan,
        arrays: Collection[str] | None = None,
        threads: int = 0,
        report: Callable[[str], None] = lambda text: None,
        improve: bool = True,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.plan = plan
        self._clock_ns = clock_ns
        self._decode_ns = 0
        self._improve = improve
        self._report = report
        self._threads = threads or core_count()
        self._groups = [
            StageGroup(plan, part, clock_ns=clock_ns)
            for group in _in_order(plan.groups)
            if (part := self._part(group, arrays)) is not None
        ]

    def _part(self, group: GroupPlan, arrays: Collection[str] | None) -> GroupPlan | None:
        """The group with those of its stages that are wanted; None if there are none."""
        stages = group.stages
        if arrays is not None:
            specs = StageGroup(self.plan, group).specs
            stages = tuple(name for name in stages if not specs[name].keys().isdisjoint(arrays))
        return msgspec.structs.replace(group, stages=stages, threads=self._threads) if stages else None

    def __enter__(self) -> Self:
        try:
            for group in self._groups:
                for stage in group.stages.values():
                    stage.prepare(self._report)
                    if self._improve:
                        stage.improve(self._report)
            for group in self._groups:
                group.open()
        except BaseException:
            self.close()
            raise
        limit_threads(self._threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def stages(self) -> dict[str, Stage]:
        """The stages that run, by name."""
        return {name: stage for group in self._groups for name, stage in group.stages.items()}

    @property
    def took_ns(self) -> dict[str, int]:
        """How long the reader, "decode", and each stage have worked."""
        took = {"decode": self._decode_ns}
        for group in self._groups:
            took |= group.took_ns
        return took

    def close(self) -> None:
        while self._groups:
            self._groups.pop().close()

    def run(self, source: str, source_index: int = 0, batch: int = 1, **changes: Any) -> Iterator[Passed]:
        """Every clip of a source, `batch` of them through the stages together. `changes`: see `make_reader`.

        Raises:
            SourceError: the source cannot be opened or read.
        """
        reader = make_reader(self.plan, source, source_index, **changes)
        try:
            reader.open()
            clips = (item for item in reader.clips() if not isinstance(item, Gap))
            states: dict[int, bytes] = {}
            kept: dict[int, Passed] = {}
            while together := self._decoded(clips, batch):
                yield from self.settle(together, states, kept)
        finally:
            reader.close()

    def _decoded(self, clips: Iterator[DecodedClip], count: int) -> list[DecodedClip]:
        began_ns = self._clock_ns()
        together = list(islice(clips, count))
        self._decode_ns += self._clock_ns() - began_ns
        return together

    def settle(
        self,
        clips: Sequence[DecodedClip],
        states: dict[int, bytes] | None = None,
        kept: dict[int, Passed] | None = None,
    ) -> list[Passed]:
        """Run the stages on decoded clips of one source.

        `states`: of its folds, and `kept`: clips whose answers may hold for later ones; both are changed in place.
        """
        states, kept = {} if states is None else states, {} if kept is None else kept
        passed = [Passed(clip.info, dict(clip.arrays), dict(clip.absent), {}) for clip in clips]
        same = _shown_before(passed, kept)
        anew = [each for each in passed if each.info.index not in same]
        for number, group in enumerate(self._groups):
            for together in ([each] for each in passed) if group.has_fold else (anew,) if anew else ():
                views = [Clip(each.info, each.values, each.absent) for each in together]
                state = states.get(number, b"")
                for each, settled in zip(together, group.run_many(views, [state] * len(views)), strict=True):
                    each.values.update(settled.values)
                    each.absent.update(settled.absent)
                    each.failed.update(settled.failed)
                    states[number] = state if settled.state is None else settled.state
            if not group.has_fold:
                for each in passed:
                    if each.info.index in same:
                        _answer_as(each, same[each.info.index], group)
        return passed


def _shown_before(passed: Sequence[Passed], kept: dict[int, Passed]) -> dict[int, Passed]:
    """By index of the clips that show what an earlier one shows: that one."""
    same = {}
    for each in passed:
        if (reuse := each.info.reuse) is not None:
            same[each.info.index] = kept[reuse.place]
        elif each.info.kept_in >= 0:
            kept[each.info.kept_in] = each
    return same


def _answer_as(clip: Passed, earlier: Passed, group: StageGroup) -> None:
    """Give a clip what a group found in an earlier one that shows the same."""
    by_ns = clip.info.start_ns - earlier.info.start_ns
    clip.values.update(moved({name: earlier.values[name] for name in group.owner if name in earlier.values}, by_ns))
    clip.absent.update({name: earlier.absent[name] for name in group.owner if name in earlier.absent})
    clip.failed.update({name: earlier.failed[name] for name in group.stages if name in earlier.failed})


def refuse_failed(clips: Sequence[Passed], source: str) -> None:
    """Raises: PerceptError: a stage failed on one of the clips."""
    for clip in clips:
        for stage, text in clip.failed.items():
            raise PerceptError(f"{source}: clip {clip.info.index}: {stage}: {text}")


def _in_order(groups: Sequence[GroupPlan]) -> list[GroupPlan]:
    """Every group behind those that it needs arrays from."""
    ordered: list[GroupPlan] = []
    while len(ordered) < len(groups):
        done = {group.index for group in ordered}
        ordered += [group for group in groups if group.index not in done and set(group.after) <= done]
    return ordered
