"""`percept engine build`: export and build a model's networks and fill its caches, so that a run starts at once."""

import sys

from pipeline.cli import account as closing
from pipeline.cli.options import Parser, add_config_options, add_talk_options, is_terminal, make_config
from pipeline.cli.run import tell_notice
from pipeline.logs import start_logging


def make_parser() -> Parser:
    parser = Parser(prog="percept engine", description="Build the engines of a model ahead of time.")
    parser.add_argument("action", choices=["build"], help="build: export, compile, check, and keep in the cache")
    add_config_options(parser)
    add_talk_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    start_logging(1 if options.verbose else -1 if options.quiet else 0, options.log_json)
    config = make_config(options)

    from pipeline.run import prepare

    account = prepare(config, on_notice=tell_notice)
    if account.exit_code:
        closing.tell(account, as_fields=options.log_json or not is_terminal())
    elif not options.quiet:
        print("ready", file=sys.stderr)
    return account.exit_code
