"""docs/troubleshooting.md: every message that it quotes is one of the code."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = [line for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
PACKAGES = ("commands", "engines", "live", "pages", "percept", "pipeline", "stages", "training")
ANYTHING = "…"


def templates() -> Iterator[str]:
    """Every string of the code, with `…` for what is put into it."""
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else ANYTHING for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def fixed(text: str) -> str:
    """The text without quotes and end marks next to what differs: '…' and … are the same."""
    if ANYTHING in text:
        text = re.sub(rf"[.'\s]*{ANYTHING}[{ANYTHING}.'\s]*", ANYTHING, text)
    return text.strip(f"{ANYTHING} .:")


@cache
def known() -> str:
    """All strings of the code, a line each."""
    return "\n".join(fixed(text) for text in templates())


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_is_one_of_the_code(message: str) -> None:
    assert fixed(message) in known(), message


def test_many_messages_are_explained() -> None:
    assert len(QUOTED) >= 30
    assert fixed("…: this message does not exist in the code") not in known()


def test_every_message_has_a_cause_and_a_cure() -> None:
    for entry in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        entry = entry.partition("\n## ")[0]
        after = entry.rpartition("```")[2]
        assert len(after.split()) >= 4, entry.splitlines()[0]
