"""`percept find`: where what a phrase describes is, in a photo or a film."""

import argparse
import json
import sys
from contextlib import nullcontext
from pathlib import Path

from commands.console import Console, add_console_options
from commands.kept import Kept
from commands.options import FLAGS, Parser, add_config_options, make_config, seconds
from pipeline.config import Config
from pipeline.errors import ConfigError

_SETTINGS = ("--model", "--detector", "--engine", "--precision", "--device")
EVERY_S = 2.0
MOST = 3

EXAMPLES = """examples:
  percept find photo.jpg "the red cup left of the laptop"
  percept find film.mp4 "a man riding a bike" --at 1:05 -o found.png
  percept find film.mp4 "the person in red who came in first"
  percept find photo.jpg "A dog lies on the grass. It is next to a white car." --json

Colours, sizes, places and motion are measured, and relations are judged by the boxes; all other words are part of the
names that the model judges. docs/explaining.md says how far the answers can be trusted."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept find",
        description="Find what a phrase describes, in a photo or a film: boxes, best first, each with the parts of\n"
        "the phrase that speak for it.",
        epilog=EXAMPLES,
    )
    parser.add_argument("source", metavar="FILE", help="a photo or a film")
    parser.add_argument("phrase", metavar="PHRASE", help="a phrase, or several sentences, in English")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--at", metavar="TIME", type=seconds, help="one moment: seconds or hh:mm:ss")
    when.add_argument(
        "--every", metavar="TIME", type=seconds, help=f"a picture in each stretch of this length (default: {EVERY_S:g})"
    )
    parser.add_argument("--most", metavar="N", type=int, default=MOST, help=f"boxes of a picture (default: {MOST})")
    parser.add_argument("--quick", action="store_true", help="look into fewer boxes, and only once: faster, less exact")
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o", "--output", metavar="FILE", help="a picture (.png) with the boxes; of a film, that of its best moment"
    )
    output.add_argument("--overwrite", action="store_true", help="replace an existing file")
    output.add_argument("--json", action="store_true", help="print JSON lines, also on a terminal")
    add_config_options(parser, [flag for flag in FLAGS if flag.name in _SETTINGS])
    add_console_options(parser)
    return parser


def main(arguments: list[str], kept: Kept | None = None) -> int:
    """kept: what earlier calls have opened, if it is to stay open."""
    options = make_parser().parse_args(arguments)
    with Console.of(options) as console, nullcontext(kept) if kept else Kept() as opened:
        config = make_config(options, lambda: _check(options))

        from evidence.finding.drawn import found_picture
        from evidence.finding.finder import finding
        from evidence.finding.over_time import OverTime
        from evidence.finding.told import facts, film_facts, film_lines, lines
        from evidence.sights import write_png
        from pipeline.logs import is_terminal

        every_s = None if options.at is not None else options.every or EVERY_S
        as_json = options.json or not is_terminal(sys.stdout)
        names = asked_names(config, options.phrase)
        finder = opened.open(
            ("find", config, options.quick, every_s, names),
            lambda: finding(config, console.detail, options.quick, every_s, names),
        )
        judge = finder.judge(options.phrase)
        over = OverTime(judge.phrase)
        for found in finder.at(options.source, judge, options.at, every_s):
            over.add(found)
            print(
                json.dumps(facts(found, options.most)) if as_json else "\n".join(lines(found, options.most)),
                flush=True,
            )
        if over.is_film and options.at is None:
            print(json.dumps(film_facts(over)) if as_json else "\n".join(film_lines(over)))
        if options.output and over.best is not None:
            write_png(Path(options.output), found_picture(over.best, options.most))
            console.say(f"wrote {options.output}")
    return 0


def asked_names(config: Config, phrase: str) -> list[str]:
    """The things of a phrase, for a detector that looks for words; none for another."""
    from stages.detect.detectors import OWN, looks_for_words
    from stages.phrase.parse import parse_phrase

    if not looks_for_words(str(config.stages.get("detect", {}).get("detector", OWN))):
        return []
    return [thing.name for thing in parse_phrase(phrase).things if not thing.is_any]


def _check(options: argparse.Namespace) -> None:
    from stages.phrase.parse import parse_phrase

    parse_phrase(options.phrase)
    if options.every is not None and options.every <= 0:
        raise ConfigError(f"--every {options.every:g}: expected more than 0 seconds")
    if options.most < 1:
        raise ConfigError(f"--most {options.most}: expected at least 1")
    if options.output is None:
        return
    picture = Path(options.output)
    if picture.suffix.lower() != ".png":
        raise ConfigError(f"-o {options.output}: expected a name that ends in .png")
    if picture.exists() and not options.overwrite:
        raise ConfigError(f"{picture}: exists already. Choose another name with -o, or add --overwrite.")
