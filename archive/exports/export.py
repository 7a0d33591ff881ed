"""Exports of single sources and of whole archives. A file is written whole or not at all."""

import fnmatch
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from archive.exports.formats import FORMATS, Format
from archive.exports.source import Source, source_of
from archive.names import SUFFIX
from archive.schema import Facts
from archive.shard import ShardError, facts_of, read_table
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
    folder: str,
    output: str,
    kind: str,
    *,
    sources: Sequence[str] = (),
    least_probability: float | None = None,
    overwrite: bool = False,
    on_file: Callable[[str], None] = lambda path: None,
) -> Exported:
    """Write each source of an archive to a file of its own, `<output>/<name of the source><suffix>`.

    sources: names in the archive, their last parts, or patterns such as `videos/2024/*`; all sources by default.
    least_probability: that an event begins with, and that of the name of a track.

    Raises: ConfigError: a wrong name, or files that are there already. OutputError: disk full and the like.
    """
    check_format(kind)
    form, done = FORMATS[kind], Exported()
    names = chosen(list(names_in(folder)), sources)
    paths = {name: os.path.join(output, name + form.suffix) for name in names}
    _check_free(paths.values(), output, overwrite)
    options = EVENTS if least_probability is None else EventOptions(enter=least_probability)
    categories = _categories(folder, names, done) if form.has_categories else ()
    for name, path in paths.items():
        shard = os.path.join(folder, name + SUFFIX)
        try:
            facts = msgspec.structs.replace(facts_of(shard, name), name=name)
            source = source_of(_rows(shard, form), facts, options, least_probability or 0.0, categories)
        except (ShardError, OSError) as error:
            done.damaged.append(str(error))
            continue
        if not source.has_results:
            done.left_out.append(f"{name}: has no results" + (f" ({facts.error})" if facts.error else ""))
            continue
        _write(source, form, path)
        done.files += 1
        done.events += len(source.events)
        done.tracks += len({track.id for clip in source.clips for track in clip.tracks or ()})
        on_file(path)
    return done


def check_format(kind: str) -> None:
    """Raises: ConfigError: the package that it needs is missing."""
    needs = FORMATS[kind].needs
    if needs is not None and importlib.util.find_spec(needs[0]) is None:
        raise ConfigError(f"--as {kind}: {needs[0]} is not installed. Run: pip install 'percept-av[{needs[1]}]'")


def names_in(folder: str) -> Iterator[str]:
    """The names of all sources in the folder of an archive, in order.

    Raises: ConfigError: there is no such folder.
    """
    if not os.path.isdir(folder):
        raise ConfigError(f"{folder}: no such folder; expected an archive, which percept label writes")

    def fail(error: OSError) -> None:
        raise ConfigError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for where, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            if file.endswith(SUFFIX) and not file.startswith("."):
                yield os.path.relpath(os.path.join(where, file), folder).removesuffix(SUFFIX)


def chosen(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The names that are asked for, in their order; all of them if none are.

    Raises: ConfigError: there are none, or none of a wanted name.
    """
    if not names:
        raise ConfigError("the archive has no sources; expected a folder that percept label has written")
    if not wanted:
        return list(names)
    found = {each: {name for name in names if _fits(name, each)} for each in wanted}
    if missing := [each for each, those in found.items() if not those]:
        shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        raise ConfigError(
            f"--source {missing[0]}: no source of that name; expected a name, its end, or a pattern. There are: {shown}"
        )
    return [name for name in names if any(name in those for those in found.values())]


def _fits(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith(f"/{wanted}") or fnmatch.fnmatchcase(name, wanted)


def _check_free(paths: Any, output: str, overwrite: bool) -> None:
    """Raises: ConfigError: something is there that would be overwritten."""
    if os.path.exists(output) and not os.path.isdir(output):
        raise ConfigError(f"-o {output}: is a file; expected a folder, in which each source gets a file")
    there = [path for path in paths if os.path.lexists(path)]
    if there and not overwrite:
        shown = ", ".join(there[:SHOWN]) + (f" and {len(there) - SHOWN} more" if len(there) > SHOWN else "")
        raise ConfigError(f"{shown}: exists already. Choose another folder, or add --overwrite.")
    if folders := [path for path in there if os.path.isdir(path)]:
        raise ConfigError(f"{folders[0]}: is a folder; expected a file, or nothing. Choose another folder.")


def _rows(shard: str, form: Format) -> Any:
    """What the format is made of."""
    if form.columns is not None:
        return read_table(shard, form.columns)
    return read_table(shard, [*table_schema().names, "timecode"])


def _categories(folder: str, names: Sequence[str], done: Exported) -> tuple[str, ...]:
    """All names of tracks in these files, from that column alone."""
    found: set[str] = set()
    for name in names:
        try:
            tracks = read_table(os.path.join(folder, name + SUFFIX), ["tracks.list.element.label"])["tracks"]
        except (ShardError, OSError):
            continue  # which is told when its rows are read
        for chunk in tracks.chunks:
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
