"""`percept check`: validate settings, model and sources without running, and print the plan."""

import argparse
import logging
from collections.abc import Callable, Iterable

from commands.columns import table
from commands.console import Console, add_console_options, clock_text
from commands.engine.build import engine_lines
from commands.options import Parser, add_config_options, usable_config
from commands.sources import add_sources, find_sources
from pipeline.build import make_plan, make_stages
from pipeline.clip import SourceInfo
from pipeline.errors import Problems, SourceError
from pipeline.logs import log, redact
from pipeline.plain import PlainLoop
from pipeline.plan import Plan
from pipeline.probe import probe
from pipeline.run import place, private_directory
from pipeline.stage import Stage

MB = 1 << 20


def make_parser() -> Parser:
    parser = Parser(
        prog="percept check",
        description="Validate settings, model and sources without running, and print the plan.",
    )
    add_sources(parser, "to inspect")
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_intermixed_args(arguments)
    console = Console.of(options)
    plan, sources = checked(options)
    stages = make_stages(plan.config, plan.settings, plan.budget)
    for line in plan_lines(plan, stages):
        print(line)
    facts = load_stages(plan, console.say)
    print("\nloaded")
    for line in table([(name, value) for name, value in sorted(facts.items())]):
        print("  " + line)
    print("\nengines")
    for line in engine_lines(plan.settings):
        print("  " + line)
    return print_sources(sources, plan)


def checked(options: argparse.Namespace) -> tuple[Plan, list[str]]:
    """The plan and the sources. Raises: ConfigError, ModelError: all problems with them."""
    problems = Problems()
    config = usable_config(options, problems)
    sources: list[str] = []
    with problems.collected():
        sources = find_sources(options.sources, options.recursive)
    with problems.collected():
        plan = make_plan(config, max(1, len(sources)))
    problems.raise_all()
    return plan, sources


def plan_lines(plan: Plan, stages: dict[str, Stage]) -> Iterable[str]:
    """The plan as text: settings, stages, groups and processes, slots and memory."""
    settings = plan.settings
    yield from table(
        [
            ("model", settings.model),
            *([("audio model", settings.audio_model)] if settings.audio_model else []),
            ("labels", f"{len(settings.labels)}: {', '.join(settings.labels[:6])}{', …' * (len(settings.labels) > 6)}"),
            *([("templates", settings.templates)] if settings.templates != "model" else []),
            *([("descriptions", settings.descriptions)] if settings.descriptions else []),
            ("modalities", ", ".join(settings.modalities)),
            ("clips", f"{settings.clip_ns / 1e9:g} s, {settings.frame_rate_hz:g} frames/s"),
            ("engine", f"{settings.engine} {settings.precision} on {settings.device}"),
            ("cache", settings.cache_directory),
        ]
    )
    yield "\nstages"
    home = {name: group.name for group in plan.groups for name in group.stages}
    decoded = [name for name in plan.specs if not any(name in stage.gives() for stage in stages.values())]
    rows: list[tuple[str, ...]] = [
        ("stage", "group", "required", "optional", "gives"),
        ("decode", "decode", "-", "-", " ".join(decoded)),
    ]
    rows += [
        (
            name,
            home[name],
            *(" ".join(names) or "-" for names in (stage.required, stage.optional, tuple(stage.gives()))),
        )
        for name, stage in stages.items()
    ]
    yield from ("  " + line for line in table(rows))
    yield "\ngroups"
    groups = [("group", "processes", "threads", "stages"), ("decode", str(plan.decode_workers), "1", "decode")]
    groups += [(group.name, str(group.workers), str(group.threads), " ".join(group.stages)) for group in plan.groups]
    yield from ("  " + line for line in table(groups))
    size = plan.layout.slot_bytes
    yield f"\nslots   {plan.slots} of {size / MB:.1f} MB = {plan.slots * size / MB:.0f} MB of shared memory"


def load_stages(plan: Plan, report: Callable[[str], None]) -> dict[str, str]:
    """Prepare and open every stage once, as a worker would, and return the facts it reports, such as its engine.

    Raises: PerceptError: something cannot be loaded.
    """
    with private_directory() as directory, PlainLoop(place(plan, directory), report=report) as loop:
        return {
            f"{name} {key}": value for name, stage in loop.stages.items() for key, value in stage.describe().items()
        }


def print_sources(sources: list[str], plan: Plan) -> int:
    """Open each source and print its streams. Returns exit code 3 if one cannot be opened, otherwise 0."""
    if sources:
        print("\nsources")
    failed = 0
    for probed in probe(plan, sources):
        if probed.info is not None:
            print("  " + source_text(probed.info))
        else:
            failed += 1
            log(logging.ERROR, probed.error)
    return SourceError.exit_code if failed else 0


def source_text(info: SourceInfo) -> str:
    """`talk.mp4: 1280×720, 25 frames/s, sound 44100 Hz, 1:30`"""
    rate = f", {info.frame_rate_hz:g} frames/s" if info.frame_rate_hz else ""
    picture = f"{info.width}×{info.height}{rate}" if info.has_video else "no picture"
    sound = f"sound {info.sample_rate_hz} Hz" if info.has_audio else "no sound"
    length = clock_text(info.duration_ns / 1e9) if info.duration_ns else "length unknown"
    return redact("; ".join([f"{info.source}: {picture}, {sound}, {length}", *info.notes]))
