"""`percept label`: label an archive, one Parquet file per source."""

import argparse
import sys
import time
from pathlib import Path

from archive.batches import read_order
from archive.fingerprint import fingerprint_of, is_same
from archive.labels import words_hash
from archive.names import file_of, names_of
from archive.schema import Facts
from archive.settings import config_hash
from archive.shard import ShardError, facts_of
from commands import account as closing
from commands.console import Console, add_console_options
from commands.label_compact import compact_archive
from commands.label_on import add_on_options, label_on
from commands.options import Parser, add_config_options, usable_config
from commands.run import weights
from commands.sources import add_sources, find_sources
from pipeline.errors import ConfigError, Problems
from pipeline.status import Account, OutputSpec
from stages.words.word import default_labels, parse_labels

EXAMPLES = """examples:
  percept label videos/ -r -o labels/ --labels @words.txt
  percept label videos/ -r -o labels/        # what is done is not done again
  percept label videos/ -r -o labels/ --on ray:auto
  percept label -o labels/ --compact"""


def make_parser() -> Parser:
    parser = Parser(prog="percept label", description="Label an archive: one Parquet file per source.", epilog=EXAMPLES)
    add_sources(parser, "an archive of any size")
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="the folder of the archive's files")
    parser.add_argument("--compact", action="store_true", help="merge small files of the archive by day; label nothing")
    add_on_options(parser)
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_intermixed_args(arguments)
    with Console.of(options, rows=False, is_shared=False) as console:
        if options.compact:
            return compact_archive(options.output, console)
        return _label(options, console, arguments)


def _label(options: argparse.Namespace, console: Console, arguments: list[str]) -> int:
    problems, sources = Problems(), list[str]()
    config = usable_config(options, problems, default="label")
    with problems.collected():
        sources = [] if options.order else find_sources(options.sources, options.recursive)
        if not (options.sources or options.order):
            raise ConfigError(
                "percept label: no source given; expected a folder, such as: percept label videos/ -o labels/"
            )
    problems.raise_all()
    labels = parse_labels(config.labels.words) or default_labels()
    hashed, words = config_hash(config), words_hash(labels)
    names = names_of((source, str(Path(source).parent)) for source in sources)
    if options.order:
        names = read_order(sys.stdin.buffer.read(), hashed, words)
        sources = list(names)
    todo = [
        source for source in sources if not is_done(Path(options.output, file_of(names[source])), source, hashed, words)
    ]
    if options.on and not options.order:
        given = {source: names[source] for source in todo}
        return label_on(options, arguments, given, hashed, words, config.model.device, console)
    console.expect(weights(todo))
    spec = OutputSpec(
        kind="archive",
        sink="archive.sink:Archive",
        path=options.output,
        sources=tuple(todo),
        options={"names": names, "config": hashed, "labels": list(labels), "words": words},
    )

    from pipeline.run import run

    began_s = time.time()

    def report(account: Account) -> None:
        console.clear()
        closing.report(account, console, [spec], began_s)

    account = run(config, todo, [spec], on_status=console.status, on_notice=console.notice, on_complete=report)
    console.clear()
    return account.exit_code


def is_done(path: Path, source: str, config: str, words: str) -> bool:
    try:
        facts: Facts = facts_of(str(path), str(path))
        now = fingerprint_of(source)
    except (OSError, ShardError):
        return False
    return not facts.error and (facts.config, facts.words) == (config, words) and is_same(facts.fingerprint, now)
