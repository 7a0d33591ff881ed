"""`percept labels lint`: find labels that a model confuses, cuts off or cannot read, or that win everywhere."""

from collections.abc import Iterable, Iterator

from commands.columns import table
from commands.console import Console, add_console_options
from commands.labels.embedded import clip_embeddings
from commands.options import Parser, add_config_options
from commands.preflight import checked_settings
from commands.sources import find_sources
from engines.models.checkpoint import read_model
from pipeline.errors import ConfigError
from stages.words.lint import Finding, lint
from training.data.example import counted

CLIPS = 200
SHOWN = 20
TITLES = {
    "twice": "given twice",
    "cut": "longer than the text tower can read",
    "unknown": "unknown to the tokenizer",
    "no word": "perhaps no words",
    "unseen": "far from everything that the model was made to know (text cosine relative to the background)",
    "alike": "too similar (text cosine relative to the background; from 0.7 on, scores cannot separate them)",
    "above": "one may be a kind of the other, so that both are right (text cosine relative to the background)",
    "everywhere": "win everywhere",
}
REMEDIES = {
    "twice": "Remove one, or write them as synonyms: {words}",
    "cut": "Use fewer words.",
    "unknown": "Use words of the language that the model was trained on, or a multilingual model.",
    "no word": "Correct the spelling, or describe the label in usual words.",
    "unseen": "Use a word for something that can be seen or heard, a model that knows it, or teach it: percept adapt.",
    "alike": "If they mean the same, write {words}; otherwise, add words that distinguish them.",
    "above": "If it is so, write them as levels, such as {above}, or keep only one of them.",
    "everywhere": "Unless it is what most clips show, use a more specific label, or remove it.",
}


def make_parser() -> Parser:
    parser = Parser(
        prog="percept labels lint",
        description="Find problems in a list of labels: labels that the model confuses, cuts off, cannot read or\n"
        "cannot see, that are no words, of which one is a kind of another, or that win everywhere. With clips,\n"
        "labels that are probable in most of them are found, too.",
    )
    parser.add_argument("words", metavar="WORDS", help="'dog barking, rain' or @words.txt")
    parser.add_argument("clips", nargs="*", metavar="CLIP", help="files, URLs or globs, like those to be labelled")
    parser.add_argument("--strict", action="store_true", help="exit with code 1 if there are findings")
    parser.add_argument("--all", action="store_true", help=f"print all findings, not only the worst {SHOWN} of a kind")
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_intermixed_args(arguments)
    console = Console.of(options)
    if getattr(options, "labels.words") is not None:
        raise ConfigError("--labels: not used here; expected the labels alone: percept labels lint 'dog barking, rain'")
    setattr(options, "labels.words", options.words)
    config, settings = checked_settings(options)
    spec = read_model(settings.model, settings.audio_model)
    sources = find_sources(options.clips)
    seen = clip_embeddings(config, sources, CLIPS, settings.threads, console.say) if sources else None
    found = lint(spec, settings, console.say, seen)
    for line in lines(found, None if options.all else SHOWN):
        print(line)
    count = len({(one.kind, one.words) for one in found})
    result = f"{count} finding{'' if count == 1 else 's'}" if count else "no findings"
    print(f"{counted(len(settings.labels), 'label')}, {spec.id}: {result}")
    return 1 if found and options.strict else 0


def lines(found: Iterable[Finding], most: int | None) -> Iterator[str]:
    """A table per kind, with a remedy for the worst finding. A finding of several towers is one row."""
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
        yield "  " + _remedy(kind, rows[0][0].words) + "\n"


def _remedy(kind: str, words: tuple[str, ...]) -> str:
    return REMEDIES[kind].format(words=repr("|".join(words)), above=repr(" > ".join(words)))


def _row(all_: list[Finding]) -> tuple[str, ...]:
    names = " / ".join(word if len(word) <= 40 else f"{word[:37]}..." for word in all_[0].words)
    return names, ", ".join(f"{one.modality} {one.text}" if one.modality else one.text for one in all_)
