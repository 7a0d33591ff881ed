"""The sources of an archive: found like those of a run, with names that hold on every machine."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from archive.names import names_of
from archive.verdict import Wanted
from commands.folder import MEDIA
from commands.sources import Finder, is_url
from pipeline.errors import ConfigError
from pipeline.s3 import S3
from pipeline.sinks.file import without_secrets


def find_wanted(
    given: Sequence[str], recursive: bool, may_be_empty: bool = False, is_silent: bool = False
) -> list[Wanted]:
    """What is in folders, globs and lists, and below `s3://bucket/prefix`, each once.

    Raises: ConfigError: see `commands.sources.find_sources`; names that are not UTF-8 are welcome here. StoreError: S3
        cannot be listed.
    """
    finder = Finder(recursive, any_name=True, may_be_empty=may_be_empty, is_silent=is_silent)
    in_s3: dict[str, tuple[str, Wanted]] = {}
    for text in given:
        if text.startswith(S3):
            found = {each.source: (root, each) for root, each in below_s3(text)}
            if not found and not may_be_empty:
                finder.problems.append(f"{text}: no video, sound or image there")
            in_s3 = found | in_s3
        elif not is_missing(text):
            finder.add(text)
        elif not is_silent:
            finder.problems.append(f"{text}: no such file or folder")
    if finder.problems:
        raise ConfigError("\n".join(finder.problems))
    pairs = [(source, root_of(source, folder)) for source, folder in finder.found.items()]
    names = names_of([*pairs, *((source, root) for source, (root, _) in in_s3.items())], shown)
    return [
        *(wanted_of(source, names[source]) for source in finder.found),
        *(replace(each, name=names[source]) for source, (_, each) in in_s3.items()),
    ]


def is_missing(text: str) -> bool:
    """Whether a name on the command line leads nowhere. One in a list or a folder may, and costs only itself."""
    is_special = text.startswith("@") or text == "-" or is_url(text) or glob.has_magic(text)
    return not is_special and not os.path.lexists(text)


def below_s3(url: str) -> Iterator[tuple[str, Wanted]]:
    """The objects below an address, without their names in the archive; the one that has the address, if one has.

    Each comes with the root of its name, see `archive.names`.
    """
    from archive.s3_sources import sources_below

    for each in sources_below(url, MEDIA):
        yield each.root, Wanted(each.url, "", each.size, each.mtime_ns)


def shown(source: str) -> str:
    """A source without its secrets. An address in S3 has none, and `?` in it is only a character."""
    return source if source.startswith(S3) else without_secrets(source)


def look_again(given: Sequence[str], recursive: bool) -> list[Wanted]:
    """The same without a word: whoever follows a folder looks many times."""
    try:
        return find_wanted(given, recursive, may_be_empty=True, is_silent=True)
    except ConfigError:  # such as a playlist that is being written
        return []


def root_of(source: str, folder: str) -> str:
    return shown(folder) if is_url(source) else os.path.abspath(folder or ".")


def wanted_of(source: str, name: str) -> Wanted:
    try:
        status = os.stat(source)
    except (OSError, ValueError):
        return Wanted(source, name)
    return Wanted(source, name, status.st_size, status.st_mtime_ns)
