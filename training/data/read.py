"""Labelled media from disk: which layout it is, what is missing, what is there twice."""

import importlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import msgspec

from pipeline.errors import ConfigError
from training.data.example import Dataset, Example, counted, edges
from training.data.layouts.layout import Layout, Listed, Listing

LAYOUTS = {
    "csv": "table",
    "ucf101": "ucf101",
    "hmdb51": "hmdb51",
    "esc50": "esc50",
    "ave": "ave",
    "vggsound": "vggsound",
    "kinetics": "kinetics",
    "folder": "folder",
}
"""Name and module of `training.data.layouts`; tried in this order."""
PUBLISHED = "published"
"""Stands for the split that published figures are about, or for all examples where there is none."""
TOLD = 3
"""Names told of files that are missing or there twice."""


def read_dataset(path: str | Path, layout: str = "auto", split: str = "") -> Dataset:
    """The labelled examples at `path`: a CSV, a folder per label, or a published data set as it was unpacked.

    Files that are listed but not there are left out and counted in `notes`. `split` keeps the examples and the labels
    of one published split, PUBLISHED those of the one that figures are mostly given for.

    Raises:
        ConfigError: nothing there, no such layout or split, a list that cannot be read, or not one file found.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder; expected labelled clips: a folder per label, or a CSV")
    name, why = _layout(path, layout)
    try:
        listing = _module(name).read(path)
    except ValueError as error:
        raise ConfigError(
            f"{path}: its lists are not those of {name}: {error}. Say what it is with --layout"
        ) from error
    listed = listing.listed
    split = listing.evaluated if split == PUBLISHED else split
    if split:
        listed = [item for item in listed if split in item.splits]
        if not listed:
            known = ", ".join(sorted({each for item in listing.listed for each in item.splits})) or "none"
            raise ConfigError(f"--split {split}: {path} ({name}) has no such split; expected one of: {known}")
    kept, notes = _there(path, listed)
    labels = _labels(listing, listed, split)
    examples = tuple(item.example for item in kept)
    splits: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(kept):
        for each in item.splits:
            splits[each].append(index)
    of = f" in split {split}" if split else ""
    taken = (
        f"{path}: taken for {name} ({why}): {counted(len(examples), 'example')} of {counted(len(labels), 'label')}{of}"
    )
    return Dataset(
        name=path.stem if path.is_file() else path.resolve().name,
        examples=examples,
        labels=labels,
        splits={name: tuple(indices) for name, indices in sorted(splits.items())},
        notes=(taken, *listing.notes, *notes),
        layout=name,
        split=split,
        evaluated=listing.evaluated,
    )


def _layout(path: Path, asked: str) -> tuple[str, str]:
    if asked != "auto":
        if asked not in LAYOUTS:
            raise ConfigError(f"--layout {asked}: unknown; expected auto or one of: {', '.join(LAYOUTS)}")
        return asked, "as asked"
    for name in LAYOUTS:
        if why := _module(name).recognise(path):
            return name, why
    raise ConfigError(
        f"{path}: no labelled media recognised; expected a CSV with the columns file and label, a folder per label, or "
        f"one of {', '.join(list(LAYOUTS)[1:-1])} as published. Say which with --layout"
    )


def _module(name: str) -> Layout:
    return cast(Layout, importlib.import_module(f"training.data.layouts.{LAYOUTS[name]}"))


def _labels(listing: Listing, listed: Sequence[Listed], split: str) -> tuple[str, ...]:
    """In the published order, else by name; of the listed examples, whether their files are here or not, and those
    without any."""
    used = {item.example.label for item in listed}
    used |= {of.label for of in listing.unheld if not split or of.split in ("", split)}
    ordered = [label for label in listing.labels if label in used]
    return tuple(dict.fromkeys([*ordered, *sorted(used)]))


def _there(path: Path, listed: Sequence[Listed]) -> tuple[list[Listed], list[str]]:
    """The examples whose files are there, each once, and what is to be told of the others."""
    notes: list[str] = []
    files = {item.example.path for item in listed}
    missing = {file for file in files if not Path(file).is_file()}
    if len(missing) == len(files):
        some = f", such as {min(missing)}" if missing else ""
        raise ConfigError(f"{path}: none of the {len(files)} listed media files is here{some}. Is it all unpacked?")
    if missing:
        gone = sum(item.example.path in missing for item in listed)
        notes.append(f"{gone} of {len(listed)} listed examples have no file here and are left out{_such(missing)}")
    kept: dict[Example, Listed] = {}
    again = []
    for item in listed:
        if item.example.path in missing:
            continue
        if item.example in kept:
            again.append(item.example.path)
            splits = tuple(dict.fromkeys(kept[item.example].splits + item.splits))
            item = Listed(item.example, splits)
        kept[item.example] = item
    if again:
        notes.append(f"{len(again)} examples are listed twice and count once{_such(again)}")
    return _grouped(list(kept.values()), notes)


def _grouped(listed: list[Listed], notes: list[str]) -> tuple[list[Listed], list[str]]:
    """Copies of the same file become one group, so that no copy of a training example is held out."""
    alike = _copies({item.example.path for item in listed})
    labels: dict[tuple[str, float, float | None], set[str]] = defaultdict(set)
    for item in listed:
        example = item.example
        labels[alike.get(example.path, example.path), example.start_s, example.end_s].add(example.label)
    if alike:
        notes.append(f"{len(alike)} files are copies of each other under several names{_such(alike)}")
    if several := [place[0] for place, of in labels.items() if len(of) > 1]:
        notes.append(f"{len(several)} files carry more than one label; only one of them can come first{_such(several)}")
    result = []
    for item in listed:
        same = alike.get(item.example.path)
        if same and not item.example.group:
            item = Listed(msgspec.structs.replace(item.example, group=f"copies of {same}"), item.splits)
        result.append(item)
    return result, notes


def _copies(paths: Iterable[str]) -> dict[str, str]:
    """Files of equal size, head and tail, with the first of each such group."""
    sizes: dict[int, list[Path]] = defaultdict(list)
    for path in sorted(paths):
        sizes[Path(path).stat().st_size].append(Path(path))
    same: dict[tuple[int, bytes], list[str]] = defaultdict(list)
    for size, files in sizes.items():
        if len(files) > 1:
            for file in files:
                same[size, edges(file, size)].append(str(file))
    return {path: files[0] for files in same.values() if len(files) > 1 for path in files}


def _such(paths: Iterable[str]) -> str:
    names = sorted(Path(path).name for path in paths)
    return f" ({', '.join(names[:TOLD])}{', ...' if len(names) > TOLD else ''})"
