"""The generated parts of docs/ are up to date, and the arithmetic of docs/scores.md is right."""

import json
import math
import re
import subprocess
import sys

import msgspec
import pytest

from manual import command_lines, configuration
from manual.fields import fields
from manual.pages import is_same, with_blocks
from pipeline.build import STAGES, load
from pipeline.config import Config, GroupOptions
from tests.conftest import ROOT

DOCS = ROOT / "docs"
SCORES = (DOCS / "scores.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """A generated block of docs/scores.md."""
    (text,) = re.findall(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", SCORES, re.DOTALL)
    return text


def rows(name: str) -> dict[str, list[str]]:
    """The rows of a table, by their first cell."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in block(name).splitlines() if "|" in line]
    return {first: rest for first, *rest in cells[2:]}


@pytest.mark.parametrize(
    ("page", "blocks"),
    [
        ("commands.md", {"commands": command_lines.commands}),
        ("configuration.md", {"sections": configuration.sections, "stages": configuration.stages}),
    ],
)
def test_a_reference_is_up_to_date(page: str, blocks: "dict[str, object]") -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert with_blocks(text, blocks) == text, "run: python -m manual"  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_worked_example_is_what_the_code_computes() -> None:
    check = [sys.executable, "-m", "manual", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_key_has_a_meaning() -> None:
    keys = [*fields(Config), *fields(GroupOptions)]
    keys += [field for name, path in STAGES.items() for field in fields(load(path, name).Options)]
    assert [field.key for field in keys if not field.meaning and field.key != "groups"] == []


def test_a_field_shows_its_type_default_and_docstring() -> None:
    class Inner(msgspec.Struct, frozen=True):
        size_px: int = 3
        """Of the brush,
        across."""

    class Outer(msgspec.Struct):
        name: str
        """Of the picture."""
        inner: Inner = Inner()
        note: str | None = None

    assert [tuple(field) for field in fields(Outer)] == [
        ("name", "text", "must be given", "Of the picture."),
        ("inner.size_px", "whole number", "`3`", "Of the brush, across."),
        ("note", "text", "none", ""),
    ]


def test_numbers_may_differ_a_little_and_words_may_not() -> None:
    assert is_same("p = 0.789", "p = 0.790", 0.002)
    assert not is_same("p = 0.789", "p = 0.795", 0.002)
    assert not is_same("p = 0.789", "q = 0.789", 0.002)
    assert not is_same("3 words, 0.5", "4 words, 0.5", 0.002)


def test_the_arithmetic_of_the_worked_example() -> None:
    """From the printed numbers alone, within their rounding."""
    record = json.loads(re.findall(r"```json\n(.*?)```", block("record"), re.DOTALL)[0])
    sheep, rain, siren = record["labels"]
    assert sum(label["share"] for label in record["labels"]) == pytest.approx(1, abs=0.002)
    for label in (sheep, rain, siren):
        z = label["base_log_odds"] + sum(one["contribution"] for one in label["evidence"].values())
        assert 1 / (1 + math.exp(-z)) == pytest.approx(label["probability"], abs=0.002)

    number = r"(-?[\d.]+)"
    (terms,) = re.findall(rf"bias = {number} - {number} \+ {number} = {number}", block("odds"))
    logit, rivals, bias, odds = map(float, terms)
    assert logit - rivals + bias == pytest.approx(odds, abs=0.002)
    assert 1 / (1 + math.exp(-odds)) == pytest.approx(sheep["evidence"]["image"]["probability"], abs=0.002)

    weights = {name: [float(cell) for cell in cells[1:]] for name, cells in rows("weights").items()}
    for name, (signal, peaked, decided, ceiling, weight) in weights.items():
        assert 0.7 + 0.3 * peaked == pytest.approx(decided, abs=0.002)
        assert signal * decided * ceiling == pytest.approx(weight, abs=0.002)
        assert weight == pytest.approx(sheep["evidence"][name]["weight"], abs=0.002)

    absent = math.prod(1 - float(weight) * float(p) for weight, p, _ in rows("pooled").values())
    assert 1 - absent == pytest.approx(sheep["probability"], abs=0.002)
    for place, label in enumerate((sheep, rain, siren)):
        for name, one in label["evidence"].items():
            assert float(rows("added")[name][place]) == pytest.approx(one["contribution"], abs=0.002)
    (mean,) = re.findall(r"contribution = (.*)", block("orders"))
    terms = re.findall(r"(\d)/6 · \((-?[\d.]+) ([-+]) +(-?[\d.]+)\)", mean)
    counts, after, signs, before = zip(*terms, strict=True)
    assert sum(map(int, counts)) == 6
    changes = [
        float(a) + (float(b) if sign == "+" else -float(b)) for a, sign, b in zip(after, signs, before, strict=True)
    ]
    total = sum(int(count) * change for count, change in zip(counts, changes, strict=True)) / 6
    assert total == pytest.approx(sheep["evidence"]["image"]["contribution"], abs=0.003)
    powers = [label["probability"] / (1 - label["probability"]) for label in (sheep, rain, siren)]
    for label, power in zip((sheep, rain, siren), powers, strict=True):
        assert power / sum(powers) == pytest.approx(label["share"], abs=0.004)
