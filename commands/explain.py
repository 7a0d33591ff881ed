"""`percept explain`: why a clip got a label, as one picture and two sentences."""

import argparse
import json
import os
from contextlib import nullcontext
from pathlib import Path

import msgspec

from commands.console import Console, add_console_options
from commands.kept import Kept
from commands.options import FLAGS, Parser, add_config_options, make_config, seconds
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.result import ClipRecord, Track

_SETTINGS = (
    *("--labels", "--descriptions", "--clip-seconds", "--modalities"),
    *("--model", "--audio-model", "--engine", "--precision", "--device"),
)

EXAMPLES = """examples:
  percept explain film.mp4 --at 4.5                      its most probable label
  percept explain film.mp4 --at 1:05 --label "dog barking" -o why.png
  percept explain film.mp4 --at 12 --labels "rain, siren" --json
  percept explain film.mp4 --at 12 --results film.jsonl   name the track, too

The picture shows where in the frames, when and how high in the sound, and where in the motion the label's evidence is,
and what each of them adds to the label's log-odds. docs/explaining.md says what such maps can and cannot show."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept explain",
        description="Say why the clip at a moment has a label: one picture and two sentences, with the same numbers.",
        epilog=EXAMPLES,
    )
    parser.add_argument("source", metavar="FILE", help="a film, a photo or a sound")
    parser.add_argument(
        "--at", metavar="TIME", type=seconds, default=0.0, help="the moment: seconds or hh:mm:ss (default: 0)"
    )
    parser.add_argument("--label", metavar="WORD", help="the label to explain (default: the most probable)")
    parser.add_argument(
        "--results",
        metavar="FILE",
        help="results of a run, as JSON lines: the sentence names the track of the clip that the evidence lies on",
    )
    parser.add_argument(
        "--pixels", action="store_true", help="also show one frame's evidence in its pixels, which takes longer"
    )
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="FILE", help="the picture (default: NAME-why.png)")
    output.add_argument("--overwrite", action="store_true", help="replace an existing file")
    output.add_argument("--json", action="store_true", help="print the numbers as JSON")
    add_config_options(parser, [flag for flag in FLAGS if flag.name in _SETTINGS])
    add_console_options(parser)
    return parser


def main(arguments: list[str], kept: Kept | None = None) -> int:
    """kept: what earlier calls have opened, if it is to stay open."""
    options = make_parser().parse_args(arguments)
    with Console.of(options) as console, nullcontext(kept) if kept else Kept() as opened:
        picture = Path(options.output or f"{Path(options.source).stem}-why.png")
        config = make_config(options, lambda: _check(options, picture))

        from evidence.explaining import explaining
        from evidence.sights import write_bytes
        from evidence.strip import strip_png
        from evidence.told import facts, sentences

        tracks = _tracks(options.results, options.source, options.at) if options.results else []
        label = options.label or ""
        config = with_label(config, label)
        explainer = opened.open(
            ("explain", without_labels(config), options.pixels),
            lambda: explaining(config, console.detail, options.pixels),
        )
        explainer.ask(config.labels.words)
        why = explainer.at(options.source, options.at, label.partition("|")[0].strip(), tracks)
        write_bytes(picture, strip_png(why))
        if options.json:
            print(json.dumps(facts(why) | {"picture": str(picture)}))
        else:
            print("\n".join(sentences(why)))
            console.say(f"wrote {picture}")
    return 0


def with_label(config: Config, label: str) -> Config:
    """The config with the label to explain as its only one, unless it has labels of its own."""
    if not label or config.labels.words:
        return config
    return msgspec.structs.replace(config, labels=msgspec.structs.replace(config.labels, words=(label,)))


def without_labels(config: Config) -> Config:
    return msgspec.structs.replace(config, labels=msgspec.structs.replace(config.labels, words=""))


def _tracks(results: str, source: str, time_s: float) -> list[Track]:
    """The tracks of a source at a time, from a file of results. Raises: ConfigError: it has no such clip."""
    from pages.read import read_results

    for record in read_results(results):
        if not isinstance(record, ClipRecord) or os.path.basename(record.source) != os.path.basename(source):
            continue
        if record.is_result and record.start_s <= time_s < record.end_s:
            return record.tracks or []
    raise ConfigError(
        f"--results {results}: has no clip of {source} at {time_s:g} s; expected the results of a run on it"
    )


def _check(options: argparse.Namespace, picture: Path) -> None:
    if options.label == "":
        raise ConfigError('--label "": names nothing; expected a word, such as --label rain. Omit it for the best one')
    if options.output == "":
        raise ConfigError("-o: has no name; expected a file, such as -o why.png")
    if picture.is_dir():
        raise ConfigError(f"-o {picture}: is a folder; expected a file, such as {os.path.join(picture, 'why.png')}")
    if picture.exists() and not options.overwrite:
        raise ConfigError(f"{picture}: exists already. Choose another name with -o, or add --overwrite.")
    if picture.suffix.lower() != ".png":
        raise ConfigError(f"-o {picture}: expected a name that ends in .png")
