"""`percept run`: label and track the clips of videos."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from commands import account as closing
from commands.console import Console, add_console_options
from commands.options import Parser, add_config_options, add_output_options, usable_config
from commands.outputs import default_format, make_outputs, split_events, stdout_kind, terminal_output
from commands.sources import add_sources, find_sources
from pipeline.build import make_plan
from pipeline.config import Config
from pipeline.errors import ConfigError, Problems, ReaderGone
from pipeline.logs import redact
from pipeline.sinks.kinds import sink_class
from pipeline.sinks.paths import output_paths
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
    parser.add_argument(
        "--profile",
        action="store_true",
        help="say at the end which stages took the time, and how large their arrays are",
    )
    parser.add_argument("--request", choices=["-"], help=argparse.SUPPRESS)
    add_output_options(parser)
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    parser = make_parser()
    options = parser.parse_intermixed_args(split_events(arguments))
    options.format = default_format(options)
    has_rows = stdout_kind(options.format or "") == "terminal"
    is_shared = sys.stdout.isatty() and not has_rows and bool(options.format or "-" in options.output)
    with Console.of(options, rows=has_rows, is_shared=is_shared) as console:
        return _run(options, console)


def _run(options: argparse.Namespace, console: Console) -> int:
    if options.request:
        take_request(options)
    if not options.sources:
        raise ConfigError(
            "percept run: no video given; expected a file, folder, URL, playlist or glob, such as: percept run talk.mp4"
        )
    config, sources, outputs = checked(options)
    if not (console.as_fields or options.quiet or any(spec.kind == "terminal" for spec in outputs)):
        outputs.append(terminal_output(config, sources, rows=False))
    console.expect(weights(sources))
    tell_settings(console, options, config, sources, outputs)

    from pipeline.run import run

    began_s = time.time()

    def report(account: Account) -> None:
        console.clear()
        if account.exit_code != ReaderGone.exit_code:
            closing.report(account, console, outputs, began_s, options.profile)

    account: Account = run(
        config,
        sources,
        outputs,
        on_status=console.status,
        on_notice=console.notice,
        on_rows=console.rows,
        on_complete=report,
    )
    console.clear()
    return account.exit_code


def take_request(options: argparse.Namespace) -> None:
    """Take sources and labels from stdin."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    options.sources = request.sources
    if request.labels is not None:
        setattr(options, "labels.words", request.labels)


def weights(sources: Sequence[str]) -> list[float]:
    """How much each source counts in the progress of a run: its bytes; all the same if not all are files."""
    sizes = [float(os.path.getsize(source)) if os.path.isfile(source) else 0.0 for source in sources]
    return sizes if all(sizes) else [1.0] * len(sources)


def tell_settings(
    console: Console, options: argparse.Namespace, config: Config, sources: Sequence[str], outputs: Sequence[OutputSpec]
) -> None:
    """For -v: what is run on what, and with which settings."""
    console.detail(f"sources: {', '.join(map(redact, sources))}")
    for spec in outputs:
        console.detail(f"output {spec.kind}: {', '.join(output_paths(spec)) or 'summary'}")
    console.detail(f"config: {options.config or 'default'}")
    for key, value in changed(msgspec.to_builtins(config), msgspec.to_builtins(Config())):
        console.detail(f"setting {key} = {json.dumps(value, ensure_ascii=False)}")
    console.detail(f"model: {config.model.path}, engine {config.model.engine}, device {config.model.device}")


def changed(tree: Mapping[str, Any], default: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    """The keys of a config that differ from the defaults, with their values."""
    for key, value in tree.items():
        before = default.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            yield from changed(value, before, f"{above}{key}.")
        elif value != before:
            yield f"{above}{key}", value


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
