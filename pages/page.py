"""The page of results of a run: one HTML file for all its sources."""

import os
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import av

from pages.document import document
from pages.preview import Preview, is_preview, is_preview_of, make_sound_preview, mark_of
from pages.source import PageSource
from pages.thumbnails import BUDGET_BYTES
from pipeline.errors import PerceptError
from pipeline.sinks.file import WholeFile, companion
from pipeline.sinks.film import open_film
from pipeline.status import FilmSource

SCRIPTS = (
    "elements.js",
    "theme.js",
    "recording.js",
    "filter.js",
    "tracks.js",
    "clock.js",
    "player.js",
    "label_bars.js",
    "dense.js",
    "lanes.js",
    "timeline_hint.js",
    "overview.js",
    "timeline.js",
    "event_list.js",
    "contact_sheet.js",
    "why.js",
    "keyboard.js",
    "page.js",
)
STYLES = (
    "theme.css",
    "player.css",
    "label_bars.css",
    "timeline.css",
    "lists.css",
    "page.css",
)
SMALLEST_BUDGET_BYTES = 30_000
"""For the pictures of one source of many."""


def write_page(path: str, sources: Sequence[PageSource]) -> None:
    """Raises: OutputError: it cannot be written."""
    budget_bytes = max(SMALLEST_BUDGET_BYTES, BUDGET_BYTES // max(len(sources), 1))
    trees = [source.tree(path, budget_bytes) for source in sources]
    title = os.path.basename(sources[0].recording.source) if len(sources) == 1 else f"{len(sources)} sources"
    file = WholeFile(path)
    file.open()
    file.write(document(f"{title} – Percept", blocks(trees), SCRIPTS, STYLES))
    file.close(True)


def blocks(trees: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """The blocks of data of a page: a list of its sources, and one block per source, read when it is shown."""
    names = [{"source": tree["source"], "end": tree["end"]} for tree in trees]
    return [("sources", names), *((f"source-{number}", tree) for number, tree in enumerate(trees))]


def preview_path(page: str, number: int, sources: Sequence[str] = ()) -> str:
    """Where the preview of a source is: `talk.html` -> `talk-preview.mp4`, `talk-preview-2.mp4`.

    A file of that name that is no preview of ours, or one of the sources, is left alone: then it is
    `talk-preview.2.mp4`, and so on.
    """
    stem, kept = os.path.splitext(page)[0], {os.path.realpath(source) for source in sources}
    for again in count(1):
        which = (f"-{number + 1}" if number else "") + (f".{again}" if again > 1 else "")
        path = companion(stem, "", f"-preview{which}.mp4")
        if not os.path.lexists(path) or (os.path.realpath(path) not in kept and is_preview(path)):
            return path
    raise AssertionError("names do not end")


def open_preview(source: PageSource, path: str, how: FilmSource) -> Preview | None:
    """A preview to be written; None if the source has no pictures, or cannot be read, which becomes a warning."""
    assert source.path is not None
    try:
        preview = Preview(open_film(source.path, how), path, mark_of(source.path, how))
        preview.open()
    except (PerceptError, av.error.FFmpegError, OSError) as error:
        source.failed(error)
        return None
    return preview


def make_preview(source: PageSource, path: str, how: FilmSource) -> None:
    """Make the preview of a source, unless it is there. A failure becomes a warning."""
    assert source.path is not None
    try:
        mark = mark_of(source.path, how)
        if not is_preview_of(path, mark):
            if source.kind == "sound":
                make_sound_preview(source.path, path, mark)
            elif preview := open_preview(source, path, how):
                preview.close()
            else:
                return
    except (PerceptError, av.error.FFmpegError, OSError, ValueError) as error:
        source.failed(error)
        return
    source.preview = path
    source.preview_start_s = 0.0 if source.kind == "sound" else (how.options.get("start_ns") or 0) / 1e9
