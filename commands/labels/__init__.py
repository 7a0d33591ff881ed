"""`percept labels`: check a list of labels, or weight prompt templates. One file per action."""

from importlib import import_module

from commands.actions import Actions
from commands.options import Parser

ACTIONS = Actions(
    verb="labels",
    about="Check labels and prompt templates before a run.",
    does={
        "lint": "find labels that the model confuses, cuts off or cannot read, or that win everywhere",
        "weigh": "weight prompt templates on unlabelled clips",
    },
)


def action_parser(action: str) -> Parser:
    parser: Parser = import_module(f"commands.labels.{action}").make_parser()
    return parser


def main(arguments: list[str]) -> int:
    action = ACTIONS.requested(arguments)
    code: int = import_module(f"commands.labels.{action}").main(arguments[1:]) if action else 0
    return code
