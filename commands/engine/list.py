"""`percept engine list`: list the entries of the cache."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from commands.columns import gate_text, size_text, table, when_text
from commands.console import Console
from commands.engine.options import cache_of, make_store_parser
from commands.options import Parser
from engines.cache.store import Entry, entries

HEADS = {
    "engine": ("network", "model", "engine", "device", "size", "built", "took", "gate"),
    "export": ("network", "precision", "size", "exported", "took", ""),
    "left over": ("what", "size", "since", "path"),
}
BUILDS = "percept engine build makes the engines of percept-mini; --model M those of another model"


def make_parser() -> Parser:
    parser = make_store_parser(
        "engine list", "List the exported networks and engines in the cache, their quality and size."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    Console.of(options)
    cache = cache_of(options)
    found = entries(cache)
    if options.json:
        whole = {"cache": cache, "total_bytes": sum(entry.size_bytes for entry in found), "entries": found}
        sys.stdout.write(msgspec.json.encode(whole).decode() + "\n")
        return 0
    for line in lines(cache, found):
        print(line)
    return 0


def lines(cache: str, found: list[Entry]) -> Iterator[str]:
    if not found:
        yield f"nothing in {cache} yet: {BUILDS}"
        return
    for kind, heads in HEADS.items():
        of_kind = [entry for entry in found if entry.kind == kind]
        if of_kind:
            yield {"engine": "engines", "export": "exports", "left over": "left over"}[kind]
            yield from ("  " + line for line in table([heads, *map(row, of_kind)]))
            yield ""
    yield f"{size_text(sum(entry.size_bytes for entry in found))} in {cache}"


def row(entry: Entry) -> tuple[str, ...]:
    size, when, took = size_text(entry.size_bytes), when_text(entry.built_at_s), f"{entry.built_s:.1f} s"
    if entry.kind == "left over":
        return entry.name, size, when, entry.path
    if entry.kind == "export":
        return entry.network or "?", entry.name or "?", size, when, took, entry.useless
    model = Path(entry.directory).name
    return entry.network or "?", model, entry.name or "?", entry.device, size, when, took, state_text(entry)


def state_text(entry: Entry) -> str:
    return f"not used: {entry.useless}" if entry.useless else gate_text(entry.gate)
