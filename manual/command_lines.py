"""docs/commands.md: the help of every command, as it is printed."""

import contextlib
import io
import os
from collections.abc import Iterator
from importlib import import_module

from commands.main import VERBS, main

COLUMNS = "82"


def commands() -> str:
    return "\n".join(_commands())


def _commands() -> Iterator[str]:
    for verb, about in VERBS.items():
        yield f"## percept {verb}\n"
        yield f"{about[0].upper()}{about[1:]}.\n"
        actions = getattr(import_module(f"commands.{verb}"), "ACTIONS", None)
        if actions is None:
            yield _help(verb)
        for action, does in actions.does.items() if actions else ():
            yield f"### percept {verb} {action}\n"
            yield f"{does[0].upper()}{does[1:]}.\n"
            yield _help(verb, action)


def _help(*words: str) -> str:
    return f"```text\n{printed(*words, '--help').strip()}\n```\n"


def printed(*arguments: str) -> str:
    """What a command prints on stdout, in a terminal of fixed width."""
    before, out = os.environ.get("COLUMNS"), io.StringIO()
    os.environ["COLUMNS"] = COLUMNS
    try:
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            main(list(arguments))
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return out.getvalue()
