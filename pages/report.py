"""The pages of a report: an archive's sources, a hundred to a page, and the players that these link to."""

from collections.abc import Mapping, Sequence
from typing import Any

from pages.document import document
from pages.page import SCRIPTS as PLAYER_SCRIPTS
from pages.page import STYLES as PLAYER_STYLES
from pages.page import blocks
from pipeline.sinks.file import WholeFile

SCRIPTS = (
    "elements.js",
    "theme.js",
    "recording.js",
    "filter.js",
    "dense.js",
    "lanes.js",
    "contact_sheet.js",
    "strip.js",
    "histogram.js",
    "source_card.js",
    "report.js",
)
STYLES = ("theme.css", "timeline.css", "lists.css", "page.css", "report.css")


def write_sources(path: str, report: Mapping[str, Any], sources: Sequence[Mapping[str, Any]]) -> None:
    """A page of sources, as `report.js` reads it. Raises: OutputError."""
    _write(path, document(f"{report['name']} – Percept", [("report", report), ("sources", sources)], SCRIPTS, STYLES))


def write_player(path: str, trees: Sequence[Mapping[str, Any]], home: Mapping[str, str]) -> None:
    """The page that plays some of the sources: that of `percept view`, with a way back. Raises: OutputError."""
    data = [("home", home), *blocks(trees)]
    _write(path, document(f"{home['name']} – Percept", data, PLAYER_SCRIPTS, PLAYER_STYLES))


def _write(path: str, text: str) -> None:
    file = WholeFile(path)
    file.open()
    file.write(text)
    file.close(True)
