"""`percept labels`: are these words good for this model, and which prompts suit it; one action per file in `words/`."""

import difflib
from importlib import import_module

from pipeline.errors import ConfigError

ACTIONS = {
    "lint": "words that a model confuses, cuts or cannot read, and words that win everywhere",
    "weigh": "how much each prompt template should count, from unlabelled clips",
}


def main(arguments: list[str]) -> int:
    action = arguments[0] if arguments else "--help"
    if action in ("-h", "--help"):
        print(usage())
        return 0
    if action not in ACTIONS:
        close = difflib.get_close_matches(action, ACTIONS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(f"percept labels {action}: there is no such action{hint}. Known: {', '.join(ACTIONS)}")
    code: int = import_module(f"pipeline.cli.words.{action}").main(arguments[1:])
    return code


def usage() -> str:
    actions = "\n".join(f"  {name:6} {text}" for name, text in ACTIONS.items())
    return f"""usage: percept labels ACTION ...

Words and the sentences they are put into, before a run is made with them.

{actions}

  percept labels ACTION --help     options of an action"""
