"""UCF101 (Soomro et al. 2012): a folder per class, and trainlist01.txt, testlist01.txt, ... of three splits.

Split 1, the one of most published figures, is "train" and "test"; all three are "train1", "test1" and so on. The 25
groups of each class, `v_Archery_g01_c02.avi`, are never divided.
"""

from collections.abc import Iterator
from pathlib import Path

from training.data.example import Example
from training.data.layouts.layout import Listed, Listing, lines_of
from training.data.media import UCF_NAME, Shelf, group_of, media_files, words_of_camel_case

LISTS = "ucfTrainTestlist"


def recognise(path: Path) -> str:
    lists = list_folder(path)
    if lists is not None:
        return f"testlist01.txt in {lists.name}/"
    first = next(media_files(path), None)
    return f"names such as {first.name}" if first and UCF_NAME.fullmatch(first.stem) else ""


def list_folder(path: Path) -> Path | None:
    """The folder of the lists: `path`, or `ucfTrainTestlist` inside or next to it; None if there is none."""
    places = (path / LISTS, path, path.parent / LISTS) if path.is_dir() else ()
    return next((place for place in places if (place / "testlist01.txt").is_file()), None)


def read(path: Path) -> Listing:
    lists = list_folder(path)
    if lists is None:
        return _without_lists(path)
    shelf = Shelf(path)
    splits: dict[str, list[str]] = {}
    for split, name in _entries(lists):
        splits.setdefault(name, []).append(split)
    listed = []
    for name, of in splits.items():
        stem = Path(name).stem
        found = shelf.find(stem) or path / name
        label = words_of_camel_case(name.split("/")[0])
        listed.append(Listed(Example(str(found), label, group=group_of(stem).lower()), tuple(of)))
    classes = lists / "classInd.txt"
    named = [line.split()[-1] for line in lines_of(classes)] if classes.is_file() else []
    return Listing(listed, tuple(map(words_of_camel_case, named)), evaluated="test")


def _entries(lists: Path) -> Iterator[tuple[str, str]]:
    """Split and file name (`Archery/v_Archery_g01_c02.avi`) of each entry."""
    for file in sorted(lists.glob("t*list0[1-3].txt")):
        kind, number = file.stem.split("list0")
        for line in lines_of(file):
            name = line.split()[0]  # in training lists, the class number follows
            yield f"{kind}{number}", name
            if number == "1":
                yield kind, name


def _without_lists(path: Path) -> Listing:
    files = [file for file in media_files(path) if UCF_NAME.fullmatch(file.stem)]
    listed = [
        Listed(Example(str(file), words_of_camel_case(file.parent.name), group=group_of(file.name).lower()))
        for file in files
    ]
    return Listing(listed, notes=[f"{LISTS}/ does not exist, so there are no splits"])
