"""Reads labelled media from disk: detects the layout, and finds missing files and duplicates."""

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
"""Name of each layout and its module in `training.data.layouts`, in the order in which they are tried."""
PUBLISHED = "published"
"""The split of published figures, or all examples if there is none."""
NAMES_SHOWN = 3
"""At most this many file names are shown in a note."""


def check_path(path: str | Path) -> Path:
    """The path of labelled examples. Raises: ConfigError: it does not exist."""
    path = Path(path).expanduser()
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder; expected labelled clips: a folder per label, or a CSV")
    return path


def read_dataset(path: str | Path, layout: str = "auto", split: str = "") -> Dataset:
    """The labelled examples at `path`: a CSV, a folder per label, or a published data set, unpacked.

    Listed files that do not exist are skipped and counted in `notes`. `split` keeps the examples and the labels of one
    published split; PUBLISHED is the split of published figures.

    Raises:
        ConfigError: `path`, the layout or the split does not exist, a list cannot be read, or none of the files exists.
    """
    path = check_path(path)
    name, why = _layout(path, layout)
    try:
        listing = _module(name).read(path)
    except ValueError as error:
        raise ConfigError(
            f"{path}: its lists are not those of {name}: {error}. Choose the layout with --layout"
        ) from error
    listed = listing.listed
    split = listing.evaluated if split == PUBLISHED else split
    if split:
        listed = [item for item in listed if split in item.splits]
        if not listed:
            known = ", ".join(sorted({each for item in listing.listed for each in item.splits})) or "none"
            raise ConfigError(f"--split {split}: {path} ({name}) has no such split; expected one of: {known}")
    kept, notes = existing(path, listed)
    labels = _labels(listing, listed, split)
    examples = tuple(item.example for item in kept)
    splits: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(kept):
        for each in item.splits:
            splits[each].append(index)
    size = f"{counted(len(examples), 'example')} of {counted(len(labels), 'label')}"
    summary = f"{path}: layout {name} ({why}): {size}{f' in split {split}' if split else ''}"
    return Dataset(
        name=path.stem if path.is_file() else path.resolve().name,
        examples=examples,
        labels=labels,
        splits={name: tuple(indices) for name, indices in sorted(splits.items())},
        notes=(summary, *listing.notes, *notes),
        layout=name,
        split=split,
        evaluated=listing.evaluated,
    )


def _layout(path: Path, asked: str) -> tuple[str, str]:
    if asked != "auto":
        if asked not in LAYOUTS:
            raise ConfigError(f"--layout {asked}: unknown; expected auto or one of: {', '.join(LAYOUTS)}")
        return asked, "as requested"
    for name in LAYOUTS:
        if why := _module(name).recognise(path):
            return name, why
    raise ConfigError(
        f"{path}: no labelled media recognised; expected a CSV with the columns file and label, a folder per label, or "
        f"one of {', '.join(list(LAYOUTS)[1:-1])} as published. Choose the layout with --layout"
    )


def _module(name: str) -> Layout:
    return cast(Layout, importlib.import_module(f"training.data.layouts.{LAYOUTS[name]}"))


def _labels(listing: Listing, listed: Sequence[Listed], split: str) -> tuple[str, ...]:
    """The labels of the listed examples, even if their files are missing, and the labels without examples.

    In the published order if there is one, otherwise by name.
    """
    used = {item.example.label for item in listed}
    used |= {of.label for of in listing.empty_labels if not split or of.split in ("", split)}
    ordered = [label for label in listing.labels if label in used]
    return tuple(dict.fromkeys([*ordered, *sorted(used)]))


def existing(path: Path, listed: Sequence[Listed]) -> tuple[list[Listed], list[str]]:
    """The examples whose files exist, each once, and notes about the others. Copies of a file are one group.

    Raises:
        ConfigError: none of the files exists.
    """
    notes: list[str] = []
    files = {item.example.path for item in listed}
    missing = {file for file in files if not Path(file).is_file()}
    if len(missing) == len(files):
        some = f", such as {min(missing)}" if missing else ""
        raise ConfigError(f"{path}: none of the {len(files)} listed media files exists{some}. Is everything unpacked?")
    if missing:
        gone = sum(item.example.path in missing for item in listed)
        notes.append(f"{gone} of {len(listed)} listed examples have no file and are skipped{_names(missing)}")
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
        notes.append(f"{counted(len(again), 'example')} listed twice, counted once{_names(again)}")
    return _grouped(list(kept.values()), notes)


def _grouped(listed: list[Listed], notes: list[str]) -> tuple[list[Listed], list[str]]:
    """Puts copies of the same file into one group, so that no copy of a training example is held out."""
    copies = _copies({item.example.path for item in listed})
    labels: dict[tuple[str, float, float | None], set[str]] = defaultdict(set)
    for item in listed:
        example = item.example
        labels[copies.get(example.path, example.path), example.start_s, example.end_s].add(example.label)
    if copies:
        notes.append(f"{len(copies)} files are copies of each other under several names{_names(copies)}")
    if several := [place[0] for place, of in labels.items() if len(of) > 1]:
        notes.append(
            f"{counted(len(several), 'file')} with several labels, of which one can rank first{_names(several)}"
        )
    result = []
    for item in listed:
        same = copies.get(item.example.path)
        if same and not item.example.group:
            item = Listed(msgspec.structs.replace(item.example, group=f"copies of {same}"), item.splits)
        result.append(item)
    return result, notes


def _copies(paths: Iterable[str]) -> dict[str, str]:
    """Files of equal size, head and tail, each with the first file of its kind."""
    sizes: dict[int, list[Path]] = defaultdict(list)
    for path in sorted(paths):
        sizes[Path(path).stat().st_size].append(Path(path))
    same: dict[tuple[int, bytes], list[str]] = defaultdict(list)
    for size, files in sizes.items():
        if len(files) > 1:
            for file in files:
                same[size, edges(file, size)].append(str(file))
    return {path: files[0] for files in same.values() if len(files) > 1 for path in files}


def _names(paths: Iterable[str]) -> str:
    names = sorted(Path(path).name for path in paths)
    return f" ({', '.join(names[:NAMES_SHOWN])}{', ...' if len(names) > NAMES_SHOWN else ''})"
