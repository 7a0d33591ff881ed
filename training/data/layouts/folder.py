"""A folder per label, possibly inside folders named train, val and test."""

from pathlib import Path

from pipeline.errors import ConfigError
from training.data.example import Example
from training.data.layouts.layout import EmptyLabel, Listed, Listing
from training.data.media import ESC_NAME, group_of, media_files, plain_words

SPLITS = {"train": "train", "training": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}
FOLDERS_SHOWN = 3
"""At most this many folders are named in a note."""


def recognise(path: Path) -> str:
    if not path.is_dir():
        return ""
    folders = [entry for _, entry in label_folders(path)]
    named = next((folder for folder in folders if any(media_files(folder))), None)
    return f"{named.relative_to(path)}/ contains media: a folder per label" if named else ""


def read(path: Path) -> Listing:
    """Raises: ConfigError: folders of splits and folders of labels are mixed."""
    listed, empty = [], []
    for split, folder in label_folders(path):
        label, within = plain_words(folder.name), (split,) if split else ()
        found = [Listed(Example(str(file), label, group=group_of(file.name)), within) for file in media_files(folder)]
        listed += found
        if not found:
            empty.append((folder, EmptyLabel(label, split)))
    if listed and all(ESC_NAME.fullmatch(Path(item.example.path).stem) for item in listed):
        listed = [Listed(item.example, (f"fold{Path(item.example.path).name[0]}",)) for item in listed]
    splits = {split for item in listed for split in item.splits}
    return Listing(
        listed,
        notes=_note_on_empty([str(folder.relative_to(path)) for folder, _ in empty]),
        evaluated=next((name for name in ("test", "val") if name in splits), ""),
        empty_labels=[label for _, label in empty],
    )


def label_folders(path: Path) -> list[tuple[str, Path]]:
    """The split ("" for none) and the folder of each label, including folders without clips.

    A folder without media does not affect the layout: `annotations` next to `train` and `test` is skipped.

    Raises:
        ConfigError: folders of splits and folders of labels are mixed.
    """
    folders = [folder for folder in _folders(path) if _has_media(folder) or folder.name.lower() not in SPLITS]
    splits = [folder for folder in folders if folder.name.lower() in SPLITS]
    labels = [folder for folder in folders if folder not in splits and _has_media(folder)]
    if splits and not labels:
        return [(SPLITS[folder.name.lower()], inner) for folder in splits for inner in _folders(folder)]
    # a folder named train may contain clips of trains
    divided = [folder for folder in splits if any(map(_has_media, _folders(folder)))]
    if divided:
        raise ConfigError(
            f"{path}: {divided[0].name}/ contains folders of labels, but {labels[0].name}/ next to it is a folder of a "
            "label; expected either only folders of splits or only folders of labels. Move one of them away, or list "
            "the clips in a CSV (file,label)."
        )
    return [("", folder) for folder in folders]


def _note_on_empty(folders: list[str]) -> list[str]:
    if not folders:
        return []
    more = f" and {len(folders) - FOLDERS_SHOWN} more" if len(folders) > FOLDERS_SHOWN else ""
    names = ", ".join(f"{name}/" for name in folders[:FOLDERS_SHOWN])
    return [f"no clips in {names}{more}: kept as labels without examples"]


def _has_media(folder: Path) -> bool:
    return any(True for _ in media_files(folder))


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
