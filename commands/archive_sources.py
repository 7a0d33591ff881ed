"""The sources of an archive: found like those of a run, with names that hold on every machine."""

import os
from collections.abc import Sequence

from archive.names import names_of
from archive.verdict import Wanted
from commands.sources import Finder, is_url
from pipeline.errors import ConfigError
from pipeline.sinks.file import without_secrets


def find_wanted(
    given: Sequence[str], recursive: bool, may_be_empty: bool = False, is_silent: bool = False
) -> list[Wanted]:
    """Raises: ConfigError: see `commands.sources.find_sources`; names that are not UTF-8 are welcome here."""
    finder = Finder(recursive, any_name=True, may_be_empty=may_be_empty, is_silent=is_silent)
    for text in given:
        finder.add(text)
    if finder.problems:
        raise ConfigError("\n".join(finder.problems))
    pairs = [(without_secrets(source), root_of(source, folder)) for source, folder in finder.found.items()]
    names = names_of(pairs)
    return [wanted_of(source, names[without_secrets(source)]) for source in finder.found]


def look_again(given: Sequence[str], recursive: bool) -> list[Wanted]:
    """The same without a word: whoever follows a folder looks many times."""
    try:
        return find_wanted(given, recursive, may_be_empty=True, is_silent=True)
    except ConfigError:  # such as a playlist that is being written
        return []


def root_of(source: str, folder: str) -> str:
    return without_secrets(folder) if is_url(source) else os.path.abspath(folder or ".")


def wanted_of(source: str, name: str) -> Wanted:
    try:
        status = os.stat(source)
    except (OSError, ValueError):
        return Wanted(source, name)
    return Wanted(source, name, status.st_size, status.st_mtime_ns)
