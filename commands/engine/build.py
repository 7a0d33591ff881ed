"""`percept engine build`: export, compile, check and cache engines, so that a run starts at once."""

import sys
from collections.abc import Iterator

import msgspec

from commands import account as closing
from commands.columns import gate_text, table
from commands.console import Console, add_console_options
from commands.options import Parser, add_config_options, make_config
from engines.building.choice import Choice, build_all, taken
from pipeline.build import make_settings
from pipeline.errors import ModelError
from pipeline.machine import core_count
from pipeline.stage import RunSettings


def make_parser() -> Parser:
    parser = Parser(
        prog="percept engine build",
        description="Export, compile and check the engines that a run of a model uses, and keep them in the cache.",
    )
    parser.add_argument("--all", action="store_true", help="build every installed backend and precision")
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    config = make_config(options)
    if options.all or config.model.device.startswith(
        "sm"
    ):  # no GPU of this kind may be present, so nothing can be opened
        return build_everything(make_settings(config), console, options.quiet)

    from pipeline.run import prepare

    account = prepare(config, on_notice=console.notice)
    if account.exit_code:
        closing.report(account, console)
        return account.exit_code
    if not options.quiet:
        for line in engine_lines(make_settings(config)):
            print(line)
        print("ready", file=sys.stderr)
    return 0


def engine_lines(settings: RunSettings) -> Iterator[str]:
    """The engine that a run uses for each tower, its gate, and why a preferred one was passed over."""
    for choice in taken(settings.model, settings.audio_model, settings.modalities, settings):
        yield from choice_lines(choice)


def build_everything(settings: RunSettings, console: Console, is_quiet: bool) -> int:
    """Build every engine. Returns exit code 4 if a tower has no usable engine, otherwise 0."""
    settings = msgspec.structs.replace(settings, threads=core_count())
    choices = []
    arguments = settings.model, settings.audio_model, settings.modalities, settings
    for choice in build_all(*arguments, console.say):
        choices.append(choice)
        if not is_quiet:
            print("\n".join(choice_lines(choice)), flush=True)
    if not choices:
        wanted = f"--engine {settings.engine} --precision {settings.precision}"
        raise ModelError(f"{wanted}: nothing to build on {settings.device}. See above for what is missing.")
    usable = {choice.towers for choice in choices if choice.is_usable}
    return 0 if usable >= {choice.towers for choice in choices} else ModelError.exit_code


def choice_lines(choice: Choice) -> Iterator[str]:
    """`image+motion  clip_vision  openvino-bf16 on cpu  passed: centred cosine 0.9921`, and the reason below it."""
    gate = gate_text(choice.gate) or ("is the reference" if choice.is_usable else "not built")
    yield from table([("+".join(choice.towers), choice.network, f"{choice.engine} on {choice.device}", gate)])
    if choice.reason:
        yield f"  {choice.reason}"
