"""`percept labels weigh`: weight prompt templates on unlabelled clips."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from commands.columns import table
from commands.console import Console, add_console_options
from commands.labels.embedded import clip_embeddings
from commands.options import Parser, add_config_options
from commands.preflight import checked_settings
from commands.sources import find_sources
from engines.models.checkpoint import read_model
from pipeline.errors import ConfigError, OutputError
from pipeline.logs import log
from stages.words.templates import Found, template_file
from stages.words.weigh import weigh

CLIPS = 300
FEW = 30
"""A warning is logged for fewer clips than this."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept labels weigh",
        description="Weight prompt templates on unlabelled clips (ZPE): those with more decided scores count more.\n"
        "Give clips like those to be labelled. --stride-seconds 30 takes fewer clips from more places of long videos.",
    )
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="files, URLs or globs")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write the weights to FILE (.json), for --templates FILE"
    )
    parser.add_argument(
        "--clips", dest="most", type=int, default=CLIPS, metavar="N", help=f"use about N clips (default: {CLIPS})"
    )
    parser.add_argument(
        "--method", choices=("softmax", "select"), default="softmax",
        help="weights: softmax of the scores, or equal for those well above the median (default: softmax)",
    )  # fmt: skip
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_intermixed_args(arguments)
    console = Console.of(options)
    if options.output and Path(options.output).suffix != ".json":
        raise ConfigError(f"-o {options.output}: expected a name that ends in .json")
    if options.most < 1:
        raise ConfigError(f"--clips {options.most}: expected at least 1")
    config, settings = checked_settings(options)
    choice = config.labels.templates.removeprefix("zpe:")
    choice = "pool" if choice in ("model", "zpe") else choice
    settings = msgspec.structs.replace(settings, templates=choice)
    if not config.labels.words:
        settings = msgspec.structs.replace(settings, labels=())
    spec = read_model(settings.model, settings.audio_model)
    seen = clip_embeddings(config, find_sources(options.clips), options.most, settings.threads, console.say)
    found = weigh(spec, settings, seen, options.method, console.say)
    for line in lines(found):
        print(line)
    if options.output:
        write(Path(options.output), template_file(spec.id, found))
        print(f"\nUse them with: percept run ... --templates {options.output}")
    return 0


def lines(found: dict[str, Found]) -> Iterator[str]:
    for modality, one in found.items():
        yield f"{modality}, {one.clips} clips"
        rows = [(f"{row.weight:6.1%}", f"{row.score:.2f}", row.template) for row in one.rows()]
        yield from ("  " + line for line in table([("weight", "score", "template"), *rows]))
        if one.clips < FEW:
            log(logging.WARNING, f"{modality}: only {one.clips} clips; expected {FEW} or more, better 200")


def write(path: Path, content: bytes) -> None:
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        half.write_bytes(content)
        half.replace(path)
    except OSError as error:
        raise OutputError(f"-o {path}: {error.strerror}; expected a writable file") from error
