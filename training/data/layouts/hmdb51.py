"""HMDB51 (Kuehne et al. 2011): a folder per class, and `<class>_test_split1.txt` of three 70/30 splits.

A line is a file name and 1 (training), 2 (test) or 0 (neither). Split 1 is "train" and "test"; all three are "train1",
"test1" and so on. The clips of one film are one group: the part of the name before the class,
`April_09_brush_hair_u_...`.
"""

import re
from pathlib import Path

from training.data.example import Example
from training.data.layouts.layout import Listed, Listing, lines_of
from training.data.media import Shelf, plain_words

LISTS = ("testTrainMulti_7030_splits", "splits", ".")
LIST_NAME = re.compile(r"(?P<label>.+)_test_split(?P<number>[1-3])\.txt")
SPLITS = {"1": "train", "2": "test"}


def recognise(path: Path) -> str:
    lists = list_folder(path)
    return f"*_test_split1.txt in {lists.name}/" if lists else ""


def list_folder(path: Path) -> Path | None:
    """The folder of the lists: their own folder inside or next to `path`, or `path` itself; None if there is none."""
    places = [path / name for name in LISTS] + [path.parent / LISTS[0]] if path.is_dir() else []
    return next((place.resolve() for place in places if any(place.glob("*_test_split1.txt"))), None)


def read(path: Path) -> Listing:
    shelf = Shelf(path)
    found: dict[tuple[str, str], list[str]] = {}
    for file in sorted((list_folder(path) or path).glob("*_test_split[1-3].txt")):
        named = LIST_NAME.fullmatch(file.name)
        assert named is not None
        for line in lines_of(file):
            name, _, code = line.rpartition(" ")
            of = found.setdefault((named["label"], name.strip()), [])
            if code in SPLITS:
                of.append(f"{SPLITS[code]}{named['number']}")
                of += [SPLITS[code]] if named["number"] == "1" else []
    listed = []
    for (label, name), splits in found.items():
        stem = Path(name).stem
        file = shelf.find(f"{label}/{stem}", stem) or path / label / name
        film = stem.split(f"_{label}_")[0]
        listed.append(Listed(Example(str(file), plain_words(label), group=film), tuple(splits)))
    return Listing(listed, evaluated="test")
