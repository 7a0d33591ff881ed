"""The options of `percept label --on`."""

import argparse
import re

from commands.options import Parser


def add_on_options(parser: Parser) -> None:
    group = parser.add_argument_group("many processes, many machines")
    group.add_argument(
        "--on", metavar="WHERE", type=where,
        help="local:N: N processes that share the cores; ray: a Ray cluster of this machine; "
        "ray:ADDRESS: one that runs, such as ray:auto or ray:10.0.0.1:6379",
    )  # fmt: skip
    group.add_argument("--cores-per-child", metavar="N", type=int, default=0, help="cores of each process (default: 4)")
    group.add_argument(
        "--gpus-per-child", metavar="X", type=float, default=1.0,
        help="with --on ray and --device cuda, the share of a GPU that each process gets (default: 1)",
    )  # fmt: skip
    group.add_argument("--order", action="store_true", help=argparse.SUPPRESS)  # a batch on stdin


def where(text: str) -> tuple[str, str]:
    """`local:4`, `ray` or `ray:ADDRESS`: the kind and what follows."""
    kind, _, rest = text.partition(":")
    if kind == "ray" or (kind == "local" and re.fullmatch(r"[1-9]\d{0,2}", rest)):
        return kind, rest
    raise argparse.ArgumentTypeError(f"{text!r} is no place to run; expected local:N, ray or ray:ADDRESS")
