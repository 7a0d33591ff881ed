"""The pages in docs/: generated ones are up to date, links and named files exist, the architecture fits on a page."""

import json
import re
from pathlib import Path

import pytest

from commands import schema
from pipeline.sinks.tables import Csv

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "findings" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = (
    "benchmarks|commands|configs|deploy|engines|examples|findings|live|manual|pages|percept|pipeline|recipes|stages|tests"
    "|training"
)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert schema.main(list(arguments)) == 0
    return capsys.readouterr().out


def test_the_table_of_fields_is_what_percept_schema_prints(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    (table,) = re.findall(r"<!-- fields: begin -->\n(.*?)<!-- fields: end -->", text, re.DOTALL)
    assert table == printed(capsys, "--table"), "run: percept schema --table"


def test_the_json_schema_is_what_percept_schema_prints(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "results.schema.json").read_text()
    assert text == printed(capsys), "run: percept schema > docs/results.schema.json"
    assert json.loads(text)["properties"].keys() >= {"labels", "tracks", "category", "open_set", "schema_version"}


def test_the_columns_of_a_table_of_events_are_listed_in_order() -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    (listed,) = re.findall(r"and these columns: (.*?)\. The file begins", text, re.DOTALL)
    assert tuple(re.findall(r"`([a-z_]+)`", listed)) == Csv.COLUMNS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    names = re.findall(rf"`((?:{FOLDERS})/[\w./-]+?\.(?:py|toml|sh|mp4|service))\b", page.read_text())
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_architecture_is_one_page() -> None:
    assert len((ROOT / "docs" / "architecture.md").read_text().splitlines()) <= 125
