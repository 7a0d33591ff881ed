"""`percept engine verify`: hash every file and run every gate again."""

from collections.abc import Iterator

from commands.columns import figures_text
from commands.console import Console
from commands.engine.options import cache_of, make_store_parser
from commands.options import Parser
from engines.cache.verify import Verdict, verify
from pipeline.errors import ModelError
from pipeline.machine import core_count


def make_parser() -> Parser:
    parser = make_store_parser(
        "engine verify",
        "Read every file of the cache and compare every engine with its network. Damaged or wrong entries are\n"
        "set aside, so that the next run rebuilds them; then the exit code is 4.",
    )
    parser.add_argument("--model", metavar="DIR|HUB_ID", default="", help="only the engines of this model")
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    cache = cache_of(options)
    verdicts = []
    for verdict in verify(cache, options.model, core_count(), console.say):
        verdicts.append(verdict)
        for line in lines(verdict, options.verbose):
            print(line, flush=True)
    wrong = sum(not verdict.is_fine for verdict in verdicts)
    if not verdicts:
        print(f"nothing to verify in {cache}")
    elif wrong:
        print(f"{wrong} of {len(verdicts)} wrong. Build again with: percept engine build")
    return ModelError.exit_code if wrong else 0


def lines(verdict: Verdict, is_verbose: bool) -> Iterator[str]:
    """One line; with `is_verbose`, followed by figures at the smallest, typical and largest batch."""
    what = " ".join(filter(None, (verdict.network, verdict.name, verdict.device, verdict.kind)))
    figures = figures_text(verdict.gate.worst) if verdict.gate is not None else ""
    yield ": ".join(filter(None, (verdict.state, what, figures, verdict.text)))
    if is_verbose and verdict.gate is not None:
        for each in verdict.gate.figures:
            yield f"  {each.output} at batch {each.batch}: {figures_text(each)}"
