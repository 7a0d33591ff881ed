"""Exports of single sources and of whole archives. A file is written whole or not at all."""

import fnmatch
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from archive.exports.formats import FORMATS, Format
from archive.exports.source import Source, source_of
from archive.pieces import Piece, pieces_of, tables
from archive.schema import Facts
from archive.shard import ShardError
from archive.store import Store, archive_at, no_archive
from pipeline.errors import ConfigError
from pipeline.sinks.file import WholeFile
from pipeline.sinks.parquet import table_schema
from pipeline.status import EventOptions

EVENTS = EventOptions()
SHOWN = 5
"""How many files a message names."""


class Exported(msgspec.Struct, kw_only=True):
    """What an export has written, and what it has left out."""

    files: int = 0
    events: int = 0
    tracks: int = 0
    left_out: list[str] = []
    """Sentences about sources without results."""
    uncertain: list[str] = []
    """Sentences about sources whose frames cannot be counted."""
    damaged: list[str] = []
    """Sentences about files of the archive that cannot be read."""


def export_source(table: Any, facts: Facts, kind: str, path: str, events: EventOptions = EVENTS) -> Source:
    """Write a source as one of `FORMATS` to a file, in place of one that is there.

    Raises: OutputError: it cannot be written. ConfigError: a package is missing.
    """
    check_format(kind)
    source = source_of(table, facts, events)
    _write(source, FORMATS[kind], path)
    return source


def export_archive(
    archive: str,
    output: str,
    kind: str,
    *,
    sources: Sequence[str] = (),
    least_probability: float | None = None,
    overwrite: bool = False,
    on_file: Callable[[str], None] = lambda path: None,
) -> Exported:
    """Write each source of an archive to a file of its own, `<output>/<name of the source><suffix>`.

    sources: names in the archive, their ends, or patterns such as `videos/2024/*`; all sources by default.
    least_probability: that an event begins with, and that of the name of a track.

    archive: a folder, or s3://bucket/prefix.

    Raises: ConfigError: a wrong name, or files that are there already. OutputError: disk full and the like.
    """
    check_format(kind)
    form, done, store = FORMATS[kind], Exported(), archive_at(archive)
    pieces = pieces_of(store, done.damaged.append)
    if not pieces and not done.damaged:
        raise no_archive(store)
    pieces = chosen(pieces, sources)
    paths = {piece.name: os.path.join(output, piece.name + form.suffix) for piece in pieces}
    _check_free(list(paths.values()), output, overwrite)
    options = EVENTS if least_probability is None else EventOptions(enter=least_probability)
    categories = _categories(store, pieces) if form.has_categories else ()
    for piece, table in tables(store, pieces, columns_of(form), done.damaged.append):
        try:
            source = source_of(table, piece.facts, options, least_probability or 0.0, categories)
        except ShardError as error:
            done.damaged.append(str(error))
            continue
        if not source.has_results:
            why = piece.facts.error.removeprefix(f"{piece.facts.source}: ")
            done.left_out.append(f"{piece.name}: has no results" + (f" ({why})" if why else ""))
            continue
        _write(source, form, paths[piece.name])
        if form.in_frames and all(source.size) and not source.has_rate:
            done.uncertain.append(
                f"{piece.name}: its frame rate is unknown, so its frames are thousandths of a second. Export it where "
                f"{source.facts.source} is, or label it again."
            )
        done.files += 1
        done.events += len(source.events)
        done.tracks += len({track.id for clip in source.clips for track in clip.tracks or ()})
        on_file(paths[piece.name])
    return done


def check_format(kind: str) -> None:
    """Raises: ConfigError: the package that it needs is missing."""
    needs = FORMATS[kind].needs
    if needs is not None and importlib.util.find_spec(needs[0]) is None:
        raise ConfigError(f"--as {kind}: {needs[0]} is not installed. Run: pip install 'percept-av[{needs[1]}]'")


def chosen(pieces: list[Piece], wanted: Sequence[str]) -> list[Piece]:
    """The sources that are asked for, in their order; all of them if none are.

    Raises: ConfigError: none has a wanted name.
    """
    if not wanted:
        return pieces
    found = {each: {piece.name for piece in pieces if _fits(piece.name, each)} for each in wanted}
    if missing := [each for each, those in found.items() if not those]:
        shown = ", ".join(piece.name for piece in pieces[:SHOWN]) + (", …" if len(pieces) > SHOWN else "")
        raise ConfigError(
            f"--source {missing[0]}: no source of that name; expected a name, its end, or a pattern. There are: {shown}"
        )
    return [piece for piece in pieces if any(piece.name in those for those in found.values())]


def _fits(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith(f"/{wanted}") or fnmatch.fnmatchcase(name, wanted)


def _check_free(paths: list[str], output: str, overwrite: bool) -> None:
    """Raises: ConfigError: something is there that would be overwritten."""
    if os.path.exists(output) and not os.path.isdir(output):
        raise ConfigError(f"-o {output}: is a file; expected a folder, in which each source gets a file")
    there = [path for path in paths if os.path.lexists(path)]
    if there and not overwrite:
        shown = ", ".join(there[:SHOWN]) + (f" and {len(there) - SHOWN} more" if len(there) > SHOWN else "")
        raise ConfigError(f"{shown}: exists already. Choose another folder, or add --overwrite.")
    if folders := [path for path in there if os.path.isdir(path)]:
        raise ConfigError(f"{folders[0]}: is a folder; expected a file, or nothing. Choose another folder.")


def columns_of(form: Format) -> list[str]:
    """What the format is made of: never vectors and thumbnails."""
    return list(form.columns or (*table_schema().names, "timecode"))


def _categories(store: Store, pieces: list[Piece]) -> tuple[str, ...]:
    """All names of tracks, from that column alone. What cannot be read is told when its rows are."""
    found: set[str] = set()
    for _, table in tables(store, pieces, ["tracks.list.element.label"], lambda text: None):
        for chunk in table["tracks"].chunks if table.num_columns else ():
            found.update(chunk.flatten().field("label").drop_null().unique().to_pylist())
    return tuple(sorted(found))


def _write(source: Source, form: Format, path: str) -> None:
    text = form.text(source)
    file = WholeFile(path)
    file.open()
    try:
        file.write(text)
    except BaseException:
        file.close(complete=False)
        raise
    file.close(complete=True)
