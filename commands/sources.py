"""The sources of a command line: files, URLs, globs, folders and playlists."""

import argparse
import glob
import logging
import os
import re

from commands.folder import MEDIA, Listing, list_folder
from commands.playlist import entries, is_playlist, local_path
from pipeline.errors import ConfigError
from pipeline.logs import log
from pipeline.sinks.file import printable

HELP = "file, URL, folder, playlist (.m3u, .pls, .xspf, .txt) or glob"
COMMON = (".mp4", ".mov", ".mkv", ".webm", ".mp3", ".wav", ".jpg", ".png")
SHOWN = 5
"""Problems in one folder or playlist that are told one by one."""


def add_sources(parser: argparse.ArgumentParser, purpose: str) -> None:
    """The sources, and -r."""
    parser.add_argument("sources", nargs="*", metavar="VIDEO", help=f"{HELP}; {purpose}")
    parser.add_argument("-r", "--recursive", action="store_true", help="also search the folders in a folder")


def find_sources(given: list[str], recursive: bool = False) -> list[str]:
    """The sources in the given order, each once, with globs, folders and playlists expanded.

    What is passed over in a folder is logged.

    Raises: ConfigError: a glob that matches nothing, a folder without media, a playlist that cannot be read, a name
        that is not UTF-8: all of them at once.
    """
    finder = Finder(recursive)
    for text in given:
        finder.add(text)
    if finder.problems:
        raise ConfigError("\n".join(finder.problems))
    return list(finder.found)


class Finder:
    """Collects sources and problems.

    What the user names must be right. What is wrong in a folder, a playlist or among the files of a glob costs only
    itself. any_name: names need not be UTF-8. may_be_empty: a folder without media is no problem.
    is_silent: what costs only itself is not told.
    """

    def __init__(
        self, recursive: bool, any_name: bool = False, may_be_empty: bool = False, is_silent: bool = False
    ) -> None:
        self.found: dict[str, str] = {}
        """By source: the folder that was named to find it, or the one that it is in."""
        self.problems: list[str] = []
        self._recursive, self._any_name, self._may_be_empty = recursive, any_name, may_be_empty
        self._is_silent = is_silent
        self._read: set[str] = set()
        """Playlists, by their real paths: those that name each other end."""

    def add(self, text: str) -> None:
        """What the user gave."""
        if text.startswith("file://"):
            text = local_path(text)
        if text == "-":
            self.problems.append("-: video cannot be read from stdin. Write it to a file first.")
        elif text.startswith("@") and not os.path.lexists(text):
            self.problems += self._add_playlist(text[1:])
        elif not is_url(text) and not os.path.lexists(text) and glob.has_magic(text):
            matches = [name for name in sorted(glob.glob(text, recursive=True)) if not os.path.isdir(name)]
            self.problems += [] if matches or self._may_be_empty else [f"{text}: matches no file (in {os.getcwd()})"]
            self.problems += filter(None, map(self._misnamed, matches))
            root = unmagic(text)
            self._tell(
                [problem for name in matches if not self._misnamed(name) for problem in self._add(name, root)], text
            )
        else:
            self.problems += self._add(text)

    def _tell(self, problems: list[str], where: str) -> None:
        if not self._is_silent:
            tell(problems, where)

    def _misnamed(self, name: str) -> str:
        return "" if self._any_name else misnamed(name)

    def _add(self, text: str, root: str = "") -> list[str]:
        """Add a source, or those of a folder or playlist. Returns what is wrong with it."""
        if problem := self._misnamed(text):
            return [problem]
        if not is_url(text) and os.path.isdir(text):
            return self._add_folder(text)
        if not is_url(text) and is_playlist(text):
            return self._add_playlist(text)
        self.found.setdefault(text, root or os.path.dirname(text))
        return []

    def _add_folder(self, folder: str) -> list[str]:
        listing = list_folder(folder, self._recursive, self._any_name)
        self._tell(listing.problems, folder)
        if not listing.files:
            return [] if self._may_be_empty else [nothing_in(folder, listing)]
        for file in listing.files:
            self.found.setdefault(file, folder)
        if listing.passed and not self._is_silent:
            log(logging.INFO, f"{folder}: {counted(len(listing.files))}; passed over: {listing.passed_text}")
        return []

    def _add_playlist(self, path: str) -> list[str]:
        if os.path.realpath(path) in self._read:
            return []
        self._read.add(os.path.realpath(path))
        try:
            names = entries(path)
        except ConfigError as error:
            return [str(error)]
        if not self._is_silent:
            log(logging.INFO, f"{path}: a playlist of {counted(len(names))}")
        self._tell([problem for name in names for problem in self._add(name)], path)
        return []


def unmagic(pattern: str) -> str:
    """The folder of a glob above its first wildcard."""
    root = os.path.dirname(pattern)
    while glob.has_magic(root):
        root = os.path.dirname(root)
    return root


def misnamed(name: str) -> str:
    """What is wrong with a name; "" if nothing is."""
    text = f"{printable(name)}: the name is not UTF-8 and cannot be written in results. Rename the file."
    return text if printable(name) != name else ""


def nothing_in(folder: str, listing: Listing) -> str:
    """What to say of a folder without media."""
    passed = f" (it has {listing.passed_text})" if listing.passed else ""
    some = ", ".join(COMMON)
    remedy = "Name files of other kinds one by one."
    if any(list_folder(below, True).files for below in listing.folders):
        remedy = "There are media in the folders in it: add -r."
    return (
        f"{folder}: no video, sound or image in this folder{passed}; looked for {some} and {len(MEDIA) - len(COMMON)} "
        f"other suffixes. {remedy}"
    )


def counted(count: int) -> str:
    return f"{count} source{'s' * (count != 1)}"


def tell(problems: list[str], where: str) -> None:
    """Warn of problems with single files and folders, of which there may be many."""
    for text in problems[:SHOWN]:
        log(logging.WARNING, text)
    if len(problems) > SHOWN:
        log(logging.WARNING, f"{where}: {len(problems) - SHOWN} more like these")


def is_url(text: str) -> bool:
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", text) is not None
