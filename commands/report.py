"""`percept report`: pages that show an archive."""

import os
import webbrowser
from pathlib import Path

from commands.console import Console, add_console_options
from commands.options import Parser
from pipeline.errors import ConfigError
from pipeline.s3 import S3
from pipeline.sinks.file import printable

EXAMPLES = """examples:
  percept report labels/                          writes labels-report/index.html
  percept report labels/ -o report/ --open
  percept report labels/ --videos /mnt/videos     where the labelled folder is now

The pages refer to videos by relative paths and need no network. Pictures are those that percept label stored."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept report",
        description="Write pages that show an archive: its sources with their timelines, how often each label was\n"
        "found, the best moments, and what failed. A click plays the video at that second.",
        epilog=EXAMPLES,
    )
    parser.add_argument("archive", metavar="ARCHIVE", help="a folder that percept label wrote")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="where pages go (default: ARCHIVE-report)")
    parser.add_argument("--html", action="store_true", help="write HTML pages, which is the default")
    parser.add_argument("--videos", metavar="FOLDER", default="", help="where the folder that was labelled is now")
    parser.add_argument("--open", action="store_true", help="open the first page in the browser")
    parser.add_argument("--overwrite", action="store_true", help="replace an index.html that is no page of percept")
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    if not options.archive or options.output == "":
        raise ConfigError("percept report: the name of a folder is empty; expected an archive, such as labels/")
    output = Path(options.output) if options.output else _beside(options.archive)
    with Console.of(options) as console:
        from archive.report import survey, write_report
        from archive.store import archive_at

        store = archive_at(options.archive)
        _check(options.archive, output, options.videos, options.overwrite)
        found = survey(store)
        steps = console.steps("reading")
        pages = write_report(store, output, found, options.videos, lambda done, total: steps(done, total))
        console.clear()
        size = sum(os.path.getsize(page) for page in pages) / 1e6
        failed = f", {len(found.failures)} failed" if found.failures else ""
        console.say(
            f"wrote {printable(str(output))}: {len(found.good)} sources{failed}, {len(pages)} pages, {size:.1f} MB"
        )
        url = Path(os.path.abspath(pages[0])).as_uri()
        print(url)
        if options.open and not webbrowser.open(url):
            console.warn(f"no browser was found; open {url} yourself")
    return 1 if found.damaged else 0


def _beside(archive: str) -> Path:
    """Where pages go by default: beside the archive; those of one in S3, where the command runs."""
    if archive.startswith(S3):
        return Path(f"{archive.rstrip('/').rpartition('/')[2]}-report")
    folder = Path(os.path.realpath(archive))
    return folder.with_name(f"{folder.name}-report")


def _check(archive: str, output: Path, videos: str, overwrite: bool) -> None:
    """Raises: ConfigError."""
    from pages.document import is_ours

    if videos and not os.path.isdir(videos):
        raise ConfigError(f"--videos {printable(videos)}: no such folder; expected the one that was labelled")
    if not archive.startswith(S3) and os.path.realpath(output) == os.path.realpath(archive):
        raise ConfigError(f"-o {output}: is the archive itself; expected another folder for the pages")
    if output.exists() and not output.is_dir():
        raise ConfigError(f"-o {output}: is a file; expected a folder for the pages")
    index = output / "index.html"
    if index.exists() and not overwrite and not is_ours(str(index)):
        raise ConfigError(f"{index}: exists already and is no page of percept. Give another -o, or add --overwrite.")
