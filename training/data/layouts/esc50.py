"""ESC-50 (Piczak 2015): `meta/esc50.csv` and `audio/*.wav`.

Splits are "fold1" to "fold5" and "esc10", the ten classes of ESC-10. Clips of one recording are one group.
"""

from pathlib import Path

from training.data.example import Example
from training.data.layouts.layout import Listed, Listing, table_rows
from training.data.media import Shelf, group_of, plain_words

TABLE = Path("meta", "esc50.csv")


def recognise(path: Path) -> str:
    return str(TABLE) if (path / TABLE).is_file() else ""


def read(path: Path) -> Listing:
    shelf = Shelf(path)
    listed = []
    names: dict[int, str] = {}
    for row in table_rows(path / TABLE, "filename", "fold", "category"):
        stem = Path(row["filename"]).stem
        file = shelf.find(stem) or path / "audio" / row["filename"]
        label = plain_words(row["category"])
        names[int(row.get("target") or len(names))] = label
        splits = (f"fold{row['fold']}", *(["esc10"] if row.get("esc10") == "True" else []))
        listed.append(Listed(Example(str(file), label, group=row.get("src_file") or group_of(stem)), splits))
    return Listing(listed, tuple(names[number] for number in sorted(names)))
