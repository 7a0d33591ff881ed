"""`percept engine`: the networks of a model, compiled for this machine and kept; one action per file in `engines/`."""

import difflib
from importlib import import_module

from pipeline.errors import ConfigError

ACTIONS = {
    "list": "what is in the cache, how good it is, how large",
    "build": "build and check what a run would take, so that a run starts at once",
    "clean": "remove what nothing can use any more, or more",
    "verify": "check every file and run every gate again",
    "bench": "time every backend and precision that is installed here",
    "quantize": "make an int8 network, calibrated on clips of your own",
}


def main(arguments: list[str]) -> int:
    action = arguments[0] if arguments else "--help"
    if action in ("-h", "--help"):
        print(usage())
        return 0
    if action not in ACTIONS:
        close = difflib.get_close_matches(action, ACTIONS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(f"percept engine {action}: there is no such action{hint}. Known: {', '.join(ACTIONS)}")
    code: int = import_module(f"pipeline.cli.engines.{action}").main(arguments[1:])
    return code


def usage() -> str:
    actions = "\n".join(f"  {name:9} {text}" for name, text in ACTIONS.items())
    return f"""usage: percept engine ACTION ...

The networks of a model, compiled for this machine and kept between runs.

{actions}

  percept engine ACTION --help     options of an action"""
