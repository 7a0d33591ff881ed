"""A folder per label, possibly inside folders named train, val and test."""

from collections.abc import Iterator
from pathlib import Path

from training.data.example import Example
from training.data.layouts.layout import Listed, Listing
from training.data.media import ESC_NAME, group_of, media_files, plain_words

SPLITS = {"train": "train", "training": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}


def recognise(path: Path) -> str:
    if not path.is_dir():
        return ""
    folders = [entry for _, entry in label_folders(path)]
    named = next((folder for folder in folders if any(media_files(folder))), None)
    return f"{named.relative_to(path)}/ holds media: a folder per label" if named else ""


def read(path: Path) -> Listing:
    listed = [
        Listed(Example(str(file), plain_words(folder.name), group=group_of(file.name)), (split,) if split else ())
        for split, folder in label_folders(path)
        for file in media_files(folder)
    ]
    if listed and all(ESC_NAME.fullmatch(Path(item.example.path).stem) for item in listed):
        listed = [Listed(item.example, (f"fold{Path(item.example.path).name[0]}",)) for item in listed]
    splits = {split for item in listed for split in item.splits}
    return Listing(listed, evaluated=next((name for name in ("test", "val") if name in splits), ""))


def label_folders(path: Path) -> Iterator[tuple[str, Path]]:
    """Each label's folder with the split it lies in, "" for none."""
    folders = _folders(path)
    if folders and all(folder.name.lower() in SPLITS for folder in folders):
        for folder in folders:
            yield from ((SPLITS[folder.name.lower()], inner) for inner in _folders(folder))
    else:
        yield from (("", folder) for folder in folders)


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
