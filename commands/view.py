"""`percept view`: a page that plays the video with its results."""

import logging
import os
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from commands.console import Console, add_console_options
from commands.options import FLAGS, Parser, add_config_options, make_config
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.logs import log
from pipeline.sinks.file import printable

if TYPE_CHECKING:
    from pages.source import PageSource

EXAMPLES = """examples:
  percept view talk.jsonl                         writes talk.html
  percept view talk.jsonl --video talk.mp4 --open
  percept view talk.jsonl --explain               also why, for the best label of each clip
  percept view all.jsonl --html /srv/pages/all.html

The page is one file that needs no network. It refers to the video by a relative path, so move them together. For a
video that browsers cannot play, a small preview is made next to the page. Settings below are for --explain: give those
of the run."""
MOST = 60
_SETTINGS = ("--labels", "--descriptions", "--model", "--audio-model", "--engine", "--precision", "--device")


def make_parser() -> Parser:
    parser = Parser(
        prog="percept view",
        description="Write a page that shows results: the video with boxes and labels in step, a timeline, events,\n"
        "thumbnails and a filter.",
        epilog=EXAMPLES,
    )
    parser.add_argument("results", metavar="RESULTS", help="JSON lines of a run (.jsonl), or a JSON array (.json)")
    parser.add_argument("--video", metavar="FILE", help="the video, if it is no longer where the results say")
    parser.add_argument("--html", metavar="FILE", help="the page (default: next to the results, with .html)")
    parser.add_argument(
        "--explain", action="store_true",
        help=f"also explain the best label of each clip, at most {MOST}: click a label to see why it is there",
    )  # fmt: skip
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is not such a page")
    add_config_options(parser, [flag for flag in FLAGS if flag.name in _SETTINGS])
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    if not options.results or os.path.isdir(options.results):
        raise ConfigError(
            f"percept view {printable(options.results)!r}: expected a file of results, such as talk.jsonl, which "
            "percept run writes with -o talk.jsonl"
        )
    if options.html == "":
        raise ConfigError("--html: has no name; expected a file, such as --html talk.html")
    page = options.html or str(Path(options.results).with_suffix(".html"))
    _check(page, options.results, options.video, options.overwrite)
    sources = _sources(options.results, options.video)
    _make_previews(sources, page)
    if options.explain:
        _explain(sources, make_config(options), console)

    from pages.page import write_page

    write_page(page, sources)
    console.clear()
    for source in sources:
        for text in source.warnings:
            log(logging.WARNING, f"{printable(page)}: {text}")
    clips = sum(source.recording.clips for source in sources)
    size = os.path.getsize(page) / 1e6
    console.say(
        f"wrote {printable(page)}: {clips} clips of {len(sources)} source{'s'[: len(sources) != 1]}, {size:.1f} MB"
    )
    url = Path(os.path.abspath(page)).as_uri()
    print(url)
    if options.open and not webbrowser.open(url):
        log(logging.WARNING, f"no browser was found; open {url} yourself")
    return 0


def _explain(sources: "list[PageSource]", config: Config, console: Console) -> None:
    from commands.view_explained import explain_clips

    if not any(source.path for source in sources):
        raise ConfigError("--explain: the video is not here; say where it is with --video FILE")
    count = explain_clips(sources, config, console.detail, MOST)
    console.say(f"explained the best label of {count} clip{'s' * (count != 1)}")


def _check(page: str, results: str, video: str | None, overwrite: bool) -> None:
    """Raises: ConfigError: the page cannot be written there, or the video is missing."""
    from pages.document import is_ours

    if video is not None and not os.path.isfile(video):
        raise ConfigError(f"--video {printable(video)}: no such file; expected the video that the results are of")
    if os.path.isdir(page):
        raise ConfigError(f"--html {page}: is a folder; expected a file, such as {os.path.join(page, 'results.html')}")
    if os.path.exists(page) and any(
        os.path.samefile(page, each) for each in (results, video) if each and os.path.exists(each)
    ):
        raise ConfigError(f"--html {page}: would overwrite what the page is made of. Choose another name.")
    if os.path.exists(page) and not overwrite and not is_ours(page):
        raise ConfigError(f"{page}: exists already and is no page of percept. Give another --html, or add --overwrite.")


def _sources(results: str, video: str | None) -> "list[PageSource]":
    """The sources in the file, in their order. Raises: ConfigError."""
    from pages.media import find
    from pages.read import read_results
    from pages.recording import Recording
    from pages.source import PageSource

    recordings: dict[str, Recording] = {}
    for record in read_results(results):
        recordings.setdefault(record.source, Recording(record.source)).add(record)
    belongs = _source_of(video, list(recordings)) if video else None
    sources = [
        PageSource(recording, video, is_given=True) if name == belongs else PageSource(recording, find(name, results))
        for name, recording in recordings.items()
    ]
    if video is not None and any(each.path == video and each.media is None for each in sources):
        raise ConfigError(
            f"--video {printable(video)}: cannot be read as video or sound; expected the file that the results are of. "
            f"See: percept check {printable(video)}"
        )
    return sources


def _source_of(video: str, names: list[str]) -> str:
    """The source that a video belongs to: the only one, or the one of its name. Raises: ConfigError."""
    if len(names) == 1:
        return names[0]
    alike = [name for name in names if os.path.basename(name) == os.path.basename(video)]
    if len(alike) == 1:
        return alike[0]
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    raise ConfigError(
        f"--video {printable(video)}: the results are of {len(names)} sources ({shown}), and "
        f"{'none' if not alike else 'more than one'} has this name. Omit --video, and keep the videos where the "
        "results name them, or next to the results."
    )


def _make_previews(sources: "list[PageSource]", page: str) -> None:
    from pages.page import make_preview, preview_path
    from pipeline.build import film_source

    for number, source in enumerate(sources):
        if source.needs_preview and source.media is not None:
            path = preview_path(page, number, [each.path for each in sources if each.path])
            log(logging.INFO, f"making a preview, because of {source.media.obstacle}: {printable(path)}")
            make_preview(source, path, film_source({}))
