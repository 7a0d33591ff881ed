"""Turns a config into a plan: the stages, their groups, the worker counts and the size of a slot.

This is the one module that reaches stages, by name. A config that names a class of its own is code.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline.arrays import Spec
from pipeline.config import Config, GroupOptions, did_you_mean, misfits
from pipeline.costs import known_costs
from pipeline.errors import ConfigError, Problems
from pipeline.grouping import make_groups
from pipeline.machine import available_bytes, cache_directory, core_count
from pipeline.part import Part, PartInfo, part_info
from pipeline.placing import Placing
from pipeline.plan import Plan
from pipeline.result import CORE
from pipeline.slots import Layout
from pipeline.stage import Budget, Demand, RunSettings, Stage
from pipeline.status import FilmSource

STAGES = {
    "flow": "stages.flow:Flow",
    "spectrogram": "stages.spectrogram:Spectrogram",
    "signals": "stages.signals:SignalsStage",
    "encode": "stages.encode:Encode",
    "fuse": "stages.fuse:Fuse",
    "classify": "stages.classify:Classify",
    "store": "stages.store:Store",
    "detect": "stages.detect.stage:Detect",
    "track": "stages.track.stage:TrackStage",
    "text": "stages.text.stage:TextStage",
    "regions": "stages.maps.stage:RegionStage",
    "relations": "stages.relations.stage:RelationStage",
}
ON_DEMAND = {"text": "", "regions": "", "relations": "track"}
"""Stages that are off unless they have options. If no group names one, it then runs after the stage given here, in the
same group; "": in a group of its own."""
CLASSIFY_STREAM = "stages.classify_stream:ClassifyStream"
_PARSE_LABELS = "stages.words.word:parse_labels"
_SPLIT_LABELS = "stages.text.phrases:split_labels"
_CHECK_PROMPTS = "stages.words.label_vectors:check_prompts"
_DEFAULT_LABELS = "stages.words.word:default_labels"
_CHECK_READER = "stages.decode.reader:check_reader"
_READER_CLASS = "stages.decode.reader:reader_class"
_CHECK_DECODER = "stages.decode.nvdec:check_device"
_OPEN_FILM = "stages.decode.film:open_film"
WATCH_ROLES = {
    "decode": "pipeline.live_decode:run_live_decode",
    "page": "live.page.process:run_page",
    "clerk": "pipeline.clerk:run_clerk",
}
"""The processes of a watch that a run does not have, or has others for."""
WATCH_SINK = "live.sink:WatchSink"
FILM_THREADS = 4
"""Most threads that decode pictures for the labelled video."""
TAIL_S = 0.5
"""A shorter tail joins the clip before it, so a clip may be this much longer."""


def make_plan(config: Config, sources: int = 1) -> Plan:
    """Raises: ConfigError, ModelError: everything that is wrong with the config or missing on this machine."""
    problems = Problems()
    config = in_order(config)
    with problems.collected():
        _load(_CHECK_READER)(config.decode.reader)
    with problems.collected():
        _load(_CHECK_DECODER)(config.decode.device)
    settings = _settings(config, problems)
    sketch = _stages(config, settings, Budget(), problems)
    demands: list[Demand] = []
    for stage in sketch.values():
        with problems.collected():
            stage.check()
        with problems.collected():
            demands.append(stage.demand())
    problems.raise_all()
    budget, demand = _budget(config, demands)
    stages = make_stages(config, settings, budget)
    specs = _decode_specs(config, budget, demand)
    owner = dict.fromkeys(specs, "decode")
    for name, stage in stages.items():
        for array, spec in stage.gives().items():
            if array in owner:
                problems.add(ConfigError(f"stages.{name}: gives {array!r}, which {owner[array]} gives already"))
            owner[array], specs[array] = name, spec.bare()
    parts = _parts(stages, problems)
    placing = Placing(core_count(), sources, available_bytes(), known_costs(Path(settings.cache_directory), config))
    groups = make_groups(config, stages, owner, parts, placing, problems)
    problems.raise_all()
    shared = frozenset(array for array in specs if owner[array] == "decode") | {part.name for part in parts}
    shared |= {array for group in groups for array in group.needs} | (specs.keys() & set(config.keep))
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
        decode_workers=config.decode.workers or placing.decoders,
        placed=placing.text,
    )


def import_usual() -> None:
    """Import the stages and the reader of an ordinary run, for a process that forks those of a run."""
    usual = Config()
    for path in (*(STAGES[name] for name in STAGES if name not in ON_DEMAND), usual.decode.factory):
        _load(path)
    _load(_READER_CLASS)(usual.decode.reader)


def in_order(config: Config) -> Config:
    """With the groups of stages on demand. With `--templates zpe`, `classify` carries state, so it moves to a group of
    its own.

    The other stages still run in parallel and out of order.
    """
    config = _on_demand(config)
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


def _on_demand(config: Config) -> Config:
    named = {name for group in config.groups for name in group.stages}
    wanted = [name for name in ON_DEMAND if name not in named and (name in config.stages or _is_wanted(name, config))]
    guests = [name for name in wanted if ON_DEMAND[name] in named]
    own = tuple(GroupOptions(name=name, stages=(name,)) for name in wanted if name not in guests)
    groups = tuple(
        msgspec.structs.replace(group, stages=(*group.stages, *(n for n in guests if ON_DEMAND[n] in group.stages)))
        for group in config.groups
    )
    return msgspec.structs.replace(config, groups=own + groups) if wanted else config


def _is_wanted(name: str, config: Config) -> bool:
    """Whether the labels need a stage: those that are read."""
    try:
        return name == "text" and bool(_load(_SPLIT_LABELS)(_load(_PARSE_LABELS)(config.labels.words or ("-",)))[1])
    except ConfigError:
        return False  # it is told with the other problems


def make_settings(config: Config) -> RunSettings:
    """The settings that all stages share. Parses the labels and reads their files.

    Raises: ConfigError: labels, templates or descriptions cannot be used.
    """
    problems = Problems()
    settings = _settings(config, problems)
    problems.raise_all()
    return settings


def _settings(config: Config, problems: Problems) -> RunSettings:
    words, labels, phrases = config.labels.words, ("-",), ()
    with problems.collected():
        labels, phrases = _load(_SPLIT_LABELS)(_load(_PARSE_LABELS)(words) if words else _load(_DEFAULT_LABELS)())
    if not labels:
        problems.add(ConfigError(f"--labels: {', '.join(phrases)} is only read; add a label that is seen or heard"))
        labels = ("-",)
    find = ()
    with problems.collected():
        find = _load(_PARSE_LABELS)(config.follow.find, "--find") if config.follow.find else ()
    with problems.collected():
        _load(_CHECK_PROMPTS)(labels, config.labels.templates, config.labels.descriptions)
    return RunSettings(
        model=config.model.path,
        audio_model=config.model.audio_path,
        labels=labels,
        phrases=phrases,
        templates=config.labels.templates,
        descriptions=config.labels.descriptions,
        description_weight=config.labels.description_weight,
        modalities=config.analysed,
        key_frames=config.decode.key_frames,
        find=find,
        like=config.follow.like,
        follow=config.follow.chosen,
        zones=config.follow.zones,
        lines=config.follow.lines,
        top_k=config.labels.top_k,
        engine=config.model.engine,
        precision=config.model.precision,
        device=config.model.device,
        clip_ns=config.clips.clip_ns,
        frame_rate_hz=config.clips.fps,
        cache_directory=config.model.cache_directory or str(cache_directory()),
    )


def make_stages(config: Config, settings: RunSettings, budget: Budget) -> dict[str, Stage]:
    """Every stage that a group names, in the order of the config. Nothing is opened.

    Raises: ConfigError: a stage is unknown, is named twice, or has wrong options.
    """
    problems = Problems()
    stages = _stages(config, settings, budget, problems)
    problems.raise_all()
    return stages


def _stages(config: Config, settings: RunSettings, budget: Budget, problems: Problems) -> dict[str, Stage]:
    names = [name for group in config.groups for name in group.stages]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            problems.add(ConfigError(f"groups: stage {name!r} is in two places; expected one"))
    for name in config.stages:
        if name not in names:
            hint = did_you_mean(name, names)
            problems.add(ConfigError(f"stages.{name}: no group runs it{hint}; groups run {', '.join(names)}"))
    stages = {}
    for name in names:
        with problems.collected():
            stages[name] = make_stage(name, config, settings, budget)
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
            f"stages.{name}.class: {path!r} is not a stage; expected a class derived from pipeline.stage.Stage"
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


def _budget(config: Config, demands: Sequence[Demand]) -> tuple[Budget, Demand]:
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
    if {"image", "motion"} & set(config.analysed):
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
        "modalities": config.analysed,
        "shots": clips.shots,
        "key_frames": decode.key_frames,
        "reuse": decode.reuse and clips.stride_ns == clips.clip_ns and not (clips.shots or decode.key_frames),
        "audio_track": decode.audio_track,
        "start_ns": round(clips.start_s * 1e9),
        "end_ns": None if clips.end_s is None else round(clips.end_s * 1e9),
        "max_pixels": decode.max_pixels,
        "max_duration_s": decode.max_hours * 3600.0,
        "threads": decode.threads,
        "device": decode.device if decode.reader == "av" else "cpu",
        "reader": decode.reader,
    }


def film_source(reader_options: Mapping[str, Any]) -> FilmSource:
    """How a sink opens a source that is decoded with these options."""
    return FilmSource(opener=_OPEN_FILM, options={**reader_options, "threads": min(FILM_THREADS, core_count())})


def _parts(stages: Mapping[str, Stage], problems: Problems) -> tuple[PartInfo, ...]:
    found = []
    for name, stage in stages.items():
        for array, spec in stage.gives().items():
            if not isinstance(spec, Part):
                continue
            if array in CORE:
                problems.add(ConfigError(f"stages.{name}: every record has a field {array!r}; rename the part"))
            with problems.collected():
                found.append(part_info(array, name, spec))
    return tuple(found)
