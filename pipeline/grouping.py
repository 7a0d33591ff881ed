"""Derives the groups of a run, and their order, from what their stages need and give."""

from collections.abc import Mapping

from pipeline.config import Config, GroupOptions
from pipeline.errors import ConfigError, Problems
from pipeline.part import PartInfo
from pipeline.placing import Placing
from pipeline.plan import GroupPlan
from pipeline.stage import Fold, Stage

DECODE_GIVES = (
    "frames",
    "frame_times_ns",
    "previous_frame",
    "previous_time_ns",
    "audio",
    "audio_mask",
    "audio_start_ns",
)
"""Arrays that decode gives if a source has them."""


def make_groups(
    config: Config,
    stages: Mapping[str, Stage],
    owner: Mapping[str, str],
    parts: tuple[PartInfo, ...],
    placing: Placing,
    problems: Problems,
) -> tuple[GroupPlan, ...]:
    """owner: the stage that gives each array, or "decode"."""
    home = {name: index for index, group in enumerate(config.groups) for name in group.stages}
    plans = []
    for index, group in enumerate(config.groups):
        members = [stages[name] for name in group.stages]
        gives = [array for stage in members for array in stage.gives()]
        wants = [array for stage in members for array in (*stage.required, *stage.optional)]
        needs = [array for array in dict.fromkeys(wants) if array not in gives and array in owner]
        folds = sum(isinstance(stage, Fold) for stage in members)
        _check_order(group, stages, owner, problems)
        _check_folds(group, index, folds, problems)
        preload = tuple(dict.fromkeys(module for stage in members for module in stage.preload))
        if preload:
            modules = dict.fromkeys(type(stage).__module__ for stage in members)
            preload += tuple(module for module in modules if module.startswith("stages."))  # others may start threads
        workers = group.workers or (placing.workers(group.stages) if preload and not folds else 1)
        plans.append(
            GroupPlan(
                index=index,
                name=group.name or group.stages[0],
                stages=group.stages,
                needs=tuple(needs),
                gives=tuple(gives),
                parts=tuple(part.name for part in parts if part.name in gives),
                essential=tuple(part.name for part in parts if part.name in gives and part.essential),
                after=tuple(sorted({home[owner[array]] for array in needs if owner[array] != "decode"})),
                ordered=folds > 0,
                workers=workers,
                threads=group.threads or max(1, placing.cores // workers),
                preload=preload,
                opens_early=any(stage.opens_early for stage in members),
                batch=group.batch,
                wait_ms=group.wait_ms,
                nice=group.nice,
                latest=group.latest,
            )
        )
    _check_cycles(plans, problems)
    return tuple(plans)


def _check_order(
    group: GroupOptions, stages: Mapping[str, Stage], owner: Mapping[str, str], problems: Problems
) -> None:
    """Inside a group, stages run in the order they are listed, so a stage can use only what earlier ones give."""
    for position, name in enumerate(group.stages):
        later = group.stages[position + 1 :]
        for array in (*stages[name].required, *stages[name].optional):
            if owner.get(array) in later:
                text = f"groups: {name!r} needs {array!r} from {owner[array]!r}, which is listed after it"
                problems.add(ConfigError(text))
        for array in stages[name].required:
            if array not in owner and array not in DECODE_GIVES:
                text = f"groups: {name!r} needs {array!r}, which no stage gives. Add the stage that does, or remove it"
                problems.add(ConfigError(text))


def _check_folds(group: GroupOptions, index: int, folds: int, problems: Problems) -> None:
    where = f"groups.{group.name or index}"
    if folds > 1:
        problems.add(ConfigError(f"{where}: has two stages that carry state; put them in two groups"))
    if folds and group.batch > 1:
        text = "a stage in it carries state from clip to clip. Put the others in a group of their own"
        problems.add(ConfigError(f"{where}.batch is {group.batch}; expected 1: {text}"))


def _check_cycles(plans: list[GroupPlan], problems: Problems) -> None:
    done: set[int] = set()
    while len(done) < len(plans):
        ready = {plan.index for plan in plans if plan.index not in done and set(plan.after) <= done}
        if not ready:
            names = ", ".join(plan.name for plan in plans if plan.index not in done)
            text = f"groups: {names} wait for each other; put the stages concerned in one group"
            problems.add(ConfigError(text))
            return
        done |= ready
