"""`percept export`: what an archive says, as files that other programs read."""

import logging
from typing import TYPE_CHECKING

from archive.exports.formats import FORMATS
from commands.console import Console, add_console_options
from commands.options import Parser, probability
from pipeline.logs import log
from pipeline.sinks.file import printable

if TYPE_CHECKING:
    from archive.exports.export import Exported

EXAMPLES = """examples:
  percept export labels/ --as vtt -o subtitles/
  percept export labels/ --as otio -o markers/ --source 'videos/2024/*' --min-probability 0.7
  percept export labels/ --as cvat -o tracks/ --source talk.mp4"""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept export",
        description="Write what an archive says as files that other programs read, one for each source:\n\n"
        + "\n".join(f"  {name:12} {form.about}" for name, form in FORMATS.items()),
        epilog=EXAMPLES,
    )
    parser.add_argument("archive", metavar="ARCHIVE", help="the folder that percept label has written")
    parser.add_argument("--as", dest="kind", required=True, choices=tuple(FORMATS), help="the format")
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where the files go")
    parser.add_argument(
        "--source", metavar="NAME", action="append", default=[],
        help="only this source: its name, the end of it, or a pattern such as 'videos/2024/*'; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--min-probability", metavar="P", type=probability,
        help="an event begins at this probability (default: 0.5), and tracks with a less probable name are left out",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_intermixed_args(arguments)
    console = Console.of(options)

    from archive.exports.export import export_archive

    done = export_archive(
        options.archive,
        options.output,
        options.kind,
        sources=options.source,
        least_probability=options.min_probability,
        overwrite=options.overwrite,
        on_file=lambda path: console.detail(f"wrote {printable(path)}"),
    )
    _report(done, options.output, console)
    return 1 if done.damaged else 0


def _report(done: "Exported", output: str, console: Console) -> None:
    for text in done.damaged:
        log(logging.ERROR, text)
    for text in done.left_out + done.uncertain:
        log(logging.WARNING, text)
    content = [counted(number, noun) for number, noun in ((done.events, "event"), (done.tracks, "track")) if number]
    console.say(f"wrote {counted(done.files, 'file')} to {printable(output)}: {', '.join(content) or 'nothing found'}")


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`"""
    return f"{number} {noun}{'s'[: number != 1]}"
