"""Brings a search cache up to date."""

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec

from archive.search import catalog as catalogs
from archive.search.catalog import Catalog, PassedOver, Segment, column_path, columns_of
from archive.search.columns import Appender, ColumnState, damage
from archive.search.moving import moved
from archive.search.reading import Reading, absent
from archive.search.shards import Entry, Shards
from archive.shard import ShardError
from pipeline.arrays import Array

COMMIT_S = 20.0
"""An update that is interrupted loses no more work than this."""
MOST_DEAD = 0.25
PIECE_ROWS = 65_536


class Update:
    """One update, by the process that holds the lock. `vectors`: those that the search needs."""

    def __init__(
        self, shards: Shards, folder: Path, vectors: Collection[str], report: Callable[[str], None]
    ) -> None:  # fmt: skip
        self._shards, self._folder, self._report = shards, folder, report
        self._vectors = vectors
        self._open: dict[str, Appender] = {}
        self._stack = ExitStack()
        self._saved_s = time.monotonic()

    def run(self) -> Catalog:
        listed = {entry.name: entry for entry in self._shards.list()}
        before = self._usable()
        catalog = _without_changed(before, listed)
        if catalog.segments and not any(not segment.dead for segment in catalog.segments):
            catalog = Catalog(generation=catalog.generation + 1)
        if catalog.dead_rows > MOST_DEAD * catalog.rows:
            self._report("preparing the search: removing what is no longer in the archive")
            catalog = moved(self._folder, catalog)
        self._start(catalog)
        known = {segment.file for segment in self._segments if not segment.dead} | self._passed.keys()
        new = sorted((entry for name, entry in listed.items() if name not in known), key=lambda entry: entry.name)
        if not new and catalog == before and self._is_complete():
            return catalog
        try:
            with self._stack:
                self._open_columns(columns_of(self._vectors, self._dims) | self._columns)
                self._catch_up()
                for number, entry in enumerate(new):
                    self._add(entry)
                    self._save_now_and_then(f"preparing the search: {number + 1:,} of {len(new):,} files")
                return self._save()
        finally:
            self._remove_old()

    def _start(self, catalog: Catalog) -> None:
        self._generation, self._model, self._dims = catalog.generation, catalog.model, dict(catalog.dims)
        self._segments, self._columns = list(catalog.segments), dict(catalog.columns)
        self._passed, self._rows = dict(catalog.passed_over), catalog.rows
        (self._folder / str(self._generation)).mkdir(exist_ok=True)

    def _is_complete(self) -> bool:
        wanted = columns_of(self._vectors, self._dims)
        return bool(self._segments) and all(
            name in self._columns and self._columns[name].rows == self._rows for name in wanted
        )

    def _usable(self) -> Catalog:
        found = catalogs.load(self._folder)
        if found is None:
            return Catalog(generation=1 + max(_generations(self._folder), default=0))
        for name, state in found.columns.items():
            if why := damage(column_path(self._folder, found.generation, name, state), state):
                self._report(f"the search cache is made again, because {why}")
                return Catalog(generation=found.generation + 1)
        return found

    def _open_columns(self, columns: Mapping[str, ColumnState]) -> None:
        for name, state in columns.items():
            if name not in self._open:
                path = column_path(self._folder, self._generation, name, state)
                self._open[name] = self._stack.enter_context(Appender(path, state))

    def _catch_up(self) -> None:
        """Fill columns that were not asked for before."""
        for segment in self._segments:
            behind = {name: each for name, each in self._open.items() if each.rows < segment.stop}
            if not behind:
                continue
            states = {name: each.state for name, each in behind.items()}
            values = (not segment.dead and self._values(segment, states)) or {
                name: absent(name, state, segment.rows) for name, state in states.items()
            }
            for name, each in behind.items():
                each.append(values[name])
            self._save_now_and_then("preparing the search: reading more vectors")

    def _values(self, segment: Segment, states: Mapping[str, ColumnState]) -> dict[str, Array] | None:
        try:
            with self._shards.open(segment.file) as file:
                reading = Reading(file, segment.file)
                return reading.columns(states) if reading.rows == segment.rows else None
        except (OSError, ShardError):
            return None  # it is changing right now: the next update sees another size or time

    def _add(self, entry: Entry) -> None:
        try:
            with self._shards.open(entry.name) as file:
                reading = Reading(file, entry.name)
                if reading.facts.dims and (why := self._unlike(reading)):
                    self._pass_over(entry, why)
                    return
                self._learn(reading)
                values = reading.columns({name: each.state for name, each in self._open.items()})
                texts = reading.texts()
        except (OSError, ShardError) as error:
            self._pass_over(entry, str(error))
            return
        for name, each in self._open.items():
            each.append(values[name])
        facts = reading.facts
        self._segments.append(
            Segment(
                entry.name, entry.size, entry.mtime_ns, self._rows, reading.rows, facts.name, facts.source,
                recorded=texts.get("recorded", ""), device=texts.get("device", ""), timecode=texts.get("timecode", ""),
            )
        )  # fmt: skip
        self._rows += reading.rows

    def _unlike(self, reading: Reading) -> str:
        """Why the vectors of a file cannot be compared with the others; "" if they can."""
        facts = reading.facts
        if self._model and facts.model != self._model:
            return f"was labelled with {facts.model or 'another model'}, the others with {self._model}"
        if any(self._dims.get(name, size) != size for name, size in facts.dims.items()):
            return "has vectors of another size than the others"
        return ""

    def _learn(self, reading: Reading) -> None:
        """The first file that has vectors decides whose model they are; others may have more kinds of them."""
        if not reading.facts.dims:
            return
        self._model = self._model or reading.facts.model
        self._dims |= reading.facts.dims
        self._open_columns(columns_of(self._vectors, self._dims))
        for name, each in self._open.items():
            while each.rows < self._rows:  # no file before has this vector
                each.append(absent(name, each.state, min(PIECE_ROWS, self._rows - each.rows)))

    def _pass_over(self, entry: Entry, reason: str) -> None:
        self._passed[entry.name] = PassedOver(entry.size, entry.mtime_ns, reason)

    def _save_now_and_then(self, text: str) -> None:
        if time.monotonic() - self._saved_s >= COMMIT_S:
            self._report(text)
            self._save()

    def _save(self) -> Catalog:
        self._columns |= {name: each.commit() for name, each in self._open.items()}
        catalog = Catalog(
            generation=self._generation,
            model=self._model,
            dims=self._dims,
            segments=tuple(self._segments),
            columns=dict(self._columns),
            passed_over=self._passed,
        )
        catalogs.save(self._folder, catalog)
        self._saved_s = time.monotonic()
        return catalog

    def _remove_old(self) -> None:
        """Folders that the catalogue does not name. Who has mapped their files keeps them until it ends."""
        found = catalogs.load(self._folder)
        for generation in _generations(self._folder):
            if found is not None and generation != found.generation:
                shutil.rmtree(self._folder / str(generation), ignore_errors=True)


def _without_changed(catalog: Catalog, listed: Mapping[str, Entry]) -> Catalog:
    """The catalogue, with the rows of files that are no longer as they were marked as dead."""

    def fits(name: str, known: Segment | PassedOver) -> bool:
        now = listed.get(name)
        return now is not None and (now.size, now.mtime_ns) == (known.size, known.mtime_ns)

    segments = tuple(
        each if each.dead or fits(each.file, each) else msgspec.structs.replace(each, dead=True)
        for each in catalog.segments
    )
    passed = {name: each for name, each in catalog.passed_over.items() if fits(name, each)}
    return msgspec.structs.replace(catalog, segments=segments, passed_over=passed)


def _generations(folder: Path) -> Iterable[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
