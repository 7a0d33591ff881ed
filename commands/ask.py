"""`percept ask`: questions in plain words to what was seen and heard."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from commands.console import Console, add_console_options
from commands.options import FLAGS, Parser, add_config_options, make_config, seconds
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from archive.ask.answerer import Foreign
    from archive.ask.answering import Answer, Proof
    from archive.ask.log import Log
    from archive.ask.matching import Nearest
    from pipeline.config import Config

_SETTINGS = ("--min-probability", "--min-duration", "--gap", "--no-merge", "--exclusive", "--model")
TOP = 20
LIMIT_S = 60.0

EXAMPLES = """examples:
  percept ask talk.jsonl "how often did the dog bark after the siren?"
  percept ask labels/ "in which files is there a dog while it rains?"
  percept ask out.jsonl "how many people entered the door between 0:10 and 1:00?" --json
  percept ask state/ "when was the last siren?"            what percept watch keeps
  percept ask out.jsonl "what is going on?" --answerer ./ask-my-model.py

A question is one of: when, how often, how long, how many, is there / did, what, which track, where, which file. It may
have first, last or longest, and after, before, while, within 5 s of something, between two times, in a zone, across a
line, in a file. docs/asking.md says how it is read. What the log cannot answer is refused, with exit code 2."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept ask",
        description="Ask what was seen and heard, in plain words. The answer is one sentence, with the clips\n"
        "that prove it.",
        epilog=EXAMPLES,
    )
    parser.add_argument("log", metavar="LOG", help="results (out.jsonl), an archive's folder, or the state of a watch")
    parser.add_argument("question", metavar="QUESTION", help="such as 'how often did the dog bark after the siren?'")
    group = parser.add_argument_group("answerer")
    group.add_argument(
        "--answerer", metavar="COMMAND", default="",
        help="a program that answers in our place: it gets question and log as JSON on stdin",
    )  # fmt: skip
    group.add_argument(
        "--answerer-limit", metavar="TIME", type=seconds, default=LIMIT_S,
        help=f"how long it may take: seconds or hh:mm:ss (default: {LIMIT_S:g})",
    )  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json", action="store_true", help="print the answer as JSON, with its value and all its clips"
    )
    output.add_argument("--top", metavar="N", type=int, default=TOP, help=f"clips that are shown (default: {TOP})")
    add_config_options(parser, [flag for flag in FLAGS if flag.name in _SETTINGS])
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    with Console.of(options) as console:
        config = make_config(options, lambda: _check(options), default="default")

        from archive.ask.log import read_log
        from commands.outputs import event_options

        log = read_log(options.log, event_options(config), console.warn)
        if options.answerer:
            from archive.ask.answerer import ask_program

            told = ask_program(options.answerer, options.question, log, options.answerer_limit)
            if told.unknown:
                clips = "1 clip that is" if told.unknown == 1 else f"{told.unknown} clips that are"
                console.warn(f"{told.by} named {clips} not in the log, which was left out")
            _print(str(told), told.proofs, foreign_facts(told, options.question), options)
            return 0
        from archive.ask.answering import answer
        from archive.ask.matching import Matcher
        from archive.ask.sentences import sentence

        found = answer(options.question, log, Matcher(_nearest(config, log, console)))
        _print(sentence(found), found.proofs, facts(found, sentence(found)), options)
    return 0


def _check(options: argparse.Namespace) -> None:
    if not options.question.strip():
        raise ConfigError("the question is empty; expected one such as 'when did the dog bark?'")
    if options.top < 0:
        raise ConfigError(f"--top {options.top}: expected at least 0")
    if options.answerer_limit <= 0:
        raise ConfigError(f"--answerer-limit {options.answerer_limit:g}: expected more than 0 seconds")


def _nearest(config: "Config", log: "Log", console: Console) -> "Nearest":
    """Asks the text tower of the model that made the log. It is loaded if a word is not found in any form."""

    def nearest(phrase: str, names: Sequence[str]) -> Sequence[str]:
        from archive.ask.nearest import by_text_tower

        return by_text_tower(config, log.model, phrase, names, console.detail)

    return nearest


def facts(found: "Answer", sentence: str) -> dict[str, Any]:
    """An answer as plain data."""
    return {
        "question": found.question.text,
        "kind": found.question.kind,
        "answer": sentence,
        "value": found.value,
        "by": "percept",
        "words": {match.phrase: list(match.names) for match in found.matches},
        "clips": [clip(proof) for proof in found.proofs],
    }


def foreign_facts(told: "Foreign", question: str) -> dict[str, Any]:
    """What another program answered, as plain data."""
    clips = [clip(proof) for proof in told.proofs]
    return {"question": question, "answer": told.text, "by": told.by, "clips": clips}


def clip(proof: "Proof") -> dict[str, Any]:
    kept: dict[str, Any] = {
        "source": proof.source,
        "start_s": round(proof.start_s, 3),
        "end_s": round(proof.end_s, 3),
        "what": proof.what,
        "probability": round(proof.probability, 4),
        "is_about": proof.is_about,
        "track": proof.track,
        "start_wall": proof.wall,
    }
    if proof.is_about == "theirs":
        kept |= {"what": "", "probability": None}
    return {name: value for name, value in kept.items() if value not in (None, "")}


def _print(sentence: str, proofs: "Sequence[Proof]", told: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(told, ensure_ascii=True))
        return
    from commands.columns import table

    print(sentence)
    shown = list(proofs[: options.top])
    for line in table([cells(proof) for proof in shown]):
        print(line)
    if len(proofs) > len(shown) > 0:
        print(f"and {len(proofs) - len(shown)} more; --top shows more of them")


def cells(proof: "Proof") -> tuple[str, ...]:
    """`0:12–0:18   dog barking 91 %   videos/dog.mp4`"""
    from pipeline.logs import visible
    from pipeline.result import clock_text

    when = f"{clock_text(proof.start_s)}–{clock_text(proof.end_s)}"
    track = f" (track {proof.track})" if proof.track is not None else ""
    what = f"{visible(proof.what)} {100 * proof.probability:.0f} %{track}" if proof.what or track else ""
    about = {"reference": "compared with", "nearest": "most probable"}.get(proof.is_about, "")
    return when, what.strip(), visible(proof.source), proof.wall, about
