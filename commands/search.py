"""`percept search`: find moments in an archive by words, by an example, or by both."""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from commands.console import Console, add_console_options
from commands.options import FLAGS, Parser, add_config_options, make_config, probability, words
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from archive.search.hits import Hit
    from archive.search.question import Question

EXAMPLES = """examples:
  percept search labels/ "a dog barking at night"
  percept search labels/ "a dog" --minus people --where "duration > 60 and source like '%2024%'"
  percept search labels/ --like clip.mp4@12s                  moments that look and sound like this one
  percept search labels/ "at night" --like photo.jpg          like this photo, but at night
  percept search labels/ --like-sound bark.wav --modality image    pictures of what barks
  percept search labels/ --like photo.jpg --aspect place      the same place, whatever happens there
  percept search labels/ 'a door text:"EXIT"'                 where this can be read; label with --text
  percept search labels/ --excerpt short.mp4                  where it is part of a longer recording

A condition may name source, name, start_s, end_s, duration (of the source, in seconds), recorded, device, timecode,
text (what was read), and labels (those with a probability of at least 0.5), such as "'dog' in labels". The first search
of an archive prepares it; later ones add what is new."""
_SETTINGS = ("--model", "--audio-model", "--templates", "--device", "--engine")


def make_parser() -> Parser:
    parser = Parser(
        prog="percept search",
        description="Find moments in an archive that percept label wrote.",
        epilog=EXAMPLES,
    )
    parser.add_argument("archive", metavar="FOLDER", help="the archive")
    parser.add_argument("text", metavar="WORDS", nargs="?", default="", help="what to look for")
    group = parser.add_argument_group("query")
    group.add_argument(
        "--like",
        metavar="FILE[@TIME]",
        default="",
        help="a moment, a stretch (@12s-20s), a photo or a sound as example",
    )
    group.add_argument("--like-sound", metavar="FILE[@TIME]", default="", help="the same, its sound alone")
    group.add_argument("--minus", metavar="WORDS", default="", help="what hits are not about")
    group.add_argument(
        "--excerpt", metavar="FILE[@FROM-TO]", default="", help="find where a recording is part of others"
    )
    group.add_argument(
        "--modality", metavar="LIST", type=words, default=[], help="what is compared: image, motion, audio"
    )
    group.add_argument(
        "--aspect", metavar="NAME|WORDS", default="",
        help="compare in one aspect: place, action, thing, sound, light, people, style, or by words that differ in it",
    )  # fmt: skip
    group.add_argument("--where", metavar="SQL", default="", help="only clips for which this condition is true")
    group.add_argument(
        "--mix", metavar="SHARE", type=probability, default=0.5,
        help="share of the words in a query of words and an example (default: 0.5)",
    )  # fmt: skip
    group.add_argument(
        "--approximate", action="store_true",
        help="look only at clips that an index names, for many millions of clips; needs the extra faiss",
    )  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument("--top", metavar="N", type=int, default=20, help="hits (default: 20)")
    output.add_argument("--json", action="store_true", help="JSON lines, also on a terminal")
    output.add_argument("--html", metavar="FILE", help="write a page with thumbnails")
    output.add_argument(
        "--play",
        metavar="N",
        nargs="?",
        type=int,
        const=1,
        help="play the first hit, or the Nth, with mpv, ffplay or vlc",
    )
    add_config_options(parser, [flag for flag in FLAGS if flag.name in _SETTINGS])
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    with Console.of(options) as console:
        question = question_of(options)
        config = make_config(options, lambda: _check(options), question.check, default="label")

        from archive.search.opened import Opened
        from archive.search.search import search

        opened = Opened(options.archive, config, console.say, console.detail)
        hits = search(opened, question, thumbnails=bool(options.html))
        _warn(opened.passed_over, console)
    _show(hits, options)
    if options.html:
        from archive.search.sheet import write_sheet

        write_sheet(options.html, title(question), hits)
        console.say(f"wrote {options.html}")
    return _play(hits, options.play) if options.play is not None else 0


def question_of(options: argparse.Namespace) -> "Question":
    from archive.search.question import Question

    return Question(
        text=options.text,
        like=options.like,
        like_sound=options.like_sound,
        minus=options.minus,
        excerpt=options.excerpt,
        modalities=tuple(options.modality),
        aspect=options.aspect,
        where=options.where,
        mix=options.mix,
        top=options.top,
        approximate=options.approximate,
    )


def title(question: "Question") -> str:
    """The question in a line: `a dog, like clip.mp4@12s, not people`"""
    example = question.like or question.like_sound
    parts = [question.text, f"like {example}" if example else "", question.excerpt]
    parts += [f"not {question.minus}" if question.minus else "", f"where {question.where}" if question.where else ""]
    return ", ".join(filter(None, parts))


def _check(options: argparse.Namespace) -> None:
    if "://" not in options.archive and not os.path.isdir(options.archive):
        raise ConfigError(f"{options.archive}: no such folder; expected an archive that percept label wrote")
    if options.top < 1:
        raise ConfigError(f"--top {options.top}: expected at least 1")
    if options.play is not None and not 1 <= options.play <= options.top:
        raise ConfigError(f"--play {options.play}: expected the number of a hit, from 1 to {options.top}")
    if options.html == "" or (options.html and os.path.isdir(options.html)):
        raise ConfigError(f"--html {options.html!r}: expected a file, such as hits.html")
    if options.html and os.path.exists(options.html):
        from pages.document import is_ours

        if not is_ours(options.html):
            raise ConfigError(f"--html {options.html}: exists already and is no page of percept. Choose another name.")


def _warn(passed_over: dict[str, str], console: Console) -> None:
    if passed_over:
        name, reason = next(iter(passed_over.items()))
        count = f"{len(passed_over):,} file{'s'[: len(passed_over) != 1]} cannot be searched"
        console.warn(f"{count}, such as {name}: {reason.removeprefix(f'{name}: ')}")


def _show(hits: "list[Hit]", options: argparse.Namespace) -> None:
    from pipeline.logs import is_terminal

    if options.json or not is_terminal(sys.stdout):
        for hit in hits:
            print(json.dumps(hit.to_dict(), ensure_ascii=True))
        return
    from commands.columns import table

    print("\n".join(table([cells(number + 1, hit) for number, hit in enumerate(hits)])) or "nothing was found")


def cells(number: int, hit: "Hit") -> tuple[str, ...]:
    """`1   93 %   0:12–0:18   videos/dog.mp4   dog 91 %, rain 20 %`"""
    from commands.progress import clock_text
    from pipeline.logs import visible

    score = f"{hit.score:.0%}".replace("%", " %") if hit.scale != "similarity" else f"{hit.score:.3f}"
    labels = ", ".join(f"{visible(name)} {100 * value:.0f} %" for name, value in hit.labels)
    return str(number), score, f"{clock_text(hit.start_s)}–{clock_text(hit.end_s)}", visible(hit.name), labels


def _play(hits: "list[Hit]", number: int) -> int:
    from archive.search.player import play

    if len(hits) < number:
        raise ConfigError(f"--play {number}: there are only {len(hits)} hits")
    hit = hits[number - 1]
    return play(hit.source, hit.best_s)
