"""`percept schema`: the JSON schema of results, or a table of their fields."""

import sys

import msgspec

from commands.console import Console, add_console_options
from commands.options import Parser, add_config_options, make_config
from pipeline.build import make_plan
from pipeline.schema import field_tables, record_schema


def make_parser() -> Parser:
    parser = Parser(
        prog="percept schema",
        description="Print the JSON schema of the results of a run with these settings, including the fields of\n"
        "your own stages.",
    )
    parser.add_argument("--table", action="store_true", help="print Markdown tables of the fields instead")
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    Console.of(options)
    schema = record_schema(make_plan(make_config(options)).parts)
    if options.table:
        for line in field_tables(schema):
            print(line)
    else:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n")
    return 0
