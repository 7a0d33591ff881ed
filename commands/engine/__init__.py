"""`percept engine`: the networks of a model, compiled for this machine and kept; one action per file in `engines/`."""

from importlib import import_module

from commands.actions import Actions

ACTIONS = Actions(
    verb="engine",
    about="The networks of a model, compiled for this machine and kept between runs.",
    does={
        "list": "what is in the cache, how good it is, how large",
        "build": "build and check what a run would take, so that a run starts at once",
        "clean": "remove what nothing can use any more, or more",
        "verify": "check every file and run every gate again",
        "bench": "time every backend and precision that is installed here",
        "quantize": "make an int8 network, calibrated on clips of your own",
    },
)


def main(arguments: list[str]) -> int:
    action = ACTIONS.asked(arguments)
    code: int = import_module(f"commands.engine.{action}").main(arguments[1:]) if action else 0
    return code
