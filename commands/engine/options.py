"""Options shared by the commands on the cache."""

import argparse

from commands.console import add_console_options
from commands.options import Parser
from pipeline.build import make_settings
from pipeline.config import load_config


def make_store_parser(command: str, description: str) -> Parser:
    parser = Parser(prog=f"percept {command}", description=description)
    parser.add_argument("-c", "--config", metavar="FILE", help="settings from a TOML file, with the cache directory")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=argparse.SUPPRESS)
    add_console_options(parser)
    return parser


def cache_of(options: argparse.Namespace) -> str:
    """The cache directory that a run with this config uses."""
    return make_settings(load_config(options.config, options.set)).cache_directory
