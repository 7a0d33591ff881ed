"""`percept label`: label an archive, one Parquet file per source."""

import argparse
import sys
from pathlib import Path

from commands.console import Console, add_console_options
from commands.label_on import add_on_options
from commands.options import FEATURES, FLAGS, Parser, add_config_options, seconds, usable_config
from commands.sources import add_sources
from pipeline.errors import ConfigError, Problems

EXAMPLES = """examples:
  percept label videos/ -r -o labels/ --labels @words.txt
  percept label videos/ -r -o labels/                  # what is done is not done again
  percept label videos/ -r -o labels/ --retry-failed
  percept label incoming/ -o labels/ --follow          # until Ctrl-C
  percept label videos/ -r -o labels/ --on ray:auto    # on all machines of a Ray cluster
  percept label -o labels/ --compact                   # many small files become one per day

Several of these may run at once, on any machines: each source is claimed before it is opened.

exit codes: 0 success, 1 finished but some clips or sources failed, 2 usage or settings, 3 all sources failed, 4 engine
or model, 5 output or internal, 130 interrupted. Ctrl-C finishes the clips in flight; what is not done is done next
time."""


def make_parser() -> Parser:
    parser = Parser(prog="percept label", description="Label an archive: one Parquet file per source.", epilog=EXAMPLES)
    add_sources(parser, "an archive of any size")
    parser.add_argument("--request", choices=["-"], help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="the folder of the archive's files")
    group = parser.add_argument_group("what is done")
    group.add_argument("--retry-failed", action="store_true", help="also what has failed before")
    group.add_argument("--redo", action="store_true", help="also what was labelled with other settings, model or words")
    group.add_argument("--checksum", action="store_true", help="compare whole files, not size and time")
    group.add_argument("--follow", action="store_true", help="wait for new files, until Ctrl-C")
    group.add_argument(
        "--settle", type=seconds, default=10.0, metavar="TIME", help="with --follow: a file that has not changed for "
        "so long is complete (default: 10 s)",
    )  # fmt: skip
    group.add_argument(
        "--compact", action="store_true", help="label nothing; merge the small files of the archive by day of labelling"
    )
    for kind in ("vtt", "csv", "json"):
        group.add_argument(f"--{kind}", action="store_true", help=f"also a .{kind} file beside each Parquet file")
    group.add_argument("--claim-expiry", type=seconds, default=120.0, help=argparse.SUPPRESS)
    add_on_options(parser)
    add_config_options(parser, (*FLAGS, FEATURES))
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_intermixed_args(arguments)
    with Console.of(options, rows=False, is_shared=False) as console:
        return _label(options, console, arguments)


def _label(options: argparse.Namespace, console: Console, arguments: list[str]) -> int:
    if options.compact:
        return _compact(options, console)

    from archive.batches import read_order
    from archive.verdict import Wanted
    from commands.archive_sources import find_wanted, wanted_of
    from commands.labelling import Labelling, asked_of
    from commands.run import take_request

    if options.request:
        take_request(options)
    problems, wanted = Problems(), list[Wanted]()
    config = usable_config(options, problems, default="label")
    with problems.collected():
        if options.on and options.follow:
            raise ConfigError("--follow: follows with the processes of one machine; start it without --on")
        if not (options.sources or options.order):
            raise ConfigError(
                "percept label: no source given; expected a folder, such as: percept label videos/ -o labels/"
            )
        if not options.order:
            wanted = find_wanted(options.sources, options.recursive, may_be_empty=options.follow)
    with problems.collected():
        if Path(options.output).is_file():
            raise ConfigError(f"{options.output}: is a file; expected the folder of an archive")
    problems.raise_all()
    asked = asked_of(options, config)
    if options.order:
        names = read_order(sys.stdin.buffer.read(), asked.config, asked.words)
        wanted = [wanted_of(source, name) for source, name in names.items()]
    return Labelling(options, config, asked, wanted, console, arguments).run()


def _compact(options: argparse.Namespace, console: Console) -> int:
    from archive.compact import compact
    from archive.store import archive_at, no_archive

    if options.sources or options.on or options.follow:
        raise ConfigError("--compact: merges files of the archive and labels nothing; give it alone, with -o")
    store = archive_at(options.output)
    if next(iter(store.list()), None) is None:
        raise no_archive(store)
    done = compact(store, console.warn)
    console.say(
        f"{done.files_before:,} files before, {done.files_after:,} now; {done.sources:,} sources with {done.rows:,} "
        f"rows moved" + (f"; {done.damaged:,} damaged files were left alone" if done.damaged else "")
    )
    return 1 if done.damaged else 0
