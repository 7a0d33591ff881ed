"""Kinetics-400, -600 and -700 (Kay et al. 2017): CSV lists, or folders train, val, test with a folder per class.

The lists, such as `val.csv` or `annotations/val.csv`, have the columns label, youtube_id, time_start, time_end and
split. The files are `<id>_000010_000020.mp4` anywhere below. Lists without labels (of some test sets) are skipped, with
a note. Published zero-shot figures are mostly for "val".
"""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from training.data.example import Example
from training.data.layouts import folder
from training.data.layouts.layout import Listed, Listing, table_rows, unreadable
from training.data.media import YOUTUBE_NAME, Shelf, media_files, plain_words

COLUMNS = {"label", "youtube_id", "time_start", "time_end"}
SPLITS = {"validate": "val", "validation": "val", "training": "train"}


def recognise(path: Path) -> str:
    lists = [file for file in _lists(path) if "youtube_id" in _columns(file)]
    if lists:
        return f"columns of {lists[0].name}"
    for _, inner in folder.label_folders(path) if path.is_dir() else ():
        first = next(media_files(inner), None)
        if first is not None:
            found = YOUTUBE_NAME.fullmatch(first.stem)
            return f"names such as {first.name}" if found and found["end"] else ""
    return ""


def read(path: Path) -> Listing:
    lists = [file for file in _lists(path) if "youtube_id" in _columns(file)]
    if not lists:
        found = folder.read(path)
        splits = {split for item in found.listed for split in item.splits}
        return replace(found, evaluated="val" if "val" in splits else "")
    shelf, listed, notes = Shelf(path), [], []
    for file in lists:
        if not set(_columns(file)) >= COLUMNS:
            notes.append(f"{file.name} has no labels and is skipped")
            continue
        listed += [_entry(path, shelf, row, file.stem) for row in table_rows(file, *COLUMNS)]
    return Listing(listed, notes=notes, evaluated="val" if any("val" in item.splits for item in listed) else "")


def _entry(path: Path, shelf: Shelf, row: dict[str, str], list_name: str) -> Listed:
    label, video = plain_words(row["label"]), row["youtube_id"]
    start, end = (int(float(row[name])) for name in ("time_start", "time_end"))
    split = row.get("split") or list_name
    split = SPLITS.get(split, split)
    name = f"{video}_{start:06}_{end:06}"
    found = shelf.find(name, f"{video}_{start}_{end}", video) or path / split / f"{name}.mp4"
    return Listed(Example(str(found), label, group=video), (split,))


def _lists(path: Path) -> Iterator[Path]:
    for place in (path, path / "annotations"):
        yield from sorted(place.glob("*.csv"))


def _columns(file: Path) -> list[str]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            return [name.strip() for name in next(csv.reader(opened), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(file, error) from error
