"""From a config to a plan: which stages there are, what follows what, which group runs where, how large a slot is.

The one place where stages are reached, by name; a config that names a class of its own is code.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.arrays import Spec
from pipeline.config import Config, GroupOptions, did_you_mean, misfits
from pipeline.errors import ConfigError
from pipeline.machine import cache_directory, core_count
from pipeline.part import Part, PartInfo, part_info
from pipeline.result import CORE
from pipeline.slots import Layout
from pipeline.stage import Budget, Demand, Fold, RunSettings, Stage
from pipeline.status import OutputSpec

STAGES = {
    "flow": "stages.flow:Flow",
    "spectrogram": "stages.spectrogram:Spectrogram",
    "signals": "stages.signals:SignalsStage",
    "encode": "stages.encode:Encode",
    "fuse": "stages.fuse:Fuse",
    "classify": "stages.classify:Classify",
    "detect": "stages.detect.stage:Detect",
    "track": "stages.track.stage:TrackStage",
}
CLASSIFY_STREAM = "stages.classify_stream:ClassifyStream"
_PARSE_LABELS = "stages.words.word:parse_labels"
_CHECK_PROMPTS = "stages.words.label_vectors:check_prompts"
_DEFAULT_LABELS = "stages.words.word:default_labels"
TAIL_S = 0.5
"""A tail shorter than this joins the clip before it, so a clip may be this much longer."""


class GroupPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A group of stages as it will run."""

    index: int
    name: str
    stages: tuple[str, ...]
    needs: tuple[str, ...]
    """Arrays from outside the group that any of its stages takes."""
    gives: tuple[str, ...]
    parts: tuple[str, ...] = ()
    """Those of `gives` that go into the record of a clip."""
    essential: tuple[str, ...] = ()
    """Parts without which a clip is an error."""
    after: tuple[int, ...]
    """Groups that must have settled a clip before."""
    ordered: bool
    """Takes the clips of one source in index order, one at a time, because a stage in it is a fold."""
    workers: int
    threads: int
    preload: tuple[str, ...]
    batch: int = 1
    """Most clips that a worker runs together."""
    wait_ms: float = 0.0
    """How long the first of them may wait for the others."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that workers need to know, as plain data."""

    config: Config
    settings: RunSettings
    budget: Budget
    specs: dict[str, Spec]
    shared: frozenset[str]
    """Arrays and records that leave the group that settles them; the others never leave its process."""
    parts: tuple[PartInfo, ...]
    """What the record of a clip is made of, in the order of the stages."""
    layout: Layout
    slots: int
    groups: tuple[GroupPlan, ...]
    reader_options: dict[str, Any]
    decode_workers: int
    outputs: tuple[OutputSpec, ...] = ()

    @property
    def slot_arrays(self) -> frozenset[str]:
        return frozenset(self.layout.regions)


def make_plan(config: Config, sources: int = 1) -> Plan:
    """Raises: ConfigError, ModelError: what is wrong with the config or the model it names."""
    config = in_order(config)
    cores = core_count()
    settings = make_settings(config)
    sketch = make_stages(config, settings, Budget())
    budget, demand = _budget(config, sketch)
    stages = make_stages(config, settings, budget)
    specs = _decode_specs(config, budget, demand)
    owner = dict.fromkeys(specs, "decode")
    for name, stage in stages.items():
        for array, spec in stage.gives().items():
            if array in owner:
                raise ConfigError(f"stages.{name}: gives {array!r}, which {owner[array]} gives already")
            owner[array], specs[array] = name, spec.bare()
    parts = _parts(stages)
    groups = _groups(config, stages, owner, parts, cores)
    shared = frozenset(array for array in specs if owner[array] == "decode") | {part.name for part in parts}
    shared |= {array for group in groups for array in group.needs}
    layout = Layout.of({name: spec for name, spec in specs.items() if name in shared})
    in_work = sum(group.workers * group.batch for group in groups)
    return Plan(
        config=config,
        settings=settings,
        budget=budget,
        specs=specs,
        shared=shared,
        parts=parts,
        layout=layout,
        slots=config.queue.slots or 2 * in_work + 2,
        groups=groups,
        reader_options=_reader_options(config, budget, demand),
        decode_workers=config.decode.workers or max(1, min(sources, cores // 4)),
    )


def in_order(config: Config) -> Config:
    """Where templates are weighed while clips come, `classify` carries state: it runs in a group of its own.

    The others then run beside it and out of order, as they did.
    """
    classify = config.stages.get("classify", {})
    if config.labels.templates.partition(":")[0] != "zpe" or "class" in classify:
        return config
    groups: list[GroupOptions] = []
    for group in config.groups:
        rest = tuple(name for name in group.stages if name != "classify")
        if rest:
            groups.append(msgspec.structs.replace(group, stages=rest))
        if rest != group.stages:
            groups.append(GroupOptions(name="classify", stages=("classify",)))
    stages = config.stages | {"classify": classify | {"class": CLASSIFY_STREAM}}
    return msgspec.structs.replace(config, groups=tuple(groups), stages=stages)


def make_settings(config: Config) -> RunSettings:
    """What all stages share; labels are parsed here, their files looked at, the cache directory is found."""
    words = config.labels.words
    labels = _load(_PARSE_LABELS)(words) if words else _load(_DEFAULT_LABELS)()
    _load(_CHECK_PROMPTS)(labels, config.labels.templates, config.labels.descriptions)
    cache = config.model.cache_directory or str(cache_directory())
    return RunSettings(
        model=config.model.path,
        audio_model=config.model.audio_path,
        labels=labels,
        templates=config.labels.templates,
        descriptions=config.labels.descriptions,
        modalities=config.modalities,
        top_k=config.labels.top_k,
        engine=config.model.engine,
        precision=config.model.precision,
        device=config.model.device,
        clip_ns=config.clips.clip_ns,
        frame_rate_hz=config.clips.fps,
        cache_directory=cache,
    )


def make_stages(config: Config, settings: RunSettings, budget: Budget) -> dict[str, Stage]:
    """Every stage that a group names, by name, in the config's order; nothing is opened."""
    names = [name for group in config.groups for name in group.stages]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"groups: stage {name!r} is in two places; expected one")
    for name in config.stages:
        if name not in names:
            raise ConfigError(
                f"stages.{name}: no group runs it{did_you_mean(name, names)}; groups run {', '.join(names)}"
            )
    stages, problems = {}, []
    for name in names:
        try:
            stages[name] = make_stage(name, config, settings, budget)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return stages


def make_stage(name: str, config: Config, settings: RunSettings, budget: Budget) -> Stage:
    tree = dict(config.stages.get(name, {}))
    path = tree.pop("class", STAGES.get(name))
    if path is None:
        raise ConfigError(
            f"groups: there is no stage {name!r}{did_you_mean(name, STAGES)}. "
            f'Known: {", ".join(STAGES)}; or give [stages.{name}] class = "package.module:Class"'
        )
    kind = _load(str(path), f"stages.{name}.class")
    if not (isinstance(kind, type) and issubclass(kind, Stage)):
        raise ConfigError(
            f"stages.{name}.class: {path!r} is no stage; expected a class derived from pipeline.stage.Stage"
        )
    problems = list(misfits(tree, kind.Options, f".stages.{name}"))
    if problems:
        raise ConfigError("\n".join(f"config: {problem}" for problem in problems))
    options = msgspec.convert(tree, kind.Options)
    stage: Stage = kind(options, settings, budget)
    return stage


def _load(path: str, where: str = "config") -> Any:
    """The object at "package.module:name"."""
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{where}: {path!r} cannot be imported ({error}); expected package.module:name") from error


load = _load


def _budget(config: Config, stages: Mapping[str, Stage]) -> tuple[Budget, Demand]:
    demands = [stage.demand() for stage in stages.values()]
    demand = Demand(
        short_side_px=config.decode.short_side_px or max([each.short_side_px for each in demands], default=0) or 224,
        audio_rate_hz=max([each.audio_rate_hz for each in demands], default=0),
        audio_context_s=max([each.audio_context_s for each in demands], default=0.0),
    )
    longest_s = config.clips.seconds + TAIL_S
    budget = Budget(
        frames=int(longest_s * config.clips.fps) + 2,
        short_side_px=demand.short_side_px,
        long_side_px=max(config.decode.long_side_px, demand.short_side_px),
        audio_samples=int(max(longest_s, demand.audio_context_s + TAIL_S) * demand.audio_rate_hz) + 2,
    )
    return budget, demand


def _decode_specs(config: Config, budget: Budget, demand: Demand) -> dict[str, Spec]:
    picture_bytes = budget.frame_pixels * 3
    specs = {}
    if {"image", "motion"} & set(config.modalities):
        specs["frames"] = Spec("uint8", "T H W 3", budget.frames * picture_bytes)
        specs["frame_times_ns"] = Spec("int64", "T", budget.frames * 8)
        specs["previous_frame"] = Spec("uint8", "H W 3", picture_bytes)
        specs["previous_time_ns"] = Spec("int64", "1", 8)
    if "audio" in config.modalities and demand.audio_rate_hz:
        specs["audio"] = Spec("float32", "S", budget.audio_samples * 4)
        specs["audio_mask"] = Spec("uint8", "S", budget.audio_samples)
        specs["audio_start_ns"] = Spec("int64", "1", 8)
    return specs


def _reader_options(config: Config, budget: Budget, demand: Demand) -> dict[str, Any]:
    clips, decode = config.clips, config.decode
    return {
        "clip_ns": clips.clip_ns,
        "stride_ns": clips.stride_ns,
        "frame_rate_hz": clips.fps,
        "short_side_px": budget.short_side_px,
        "long_side_px": budget.long_side_px,
        "audio_rate_hz": demand.audio_rate_hz,
        "audio_context_s": demand.audio_context_s,
        "modalities": config.modalities,
        "audio_track": decode.audio_track,
        "start_ns": round(clips.start_s * 1e9),
        "end_ns": None if clips.end_s is None else round(clips.end_s * 1e9),
        "max_pixels": decode.max_pixels,
        "max_duration_s": decode.max_hours * 3600.0,
        "threads": decode.threads,
        "reader": decode.reader,
    }


def _parts(stages: Mapping[str, Stage]) -> tuple[PartInfo, ...]:
    """Raises: ConfigError: a part is called like a field that every record has."""
    found = [
        part_info(array, name, spec)
        for name, stage in stages.items()
        for array, spec in stage.gives().items()
        if isinstance(spec, Part)
    ]
    if taken := [part for part in found if part.name in CORE]:
        raise ConfigError(
            "\n".join(f"stages.{part.stage}: every record has a field {part.name!r}; rename the part" for part in taken)
        )
    return tuple(found)


def _groups(
    config: Config,
    stages: Mapping[str, Stage],
    owner: Mapping[str, str],
    parts: tuple[PartInfo, ...],
    cores: int,
) -> tuple[GroupPlan, ...]:
    home = {name: index for index, group in enumerate(config.groups) for name in group.stages}
    plans = []
    for index, group in enumerate(config.groups):
        members = [stages[name] for name in group.stages]
        gives = [array for stage in members for array in stage.gives()]
        wants = [array for stage in members for array in (*stage.required, *stage.optional)]
        needs = [array for array in dict.fromkeys(wants) if array not in gives and array in owner]
        _check_order(group, stages, owner)
        after = {home[owner[array]] for array in needs if owner[array] != "decode"}
        ordered = any(isinstance(stage, Fold) for stage in members)
        if sum(isinstance(stage, Fold) for stage in members) > 1:
            raise ConfigError(f"groups.{group.name or index}: has two stages that carry state; put them in two groups")
        if ordered and group.batch > 1:
            raise ConfigError(
                f"groups.{group.name or index}.batch is {group.batch}; expected 1: a stage in it carries state from "
                "clip to clip. Put the others in a group of their own"
            )
        preload = tuple(dict.fromkeys(module for stage in members for module in stage.preload))
        workers = group.workers or (min(cores, 8) if preload and not ordered else 1)
        plans.append(
            GroupPlan(
                index=index,
                name=group.name or group.stages[0],
                stages=group.stages,
                needs=tuple(needs),
                gives=tuple(gives),
                parts=tuple(part.name for part in parts if part.name in gives),
                essential=tuple(part.name for part in parts if part.name in gives and part.essential),
                after=tuple(sorted(after)),
                ordered=ordered,
                workers=workers,
                threads=group.threads or max(1, cores // workers),
                preload=preload,
                batch=group.batch,
                wait_ms=group.wait_ms,
            )
        )
    _check_cycles(plans)
    return tuple(plans)


def _check_order(group: GroupOptions, stages: Mapping[str, Stage], owner: Mapping[str, str]) -> None:
    """Inside a group, stages run in the order they are listed: what one gives, only later ones may take."""
    for position, name in enumerate(group.stages):
        later = group.stages[position + 1 :]
        for array in (*stages[name].required, *stages[name].optional):
            if owner.get(array) in later:
                raise ConfigError(f"groups: {name!r} needs {array!r} from {owner[array]!r}, which stands after it")
        for array in stages[name].required:
            if array not in owner and array not in DECODE_GIVES:
                raise ConfigError(
                    f"groups: {name!r} needs {array!r}, which no stage gives. Add the stage that does, or leave it out"
                )


DECODE_GIVES = (
    "frames",
    "frame_times_ns",
    "previous_frame",
    "previous_time_ns",
    "audio",
    "audio_mask",
    "audio_start_ns",
)


def _check_cycles(plans: list[GroupPlan]) -> None:
    done: set[int] = set()
    while len(done) < len(plans):
        ready = {plan.index for plan in plans if plan.index not in done and set(plan.after) <= done}
        if not ready:
            names = [plan.name for plan in plans if plan.index not in done]
            raise ConfigError(f"groups: {', '.join(names)} wait for each other; put the stages concerned in one group")
        done |= ready
