"""Reads lists of captioned photos, clips or sounds: a CSV with a caption per line."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pipeline.errors import ConfigError
from training.data.example import Example, counted
from training.data.layouts.layout import Listed
from training.data.layouts.table import SEPARATORS, refuse, rows, stretch_s
from training.data.media import group_of
from training.data.read import existing

LINES_SHOWN = 5


class Captioned(msgspec.Struct, frozen=True):
    """A file, or a time range of one, and what is said of it."""

    example: Example
    """Its label is "", its group never."""
    captions: tuple[str, ...]


class CaptionList(msgspec.Struct, frozen=True):
    """Captioned items whose files exist, in the order of their list."""

    name: str
    items: tuple[Captioned, ...]
    notes: tuple[str, ...] = ()
    """Remarks for the user: what was read, missing files, lines without a caption."""


def read_captions(path: str | Path) -> CaptionList:
    """The captioned items of a CSV with the columns file and caption, and optionally start_s, end_s and group.

    Lines of the same file and time range are captions of one item. Lines without a caption or a file, and files that do
    not exist, are skipped and counted in `notes`. Without a group, a file is its own, and copies of a file are one.

    Raises:
        ConfigError: it is no such CSV, times are no times, or none of the files exists.
    """
    path = Path(path).expanduser()
    if not path.is_file() or path.suffix.lower() not in SEPARATORS:
        raise ConfigError(
            f"{path}: no list of captions; --captions needs a .csv or .tsv with the columns file, caption"
        )
    said, groups, notes = _said(path)
    kept, more = existing(path, [Listed(msgspec.structs.replace(each, group=groups[each])) for each in said])
    items = []
    for item in kept:
        example = item.example
        captions = tuple(dict.fromkeys(said[msgspec.structs.replace(example, group="")]))
        items.append(Captioned(msgspec.structs.replace(example, group=example.group or example.path), captions))
    count = sum(len(item.captions) for item in items)
    summary = f"{path}: {counted(len(items), 'item')} with {counted(count, 'caption')}"
    return CaptionList(path.stem, tuple(items), (summary, *notes, *more))


def _said(path: Path) -> tuple[dict[Example, list[str]], dict[Example, str], list[str]]:
    """Captions and group by item, an example without its group, and notes. Raises: ConfigError: times are no times."""
    said, groups = defaultdict[Example, list[str]](list), dict[Example, str]()
    without, problems = list[int](), list[str]()
    for number, row in rows(path, "caption"):
        caption = " ".join(row["caption"].split())
        if not row["file"] or not caption:
            without.append(number)
            continue
        try:
            start_s, end_s = stretch_s(row)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        item = Example(str(path.parent / row["file"]), "", start_s, end_s)
        said[item].append(caption)
        groups[item] = groups.get(item) or row.get("group") or group_of(row["file"])
    refuse(path, problems)
    if not said:
        raise ConfigError(f"{path}: no line has a file and a caption")
    return dict(said), groups, list(_notes(without))


def _notes(without: Sequence[int]) -> Iterator[str]:
    if without:
        shown = ", ".join(map(str, without[:LINES_SHOWN])) + (", ..." if len(without) > LINES_SHOWN else "")
        yield f"{counted(len(without), 'line')} without a file or a caption: skipped ({shown})"
