"""`percept labels lint`: words that a model confuses, cuts, cannot read, or finds everywhere."""

from collections.abc import Iterable, Iterator

import msgspec

from commands.columns import table
from commands.console import Console, add_console_options
from commands.labels.embedded import clip_embeddings
from commands.options import Parser, add_config_options, make_config
from commands.sources import find_sources
from engines.models.checkpoint import read_model
from pipeline.build import make_settings
from pipeline.errors import ConfigError
from pipeline.machine import core_count
from stages.words.lint import Finding, lint

CLIPS = 200
SHOWN = 20
TITLES = {
    "twice": "said twice",
    "cut": "longer than the text tower reads",
    "unknown": "not known to the tokenizer",
    "alike": "not told apart (text cosine, from the background; from 0.7 on scores take two for one)",
    "everywhere": "win everywhere",
}
REMEDIES = {
    "twice": "Leave one out, or write them as synonyms: {words}",
    "cut": "Say it in fewer words.",
    "unknown": "Use words of the language that the model was trained on, or a multilingual model.",
    "alike": "If they mean the same, write {words}; if not, say what sets them apart.",
    "everywhere": "Say more precisely what is meant, or leave it out.",
}


def make_parser() -> Parser:
    parser = Parser(
        prog="percept labels lint",
        description="What is wrong with a list of words for a model: words it cannot tell apart, words that win "
        "everywhere, words it cannot read. With clips, winning is looked for in them.",
    )
    parser.add_argument("words", metavar="WORDS", help="'dog barking, rain' or @words.txt")
    parser.add_argument(
        "clips", nargs="*", metavar="CLIP", help="files, URLs or globs like those that will be labelled"
    )
    parser.add_argument("--strict", action="store_true", help="exit code 1 when anything is found")
    parser.add_argument("--all", action="store_true", help=f"everything, not the worst {SHOWN} of a kind")
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_intermixed_args(arguments)
    console = Console.of(options)
    if getattr(options, "labels.words") is not None:
        raise ConfigError("--labels: the words stand without it: percept labels lint 'dog barking, rain'")
    setattr(options, "labels.words", options.words)
    config = make_config(options)
    settings = msgspec.structs.replace(make_settings(config), threads=core_count())
    spec = read_model(settings.model, settings.audio_model)
    sources = find_sources(options.clips)
    seen = clip_embeddings(config, sources, CLIPS, settings.threads, console.say) if sources else None
    found = lint(spec, settings, console.say, seen)
    for line in lines(found, None if options.all else SHOWN):
        print(line)
    count = len({(one.kind, one.words) for one in found})
    said = f"{count} finding{'' if count == 1 else 's'}" if count else "nothing to complain of"
    print(f"{len(settings.labels)} labels, {spec.id}: {said}")
    return 1 if found and options.strict else 0


def lines(found: Iterable[Finding], most: int | None) -> Iterator[str]:
    """A table per kind, with a remedy for the worst; a finding of several towers is one row."""
    merged: dict[tuple[str, tuple[str, ...]], list[Finding]] = {}
    for one in found:
        merged.setdefault((one.kind, one.words), []).append(one)
    for kind, title in TITLES.items():
        rows = sorted(
            (all_ for (of, _), all_ in merged.items() if of == kind), key=lambda all_: -max(x.size for x in all_)
        )
        if not rows:
            continue
        yield f"{title}: {len(rows)}"
        yield from ("  " + line for line in table([_row(one) for one in rows[:most]]))
        if most is not None and len(rows) > most:
            yield f"  ... and {len(rows) - most} more (--all)"
        yield "  " + REMEDIES[kind].format(words=repr("|".join(rows[0][0].words))) + "\n"


def _row(all_: list[Finding]) -> tuple[str, ...]:
    names = " / ".join(word if len(word) <= 40 else f"{word[:37]}..." for word in all_[0].words)
    return names, ", ".join(f"{one.modality} {one.text}" if one.modality else one.text for one in all_)
