"""`percept where`: where words are in a photo or in pictures of a film."""

import argparse
import json
import sys
from pathlib import Path

from commands.console import Console, add_console_options
from commands.options import FLAGS, Parser, add_config_options, make_config, seconds
from pipeline.errors import ConfigError

_SETTINGS = ("--model", "--engine", "--precision", "--device")
KINDS = ("semantic", "instance", "panoptic")
EVERY_S = 2.0

EXAMPLES = """examples:
  percept where photo.jpg --labels "dog|puppy; grass; sky"
  percept where film.mp4 --labels "car; road" --at 1:05 --as instance
  percept where film.mp4 --labels "person; bicycle" --every 10 -o maps/

Words are separated by ";", synonyms by "|". Each word is compared with the model's background vocabulary, never with
the others. What no word fits is unknown. docs/explaining.md says how far such maps can be trusted."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept where",
        description="Show where words are in a photo, or in pictures of a film: a picture with its parts drawn on it,\n"
        "a mask, and a JSON file with boxes and areas.",
        epilog=EXAMPLES,
    )
    parser.add_argument("source", metavar="FILE", help="a photo or a film")
    parser.add_argument("--labels", metavar="WORDS", required=True, help="what to look for: 'dog|cat; grass; sky'")
    parser.add_argument(
        "--as", dest="kind", choices=KINDS, default="panoptic",
        help="semantic: one part a word; instance: each thing by itself, no grass and sky; panoptic: both (default)",
    )  # fmt: skip
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--at", metavar="TIME", type=seconds, help="one moment: seconds or hh:mm:ss")
    when.add_argument(
        "--every", metavar="TIME", type=seconds, help=f"a picture in each stretch of this length (default: {EVERY_S:g})"
    )
    parser.add_argument(
        "--fill", action="store_true", help="divide the whole picture among the words that are in it, without unknown"
    )
    parser.add_argument(
        "--quick", action="store_true", help="look at large parts of the picture alone: faster, less exact"
    )
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="FOLDER", default="maps", help="where files go (default: maps/)")
    output.add_argument("--json", action="store_true", help="print JSON lines, also on a terminal")
    add_config_options(parser, [flag for flag in FLAGS if flag.name in _SETTINGS])
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    with Console.of(options) as console:
        config = make_config(options, lambda: _check(options))

        from evidence.looking import How, looking
        from evidence.sights import sentence, write_sights
        from pipeline.logs import is_terminal
        from stages.maps.phrases import parse_phrases

        every_s = None if options.at is not None else options.every or EVERY_S
        words = parse_phrases(options.labels)
        with looking(config, words, console.say, How(not options.quick, options.fill), every_s) as look:
            names = look.labels.labels
            sights = look.at(options.source, options.at, every_s)
            for told in write_sights(Path(options.output), options.source, sights, names, options.kind):
                as_json = options.json or not is_terminal(sys.stdout)
                print(json.dumps(told) if as_json else sentence(told), flush=True)
        console.say(f"wrote {options.output}")
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.every is not None and options.every <= 0:
        raise ConfigError(f"--every {options.every:g}: expected more than 0 seconds")
    if not options.output:
        raise ConfigError("-o: has no name; expected a folder, such as -o maps/")
    if Path(options.output).is_file():
        raise ConfigError(f"-o {options.output}: is a file; expected a folder")
