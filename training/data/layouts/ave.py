"""AVE (Tian et al. 2018): `Annotations.txt`, trainSet.txt, valSet.txt, testSet.txt and `AVE/<video id>.mp4`.

A line is "Category&VideoID&Quality&StartTime&EndTime". The start and end of the event are ignored: an example is the
whole video of ten seconds, as in published figures per video.
"""

from pathlib import Path

from training.data.example import Example
from training.data.layouts.layout import Listed, Listing, lines_of
from training.data.media import Shelf

TABLE = "Annotations.txt"
SPLITS = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}


def recognise(path: Path) -> str:
    file = path / TABLE
    return TABLE if file.is_file() and lines_of(file)[:1] and "&" in lines_of(file)[0] else ""


def read(path: Path) -> Listing:
    shelf = Shelf(path)
    splits: dict[tuple[str, str], list[str]] = {}
    for split, name in SPLITS.items():
        for entry in _entries(path / name):
            splits.setdefault(entry, []).append(split)
    listed = []
    for label, video in dict.fromkeys([*_entries(path / TABLE), *splits]):
        file = shelf.find(video) or path / "AVE" / f"{video}.mp4"
        of = tuple(splits.get((label, video), ()))
        listed.append(Listed(Example(str(file), label, group=video), of))
    return Listing(listed, evaluated="test" if (path / SPLITS["test"]).is_file() else "")


def _entries(file: Path) -> list[tuple[str, str]]:
    """Label and video id of each line; empty if the list does not exist."""
    if not file.is_file():
        return []
    parts = [line.split("&") for line in lines_of(file)]
    return [(part[0].strip(), part[1].strip()) for part in parts if len(part) >= 2 and part[1] != "VideoID"]
