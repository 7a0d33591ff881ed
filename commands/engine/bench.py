"""`percept engine bench`: time every installed backend and precision."""

import argparse
import sys
from collections.abc import Iterator, Sequence

import msgspec

from commands.columns import gate_text, size_text, table
from commands.console import Console, add_console_options
from commands.options import Parser, add_config_options, make_config
from engines.building.bench import Row, time_all
from pipeline.build import make_settings
from pipeline.errors import ConfigError, ModelError
from pipeline.machine import core_count

MOST_BATCH = 1024


def batches(text: str) -> list[int]:
    """`1,8,16`"""
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or not all(1 <= size <= MOST_BATCH for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r}: expected batch sizes from 1 to {MOST_BATCH}, such as 1,8,16")
    return sizes


def make_parser() -> Parser:
    parser = Parser(
        prog="percept engine bench",
        description="Time every installed backend and precision, each in its own process. Missing engines are built.\n"
        "--engine, --precision and --modalities restrict the selection.",
    )
    parser.add_argument(
        "--batch", type=batches, default=[1, 8, 16], metavar="LIST", help="batch sizes (default: 1,8,16)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        metavar="S",
        help="at most, per engine and size; a third if its times agree (default: 3)",
    )
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads per engine (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    if options.seconds <= 0 or options.threads < 0:
        raise ConfigError(
            f"--seconds {options.seconds:g} --threads {options.threads}: expected a time above 0 and a "
            "number of threads of at least 0"
        )
    settings = make_settings(make_config(options))
    settings = msgspec.structs.replace(settings, threads=options.threads or core_count())
    given = settings.model, settings.audio_model, settings.modalities, settings
    rows = []
    for row in time_all(*given, console.say, options.batch, options.seconds):
        rows.append(row)
        console.say(one_line(row))
    if options.json:
        whole = {"model": settings.model, "threads": settings.threads, "rows": rows}
        sys.stdout.write(msgspec.json.encode(whole).decode() + "\n")
    else:
        for line in lines(rows, options.batch):
            print(line)
    return 0 if any(row.items_per_s for row in rows) else ModelError.exit_code


def lines(rows: Sequence[Row], sizes: Sequence[int]) -> Iterator[str]:
    """Items per second at each batch size, load time, memory and gate. Engines that were not timed are at the end."""
    heads = ("towers", "engine", "device", *(f"batch {size}" for size in sizes), "load", "memory", "gate")
    timed = [row for row in rows if row.items_per_s]
    if timed:
        yield from table([heads, *(cells(row, sizes) for row in timed)])
        yield "items/s; memory is the growth of the process"
    for row in rows:
        if not row.items_per_s:
            yield f"{'+'.join(row.choice.towers)} {row.choice.engine}: not timed: {row.choice.reason}"


def one_line(row: Row) -> str:
    """`image: openvino-bf16: items/s: 41.2 at batch 1, 55.0 at batch 8`, or why it was not timed."""
    what = f"{'+'.join(row.choice.towers)}: {row.choice.engine}"
    if not row.items_per_s:
        return f"{what}: not timed: {row.choice.reason}"
    rates = [f"{rate:.1f} at batch {size}" for size, rate in row.items_per_s.items()]
    return f"{what}: items/s: {', '.join(rates)}"


def cells(row: Row, sizes: Sequence[int]) -> tuple[str, ...]:
    choice = row.choice
    rates = (f"{row.items_per_s[size]:.1f}" for size in sizes)
    gate = gate_text(choice.gate) or "is the reference"
    what = "+".join(choice.towers), choice.engine, choice.device
    return *what, *rates, f"{row.load_s:.1f} s", size_text(row.memory_bytes), gate
