"""The media files below a folder, and the groups and labels in their names."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

VIDEO = ("mp4", "mkv", "webm", "avi", "mov", "m4v", "mpg", "mpeg", "ts", "flv", "wmv", "3gp", "ogv", "gif")
SOUND = ("wav", "flac", "ogg", "opus", "mp3", "m4a", "aac", "wma", "aif", "aiff")
PICTURE = ("jpg", "jpeg", "png", "bmp", "webp")
SUFFIXES = frozenset(f".{name}" for name in (*VIDEO, *SOUND, *PICTURE))

ESC_NAME = re.compile(r"(?P<fold>[1-5])-(?P<source>\d+)-[A-Z](?:-\d+)?")
UCF_NAME = re.compile(r"v_\w+_g(?P<group>\d\d)_c\d\d")
YOUTUBE_NAME = re.compile(r"(?P<id>[\w-]{11})_(?P<start>\d{1,6})(?:_(?P<end>\d{1,6}))?")


def media_files(folder: Path) -> Iterator[Path]:
    """Every media file below the folder, sorted by name. Hidden files and folders are skipped; links are followed."""
    for where, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield Path(where, name)


class Shelf:
    """Finds listed files anywhere below a folder.

    Names are compared without suffix, and then in lower case, because published lists and archives differ in both.
    """

    def __init__(self, *folders: Path) -> None:
        self._exact: dict[str, Path] = {}
        self._lower: dict[str, Path | None] = {}
        for folder in folders:
            for path in media_files(folder):
                self._enter(path.stem, path)
                self._enter(f"{path.parent.name}/{path.stem}", path)

    def _enter(self, name: str, path: Path) -> None:
        self._exact.setdefault(name, path)
        lower = name.lower()
        self._lower[lower] = path if self._lower.get(lower, path) == path else None

    def find(self, *names: str) -> Path | None:
        """The file of the first of these names that exists."""
        for name in names:
            found = self._exact.get(name) or self._lower.get(name.lower())
            if found is not None:
                return found
        return None


def group_of(name: str) -> str:
    """The recording a file was cut from, by its name in UCF101, ESC-50 and sets from YouTube; "" for other names."""
    stem = Path(name).stem
    if found := UCF_NAME.fullmatch(stem):
        return stem[: found.end("group")]
    if found := ESC_NAME.fullmatch(stem):
        return found["source"]
    if found := YOUTUBE_NAME.fullmatch(stem):
        return found["id"]
    return ""


def plain_words(name: str) -> str:
    """The words of a folder's name: `playing_guitar` -> `playing guitar`."""
    return " ".join(name.replace("_", " ").split())


def words_of_camel_case(name: str) -> str:
    """`ApplyEyeMakeup` -> `apply eye makeup`"""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
