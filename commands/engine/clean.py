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
HOW_MORE = "To remove everything: percept engine clean --all; those of one model: --model M"


def make_parser() -> Parser:
    parser = make_store_parser(
        "engine clean",
        "Remove unusable entries: damaged or unfinished ones, those of other versions, and those whose model\n"
        "no longer exists. With options, remove the entries that they select instead. Entries that are being\n"
        "built are skipped.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="DIR|HUB_ID", help="entries of this model")
    which.add_argument("--all", action="store_true", help="all entries")
    parser.add_argument("--bad", action="store_true", help="only damaged entries and those that failed a gate")
    parser.add_argument("--older-than", metavar="DAYS", type=float, help="only entries older than DAYS")
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
            log(logging.WARNING, f"{entry.title}: is being built; skipped")
            continue
        print(f"removed {entry.title}, {size_text(entry.size_bytes)}{why}")
        freed += entry.size_bytes
    print(f"freed {size_text(freed)} in {cache}")
    left = sum(entry.size_bytes for entry in found) - freed
    if left and not has_selection(options):
        print(f"{size_text(left)} of usable entries are left. {HOW_MORE}")
    return 0


def has_selection(options: argparse.Namespace) -> bool:
    """Whether options select the entries to remove."""
    return bool(options.model or options.all or options.bad or options.older_than is not None)


def is_busy(entry: Entry, cache: str) -> bool:
    """Whether another process may be building an engine from this export."""
    return entry.kind == "export" and bool(is_building(cache))


def chosen(found: list[Entry], options: argparse.Namespace) -> list[Entry]:
    """The entries to remove. An export is removed together with the last engine that was built from it."""
    if not has_selection(options):
        return [entry for entry in found if entry.useless]
    of_model = networks_of(options.model) if options.model else None
    before_s = time.time() - DAY_S * (options.older_than or 0.0)

    def is_selected(entry: Entry) -> bool:
        if of_model is not None and (entry.network, entry.directory) not in of_model:
            return False
        return (entry.failed or not options.bad) and entry.built_at_s <= before_s

    engines = [entry for entry in found if entry.kind == "engine"]
    removed = {entry.export for entry in engines if is_selected(entry)}
    kept = {entry.export for entry in engines if not is_selected(entry)}
    only_theirs = of_model is not None or options.bad

    def is_unused(export: Entry) -> bool:
        if export.key in kept or export.built_at_s > before_s:
            return False
        return export.key in removed or not only_theirs

    return [entry for entry in found if (is_unused if entry.kind == "export" else is_selected)(entry)]
