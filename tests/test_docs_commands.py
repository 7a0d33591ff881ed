"""Every command that a page of docs/ shows is one that the command line accepts, with keys that a config has.

The README's and the cookbook's commands are also run: `tests/test_readme.py`, `tests/test_cookbook.py`.
"""

import re
import shlex
from importlib import import_module

import pytest

from commands.outputs import split_events
from pipeline.config import load_config
from pipeline.errors import ConfigError
from tests.conftest import ROOT

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
GENERATED = re.compile(r"<!-- (\w+): begin -->.*?<!-- \1: end -->", re.DOTALL)
BLOCK = re.compile(r"^```(?:bash|sh)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:PERCEPT_CACHE=\S+ )?percept \w[^`]*)`")
HEREDOC = re.compile(r"<<'END'\n.*?^END$", re.DOTALL | re.MULTILINE)
ELIDED = ("…", "...", "COMMAND", "|", ">", "FOLDER", "--help")


def commands(text: str) -> list[str]:
    """Lines of blocks that call `percept`, and inline ones with arguments."""
    text = GENERATED.sub("", text)
    lines = [line for block in BLOCK.findall(text) for line in HEREDOC.sub("", block).splitlines()]
    found = [line.removeprefix(".venv/bin/") for line in lines]
    found += [" ".join(code.split()) for code in INLINE.findall(BLOCK.sub("", text))]
    return [line for line in found if re.match(r"percept \w", line) and not any(mark in line for mark in ELIDED)]


SHOWN = [(name, line) for name, text in PAGES.items() for line in commands(text)]


@pytest.mark.parametrize(("page", "command"), SHOWN, ids=[f"{name}: {line}" for name, line in SHOWN])
def test_a_command_of_a_page_is_accepted(page: str, command: str) -> None:
    verb, *arguments = shlex.split(command, comments=True)[1:]
    if arguments[:1] == ["ctl"]:
        verb = f"{verb}.{arguments.pop(0)}"
    module = import_module(f"commands.{verb}")
    parser = module.action_parser(arguments.pop(0)) if hasattr(module, "action_parser") else module.make_parser()
    try:
        parser.parse_intermixed_args(split_events(arguments))
    except ConfigError as error:  # text may name a command without all that it needs
        if f"`{command}`" not in PAGES[page] or "arguments are required" not in str(error):
            raise


@pytest.mark.parametrize("page", PAGES)
def test_keys_that_a_page_sets_exist(page: str) -> None:
    keys = re.findall(r"--set '?([\w.]+=(?:\"[^\"]*\"|[^\s'`)]+))", GENERATED.sub("", PAGES[page]))
    load_config(None, [key for key in keys if "mypackage" not in key and "…" not in key])


def test_pages_show_many_commands() -> None:
    assert len(SHOWN) > 40
    assert {"index", "uses", "words", "cookbook", "uninstall"} <= {name for name, _ in SHOWN}
