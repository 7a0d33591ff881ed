"""The media files of a folder, in natural order, and what in it is passed over."""

import os
import re
from collections import Counter
from dataclasses import dataclass, field

from commands.playlist import is_hls, parts_of
from pipeline.sinks.file import printable

VIDEO = (
    "3g2 3gp amv asf avi divx dv f4v flv gxf h264 hevc ivf m2t m2ts m2v m4v mjpeg mjpg mkv mov mp4 mpeg mpg mts mxf "
    "nut ogm ogv rm rmvb ts vob webm wmv wtv y4m"
)
SOUND = "aac ac3 aif aifc aiff amr ape au caf dts eac3 flac m4a mka mp2 mp3 oga ogg opus spx tta w64 wav weba wma wv"
IMAGES = "apng avif bmp gif heic heif hif jfif jp2 jpe jpeg jpg png tif tiff webp"
MEDIA = frozenset(f".{name}" for names in (VIDEO, SOUND, IMAGES) for name in names.split())
"""Suffixes of the files that a folder stands for, in lower case. Others can still be named one by one."""
MAYBE_CODE = {".ts", ".mts"}
"""Transport streams, or TypeScript."""
SYSTEM = {"@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
"""Folders that file servers and systems add, with thumbnails and deleted files."""
UNFINISHED = {".part", ".crdownload", ".partial", ".download", ".opdownload", ".!qb", ".aria2", ".ytdl"}
MOST_KINDS = 6
OTHERS = "others"
HEAD_BYTES = 4096


@dataclass
class Listing:
    """What was found in a folder."""

    files: list[str] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    """How many files were passed over, by suffix or by what they are."""
    folders: list[str] = field(default_factory=list)
    """Those in it, unless they were searched as well."""
    problems: list[str] = field(default_factory=list)
    """Of single files and folders."""

    @property
    def passed_text(self) -> str:
        """`3 .srt, 2 hidden, 4 others`"""
        kinds = [(kind, count) for kind, count in self.passed.most_common(MOST_KINDS) if kind != OTHERS]
        others = self.passed.total() - sum(count for _, count in kinds)
        return ", ".join(f"{count} {kind}" for kind, count in [*kinds, (OTHERS, others)] if count)


def list_folder(folder: str, recursive: bool, any_name: bool = False) -> Listing:
    """The media files of a folder: those of each folder before those of the folders in it. Links are followed, and
    every folder is searched once. any_name: also those whose names are not UTF-8."""
    listing, seen = Listing(), set[tuple[int, int]]()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = os.stat(here)
            with os.scandir(here) as entries:
                found = list(entries)
        except OSError as error:
            listing.problems.append(f"{printable(here)}: the folder cannot be read ({error.strerror})")
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        below = _sort_out(found, listing, any_name)
        if recursive:
            waiting += reversed(below)
        else:
            listing.folders += below
    parts = {part for path in listing.files if suffix_of(path) == ".m3u8" for part in parts_of(path)}
    if parts:
        listing.files = [path for path in listing.files if os.path.normpath(path) not in parts]
    return listing


def _sort_out(entries: list[os.DirEntry[str]], listing: Listing, any_name: bool) -> list[str]:
    """Add the files of one folder to a listing. Returns the folders in it."""
    names = {entry.name for entry in entries}
    files, folders = list[str](), list[str]()
    for entry in entries:
        kind = _kind(entry, names, any_name)
        if kind == "folder":
            folders.append(entry.path)
        elif kind == "media":
            files.append(entry.path)
        elif kind == "misnamed":
            listing.problems.append(f"{printable(entry.path)}: passed over, as its name is not UTF-8. Rename it.")
        else:
            listing.passed[kind] += 1
    listing.files += sorted(files, key=natural)
    return sorted(folders, key=natural)


def _kind(entry: os.DirEntry[str], names: set[str], any_name: bool) -> str:
    """ "folder", "media", "misnamed", or why the entry is passed over. `names`: all in the same folder."""
    name, suffix = entry.name, suffix_of(entry.name)
    if name.startswith(".") or name in SYSTEM:
        return "hidden"
    if not any_name and printable(name) != name:
        return "misnamed"
    try:
        if entry.is_dir():
            return "folder"
        is_file = entry.is_file()
    except OSError:  # a link to itself
        is_file = False
    if not is_file:
        return "dangling" if entry.is_symlink() else "special"
    if suffix in UNFINISHED or f"{name}.part" in names:
        return "unfinished"
    if suffix in MEDIA and not (suffix in MAYBE_CODE and is_text(entry.path)):
        return "media"
    if suffix == ".m3u8" and is_hls(entry.path):
        return "media"
    return suffix if suffix and suffix.isprintable() and len(suffix) <= 12 else OTHERS


def is_text(path: str) -> bool:
    """Whether the start of a file is text; a transport stream has zeros."""
    try:
        with open(path, "rb") as file:
            return b"\0" not in file.read(HEAD_BYTES)
    except OSError:
        return False


def suffix_of(path: str) -> str:
    """In lower case, such as ".mp4"; "" if there is none."""
    return os.path.splitext(path)[1].lower()


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts as people do: a2 before a10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text.casefold())]
