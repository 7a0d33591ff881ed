"""VGGSound (Chen et al. 2020): `vggsound.csv` with YouTube id, start in seconds, label and split, without a heading.

Files are named `<id>_000030.mp4`, as by the authors, `<id>_30.mp4`, `<id>_000030_000040.mp4`, `<id>_30_40.mp4`,
`<id>_30000_40000.mp4` (milliseconds), or `<id>.mp4`.
"""

import csv
from pathlib import Path

from training.data.example import Example
from training.data.layouts.layout import Listed, Listing, unreadable
from training.data.media import Shelf

TABLE = "vggsound.csv"
LENGTH_S = 10


def recognise(path: Path) -> str:
    return TABLE if (path / TABLE).is_file() else ""


def read(path: Path) -> Listing:
    shelf = Shelf(path)
    listed = []
    try:
        with (path / TABLE).open(newline="", encoding="utf-8-sig") as file:
            for row in csv.reader(file):
                if len(row) >= 4 and row[1].strip().isdigit():
                    listed.append(_entry(path, shelf, [cell.strip() for cell in row]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path / TABLE, error) from error
    return Listing(listed, evaluated="test")


def _entry(path: Path, shelf: Shelf, row: list[str]) -> Listed:
    video, start, label, split = row[0], int(row[1]), row[2], row[3]
    names = (
        f"{video}_{start:06}",
        f"{video}_{start}",
        f"{video}_{start:06}_{start + LENGTH_S:06}",
        f"{video}_{start}_{start + LENGTH_S}",
        f"{video}_{start * 1000}_{(start + LENGTH_S) * 1000}",
        video,
    )
    found = shelf.find(*names) or path / f"{names[0]}.mp4"
    return Listed(Example(str(found), label, group=video), (split,))
