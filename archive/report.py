"""The report of an archive: pages of its sources, and the players that they link to, in one folder.

Files are read one after the other, and pages are written as they become full, so archives may be of any size. The first
page has what concerns all sources, and is written last.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archive.pieces import Piece, pieces_of
from archive.report_moments import Highlights, Sums
from archive.report_source import Told, player_tree, read_source, thumbnails_of
from archive.shard import ShardError
from archive.store import Store, no_archive
from pages.digest import digest
from pages.document import is_ours
from pages.report import write_player, write_sources
from pipeline.logs import log
from pipeline.result import clock_text
from pipeline.sinks.file import without_secrets

INDEX = "index.html"
SOURCES_PER_PAGE = 100
FAILURES_PER_PAGE = 500
PLAYER_BYTES = 2_000_000
"""Data of one page that plays sources, unless one source alone has more."""
Progress = Callable[[int, int], None]


@dataclass
class Survey:
    """What the facts of all files say."""

    name: str
    good: list[Piece] = field(default_factory=list)
    """Sources with clips."""
    failures: list[tuple[str, str, int]] = field(default_factory=list)
    """Name, reason and tries of sources that failed, and of files that are damaged."""
    damaged: int = 0
    clips: int = 0
    seconds: float = 0.0
    models: set[str] = field(default_factory=set)
    labels: int = 0

    def add(self, piece: Piece) -> None:
        facts = piece.facts
        self.models |= {facts.model} - {""}
        self.labels = max(self.labels, len(facts.labels))
        if facts.error:
            reason = facts.error.removeprefix(f"{facts.source}: ").removeprefix(f"{facts.name}: ")
            self.failures.append((facts.name, without_secrets(reason), facts.tries))
            return
        self.good.append(piece)
        self.clips += facts.clips
        self.seconds += facts.seconds

    def facts(self) -> list[str]:
        count = len(self.good) + len(self.failures)
        texts = [f"{count:,} source{'s' * (count != 1)}", clock_text(round(self.seconds)), f"{self.clips:,} clips"]
        return [*texts, f"{self.labels:,} labels", *sorted(self.models)]


@dataclass
class _Page:
    sources: list[dict[str, Any]]
    failed: Sequence[tuple[str, str, int]]


def survey(store: Store) -> Survey:
    """Raises: ConfigError: it is no archive. StoreError: it cannot be listed."""
    found, torn = Survey(os.path.basename(store.where.rstrip("/"))), list[tuple[str, str, int]]()

    def damaged(text: str) -> None:
        file, _, why = text.partition(": ")
        torn.append((file, why or text, 1))

    for piece in pieces_of(store, damaged):
        found.add(piece)
    found.damaged = len(torn)
    found.failures += torn
    if not found.good and not found.failures:
        raise no_archive(store)
    return found


def write_report(store: Store, output: Path, found: Survey, videos: str, report: Progress) -> list[Path]:
    """All files that were written, the first page first. Raises: OutputError."""
    home = {"url": INDEX, "name": found.name}
    players, sums, highlights = _Players(output, home), Sums(), Highlights(found.labels)
    written: list[Path] = []
    chunks = [found.good[at : at + SOURCES_PER_PAGE] for at in range(0, len(found.good), SOURCES_PER_PAGE)] or [[]]
    more = range(FAILURES_PER_PAGE, len(found.failures), FAILURES_PER_PAGE)
    files = [INDEX] + [f"page-{number}.html" for number in range(2, len(chunks) + len(more) + 1)]
    whole: dict[str, Any] = {"name": found.name, "pages": len(files), "files": files, "facts": found.facts()}
    whole["failures"] = len(found.failures)

    def write(number: int, page: _Page, histogram: Mapping[str, Any], moments: Sequence[Any]) -> None:
        tree = {**whole, "page": number, "failed": page.failed, "histogram": histogram, "moments": moments}
        write_sources(str(output / files[number - 1]), tree, page.sources)
        written.append(output / files[number - 1])

    nothing = {"rows": [], "total": 0, "least": 0}
    first = _Page([], found.failures[:FAILURES_PER_PAGE])
    done = 0
    for number, chunk in enumerate(chunks, 1):
        page = first if number == 1 else _Page([], [])
        for piece in chunk:
            page.sources += _card(store, piece, players, sums, highlights, videos)
            done += 1
            report(done, len(found.good))
        if number > 1:
            write(number, page, nothing, [])
    for place, at in enumerate(more, len(chunks) + 1):
        write(place, _Page([], found.failures[at : at + FAILURES_PER_PAGE]), nothing, [])
    players.close()
    histogram = sums.histogram()
    write(1, first, histogram, highlights.best([row[0] for row in histogram["rows"]]))
    _remove_others(output, {*written, *players.written})
    return [*reversed(written), *players.written]


def _card(
    store: Store, piece: Piece, players: "_Players", sums: Sums, highlights: Highlights, videos: str
) -> Iterator[dict[str, Any]]:
    """The entry of a source on its page, and its place in a player; nothing if its file cannot be read."""
    try:
        told = read_source(store, piece)
        wanted, face = highlights.wanted(told), _face(told)
        rows = {row for _, row in wanted.values()} | {told.row_at[each.time_s] for each in told.moments()} | {face}
        pictures = thumbnails_of(store, piece, rows)
    except (ShardError, OSError) as error:
        log(logging.WARNING, f"{error}; it is left out")
        return
    sums.add(told)
    url = players.add(player_tree(told, piece.facts.source, pictures, str(players.folder / INDEX), videos))
    highlights.add(told, wanted, pictures, url)
    yield {"tree": digest(told.tree), "url": url, "picture": pictures.get(face, "")}


def _face(told: Told) -> int:
    """The row whose picture stands for the source: where any label is most probable, else in the middle."""
    best = told.best_of_labels()
    return max(best.values())[1] if best else len(told.row_at) // 2


class _Players:
    """Pages that play sources. Each is written when it is full."""

    def __init__(self, folder: Path, home: Mapping[str, str]) -> None:
        self.folder = folder
        self.written: list[Path] = []
        self._home = home
        self._trees: list[Mapping[str, Any]] = []
        self._bytes = 0

    def add(self, tree: Mapping[str, Any]) -> str:
        """Its URL, to which a time can be added."""
        size = len(json.dumps(tree, separators=(",", ":")))
        if self._trees and self._bytes + size > PLAYER_BYTES:
            self.close()
        self._trees.append(tree)
        self._bytes += size
        return f"{self._file()}#source={len(self._trees)}"

    def close(self) -> None:
        if self._trees:
            path = self.folder / self._file()
            write_player(str(path), self._trees, self._home)
            self.written.append(path)
            self._trees, self._bytes = [], 0

    def _file(self) -> str:
        return f"play-{len(self.written) + 1}.html"


def _remove_others(folder: Path, kept: set[Path]) -> None:
    """Pages of an earlier report that this one does not have."""
    for pattern in ("page-*.html", "play-*.html"):
        for path in folder.glob(pattern):
            if path not in kept and path.is_file() and is_ours(str(path)):
                os.unlink(path)
