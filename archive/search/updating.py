"""Brings a search cache up to date."""

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

import msgspec

from archive.entries import Entry
from archive.pieces import checked, listings, pieces_in
from archive.search import catalog as catalogs
from archive.search.catalog import Catalog, PassedOver, Segment, column_path, columns_of
from archive.search.columns import Appender, ColumnState, damage
from archive.search.moving import moved
from archive.search.reading import Reading, absent
from archive.shard import ShardError
from archive.store import Store
from pipeline.arrays import Array

COMMIT_S = 20.0
"""An update that is interrupted loses no more work than this."""
MOST_GONE = 0.25
PIECE_ROWS = 65_536


class Update:
    """One update, by the process that holds the lock. `vectors`: those that the search needs."""

    def __init__(
        self, store: Store, folder: Path, vectors: Collection[str], report: Callable[[str], None]
    ) -> None:  # fmt: skip
        self._store, self._folder, self._report = store, folder, report
        self._vectors = vectors
        self._open: dict[str, Appender] = {}
        self._stack = ExitStack()
        self._saved_s = time.monotonic()

    def run(self) -> Catalog:
        for entries in listings(self._store):
            catalog, is_changed = self._updated({entry.name: entry for entry in entries})
            if not is_changed:
                break  # since it was read, so nothing can have come meanwhile
        return catalog

    def _updated(self, listed: Mapping[str, Entry]) -> tuple[Catalog, bool]:
        """The catalogue of these files, and whether it is another than before."""
        before = self._usable()
        catalog = _without_changed(before, listed)
        if catalog.segments and all(segment.gone for segment in catalog.segments):
            catalog = Catalog(generation=catalog.generation + 1)
        if catalog.gone_rows > MOST_GONE * catalog.rows:
            self._report("preparing the search: removing what is no longer in the archive")
            catalog = moved(self._folder, catalog)
        self._start(catalog)
        known = {segment.file for segment in self._segments if not segment.gone} | self._passed.keys()
        new = sorted((entry for name, entry in listed.items() if name not in known), key=lambda entry: entry.name)
        if not new and catalog == before and self._is_complete():
            return catalog, False
        try:
            self._open.clear()
            with self._stack:
                self._open_columns(columns_of(self._vectors, self._dims) | self._columns)
                self._catch_up()
                for number, entry in enumerate(new):
                    self._add(entry)
                    self._save_now_and_then(f"preparing the search: {number + 1:,} of {len(new):,} files")
                return self._save(), True
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
        for (file, is_gone, *_), group in groupby(self._segments, lambda each: (each.file, each.gone, each.mtime_ns)):
            segments = list(group)
            rows = sum(segment.rows for segment in segments)
            behind = {name: each for name, each in self._open.items() if each.rows < segments[-1].stop}
            if not behind:
                continue
            states = {name: each.state for name, each in behind.items()}
            values = None if is_gone else self._values(file, rows, states)
            for name, each in behind.items():
                each.append(values[name] if values else absent(name, states[name], rows))
            self._save_now_and_then("preparing the search: reading more vectors")

    def _values(self, file: str, rows: int, states: Mapping[str, ColumnState]) -> dict[str, Array] | None:
        try:
            with self._store.open(file) as opened:
                reading = Reading(opened, file)
                if reading.rows != rows:
                    return None
                values = reading.columns(states)
                self._tell_unusable(reading, file)
                return values
        except (OSError, ShardError):
            return None  # it is changing right now: the next update sees another size or time

    def _add(self, entry: Entry) -> None:
        try:
            with self._store.open(entry.name) as file:
                reading = Reading(file, entry.name)
                checked(entry.name, reading.facts)
                if reading.facts.dims and (why := self._unlike(reading)):
                    self._pass_over(entry, why)
                    return
                self._learn(reading)
                pieces = list(pieces_in(entry, reading.facts))
                if sum(piece.facts.clips for piece in pieces) != reading.rows:
                    raise ShardError(f"{entry.name}: has {reading.rows} rows, not those that it says")
                values = reading.columns({name: each.state for name, each in self._open.items()})
                texts = reading.texts([piece.first for piece in pieces if piece.facts.clips])
        except FileNotFoundError:
            return  # it was merged meanwhile
        except (OSError, ShardError) as error:
            self._pass_over(entry, str(error))
            return
        self._tell_unusable(reading, entry.name)
        for name, each in self._open.items():
            each.append(values[name])
        for piece in pieces:
            told = texts.get(piece.first, {})
            self._segments.append(
                Segment(
                    entry.name, entry.size, entry.mtime_ns, self._rows, piece.facts.clips, piece.name,
                    piece.facts.source, told.get("recorded", ""), told.get("device", ""), told.get("timecode", ""),
                    piece.first, piece.facts.made, piece.is_merged,
                )
            )  # fmt: skip
            self._rows += piece.facts.clips

    def _tell_unusable(self, reading: Reading, file: str) -> None:
        if reading.unusable:
            self._report(
                f"{file}: {reading.unusable:,} vectors have values that are no numbers; they are not searched. "
                "Label their source again."
            )

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
            segments=_ranked(self._segments),
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
    """The catalogue, in which the rows of files that are no longer as they were do not count."""

    def fits(name: str, known: Segment | PassedOver) -> bool:
        now = listed.get(name)
        return now is not None and (now.size, now.mtime_ns) == (known.size, known.mtime_ns)

    segments = tuple(
        each if each.gone or fits(each.file, each) else msgspec.structs.replace(each, gone=True)
        for each in catalog.segments
    )
    passed = {name: each for name, each in catalog.passed_over.items() if fits(name, each)}
    return msgspec.structs.replace(catalog, segments=_ranked(segments), passed_over=passed)


def _ranked(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """The segments; of those with the same source, one counts."""
    segments = tuple(segments)
    best: dict[str, Segment] = {}
    for each in segments:
        if not each.gone and (each.name not in best or best[each.name].rank < each.rank):
            best[each.name] = each
    return tuple(
        each
        if each.superseded == (is_older := not each.gone and best[each.name] is not each)
        else msgspec.structs.replace(each, superseded=is_older)
        for each in segments
    )


def _generations(folder: Path) -> Iterable[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
