"""`percept run`: label and track the clips of videos."""

import argparse
import sys

import msgspec

from commands import account as closing
from commands.console import Console, add_console_options
from commands.options import Parser, add_config_options, add_output_options, usable_config
from commands.outputs import make_outputs, split_events
from commands.sources import add_sources, find_sources
from pipeline.build import make_plan
from pipeline.config import Config
from pipeline.errors import ConfigError, Problems
from pipeline.sinks.kinds import sink_class
from pipeline.status import Account, OutputSpec

EXAMPLES = """examples:
  percept run talk.mp4 --labels "dog barking, rain, people talking"
  percept run 'videos/*.mp4' --labels @words.txt -o out.jsonl --resume
  percept run holiday/ -r -o holiday.jsonl
  percept run talk.mp4 --events --video labelled.mp4

exit codes: 0 success, 1 finished but some clips or sources failed, 2 usage or settings, 3 source, 4 engine or model,
5 output or internal, 130 interrupted. Ctrl-C finishes the clips in flight; a second Ctrl-C stops at once."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The input that the Python API sends on stdin, because a command line cannot carry it."""

    sources: list[str]
    labels: list[str] | None = None


def make_parser() -> Parser:
    parser = Parser(
        prog="percept run",
        description="Label every clip of a video, from picture, motion and sound.",
        epilog=EXAMPLES,
    )
    add_sources(parser, "several are processed in order")
    parser.add_argument("--request", choices=["-"], help=argparse.SUPPRESS)
    add_output_options(parser)
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    parser = make_parser()
    options = parser.parse_intermixed_args(split_events(arguments))
    console = Console.of(options)
    if options.request:
        request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
        options.sources = request.sources
        if request.labels is not None:
            setattr(options, "labels.words", request.labels)
    if not options.sources:
        raise ConfigError(
            "percept run: no video given; expected a file, folder, URL, playlist or glob, such as: percept run talk.mp4"
        )
    config, sources, outputs = checked(options)

    from pipeline.run import run

    account: Account = run(config, sources, outputs, on_status=console.status, on_notice=console.notice)
    console.clear()
    closing.report(account, as_fields=console.as_fields)
    return account.exit_code


def checked(options: argparse.Namespace) -> tuple[Config, list[str], list[OutputSpec]]:
    """Config, sources and outputs.

    Raises: ConfigError, ModelError: all problems with them, and with what they need from this machine.
    """
    problems, sources, outputs = Problems(), list[str](), list[OutputSpec]()
    config = usable_config(options, problems)
    with problems.collected():
        sources = find_sources(options.sources, options.recursive)
    with problems.collected():
        outputs = make_outputs(options, config, sources)
    for spec in outputs:
        with problems.collected():
            sink_class(spec)
    if problems:  # otherwise the run makes the plan
        with problems.collected():
            make_plan(config, max(1, len(sources)))
    problems.raise_all()
    return config, sources, outputs
