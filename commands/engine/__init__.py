"""`percept engine`: the compiled networks of a model, and their cache. One file per action."""

from importlib import import_module

from commands.actions import Actions
from commands.options import Parser

ACTIONS = Actions(
    verb="engine",
    about="Engines: the networks of a model, compiled for this machine and cached between runs. An engine is used\n"
    "only if it passes its gate, a comparison with the original network.",
    does={
        "list": "list the cache: engines and exported networks, their quality and size",
        "build": "build and check the engines that a run uses, so that a run starts at once",
        "clean": "remove unusable entries, or those you select",
        "verify": "check every file, and run the gate of every engine again",
        "bench": "time every installed backend and precision",
        "quantize": "make an int8 network, calibrated on your own clips",
    },
)


def action_parser(action: str) -> Parser:
    parser: Parser = import_module(f"commands.engine.{action}").make_parser()
    return parser


def main(arguments: list[str]) -> int:
    action = ACTIONS.requested(arguments)
    code: int = import_module(f"commands.engine.{action}").main(arguments[1:]) if action else 0
    return code
