"""A page with the hits of a search: a thumbnail each, what was found, and a link to its second."""

import base64
import os
from collections.abc import Sequence
from typing import Any

from archive.search.hits import Hit
from pages.document import document
from pages.media import link
from pages.thumbnails import within_budget
from pipeline.media import is_url
from pipeline.sinks.file import WholeFile

SCRIPTS = ("elements.js", "search_hits.js")
STYLES = ("theme.css", "search_hits.css")
BUDGET_BYTES = 20_000_000


def write_sheet(path: str, question: str, hits: Sequence[Hit]) -> None:
    """question: shown as the title.

    Raises: OutputError: it cannot be written.
    """
    pictures = within_budget([_data_uri(hit.thumbnail) for hit in hits], BUDGET_BYTES)
    rows = [_row(hit, picture, path) for hit, picture in zip(hits, pictures, strict=True)]
    file = WholeFile(path)
    file.open()
    file.write(document(f"{question} – Percept", [("hits", {"question": question, "hits": rows})], SCRIPTS, STYLES))
    file.close(True)


def _row(hit: Hit, picture: str, page: str) -> dict[str, Any]:
    """Times in milliseconds, scores in thousandths."""
    is_here = not is_url(hit.source) and os.path.isfile(hit.source)
    return {
        "name": hit.name,
        "url": f"{link(hit.source, page)}#t={max(0.0, hit.best_s):.2f}" if is_here else "",
        "start": round(hit.start_s * 1000),
        "end": round(hit.end_s * 1000),
        "scale": hit.scale,
        "score": round(hit.score * 1000),
        "labels": [[name, round(value * 1000)] for name, value in hit.labels],
        "picture": picture,
    }


def _data_uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" if jpeg else ""
