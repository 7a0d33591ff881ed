"""`percept engine clean`: remove entries of the cache."""

import argparse
import logging
import time

from commands.columns import size_text
from commands.console import Console
from commands.engine.options import cache_of, make_store_parser
from commands.options import Parser
from engines.cache.store import Entry, entries, is_building, networks_of, remove
from pipeline.errors import ConfigError
from pipeline.logs import log

DAY_S = 86_400.0
HOW_MORE = "Everything goes with: percept engine clean --all; one model with: --model M"


def make_parser() -> Parser:
    parser = make_store_parser(
        "clean",
        "Remove what nothing can use any more: damaged and unfinished entries, those of other versions, those whose "
        "model is gone. Options remove more. What is being built is left alone.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="DIR|HUB_ID", help="everything of this model")
    which.add_argument("--all", action="store_true", help="everything")
    parser.add_argument("--bad", action="store_true", help="of these, only what is damaged or failed its gate")
    parser.add_argument("--older-than", metavar="DAYS", type=float, help="of these, only what was built before that")
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    Console.of(options)
    if options.older_than is not None and options.older_than < 0:
        raise ConfigError(f"--older-than {options.older_than:g}: expected a number of days, 0 or more")
    cache = cache_of(options)
    found = entries(cache)
    freed = 0
    for entry in chosen(found, options):
        why = f" ({entry.useless})" if entry.useless else ""
        if is_busy(entry, cache) or not remove(entry):
            log(logging.WARNING, f"{entry.title}: is being built; left alone")
            continue
        print(f"removed {entry.title}, {size_text(entry.size_bytes)}{why}")
        freed += entry.size_bytes
    print(f"freed {size_text(freed)} in {cache}")
    left = sum(entry.size_bytes for entry in found) - freed
    if left and not is_told(options):
        print(f"{size_text(left)} are left, and of use. {HOW_MORE}")
    return 0


def is_told(options: argparse.Namespace) -> bool:
    """Whether the user said what to remove."""
    return bool(options.model or options.all or options.bad or options.older_than is not None)


def is_busy(entry: Entry, cache: str) -> bool:
    """An export may be waited for by whoever builds an engine of it."""
    return entry.kind == "export" and bool(is_building(cache))


def chosen(found: list[Entry], options: argparse.Namespace) -> list[Entry]:
    """What is to be removed; an export goes when every engine that was made of it does."""
    if not is_told(options):
        return [entry for entry in found if entry.useless]
    of_model = networks_of(options.model) if options.model else None
    before_s = time.time() - DAY_S * (options.older_than or 0.0)

    def is_meant(entry: Entry) -> bool:
        if of_model is not None and (entry.network, entry.directory) not in of_model:
            return False
        return (entry.failed or not options.bad) and entry.built_at_s <= before_s

    engines = [entry for entry in found if entry.kind == "engine"]
    going = {entry.export for entry in engines if is_meant(entry)}
    staying = {entry.export for entry in engines if not is_meant(entry)}
    only_theirs = of_model is not None or options.bad

    def is_of_no_more_use(export: Entry) -> bool:
        if export.key in staying or export.built_at_s > before_s:
            return False
        return export.key in going or not only_theirs

    return [entry for entry in found if (is_of_no_more_use if entry.kind == "export" else is_meant)(entry)]
