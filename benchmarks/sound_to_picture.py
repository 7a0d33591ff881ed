"""Does `percept search --like-sound` find pictures of what is heard?

    python -m benchmarks.sound_to_picture [--data ../shared/data] [--model percept-mini]

An archive of 161 photos, over half of them of eleven kinds of things that have a sound, is searched with the sounds
of these that the sound tower was not trained on, at most four of a kind: 42. Photos of VOC are those for reporting; of
the other kinds, ImageNet has few, and all are taken. The figure is the mean average precision: 1 if each sound has all
its photos first.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archive.search.opened import Opened
from archive.search.question import Question
from archive.search.search import search
from benchmarks import report
from benchmarks.accuracy import DATA
from engines.models.checkpoint import read_model
from pipeline.config import load_config
from recipes.percept_mini.picture_data import Photo, archive_of, pictures, read_photos, split_of
from recipes.percept_mini.sound_read_out import never_trained_on
from training.intervals import bootstrap

PER_KIND, PICTURES, SOUNDS = 16, 161, 4
FROM_VOC = ("bird", "cat", "cow", "dog", "sheep")
FROM_IMAGENET = {
    "chicken": "cock hen",
    "frog": "bullfrog tree_frog tailed_frog",
    "sea_waves": "seashore sandbar",
    "clock_tick": "analog_clock wall_clock",
    "acoustic_guitar": "acoustic_guitar electric_guitar",
    "violin_or_fiddle": "violin",
}
"""Kind, which is the folder of its sounds, and the classes of its photos."""
MORE_SOUNDS = {"chicken": ("rooster",)}
"""Folders with more sounds of a kind."""
LARGE = 0.25
"""Share of a photo that its thing covers at least."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="percept-mini")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data}: does not exist; expected a folder with images/, boxes/ and audio/")
    with tempfile.TemporaryDirectory(prefix="sound-to-picture-") as folder:
        kinds = dict(write_photos(options.data, Path(folder) / "photos"))
        labels = str(Path(folder) / "labels")
        command = ["label", str(Path(folder) / "photos"), "-o", labels, "--model", options.model, "-q"]
        subprocess.run([sys.executable, "-m", "commands.main", *command], check=True, timeout=1800)
        opened = Opened(labels, load_config("label", [f"model.path={options.model}"]))
        figures = {"model": read_model(options.model).id, **searched(options.data, opened, kinds)}
    for name, value in figures.items():
        print(f"{name:32} {value}")
    report.write("sound_to_picture", figures)


def write_photos(data: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """The names of the files that are written, each with its kind; "" for what makes no sound here."""
    folder.mkdir()
    chosen = dict(of_voc(data))
    for file, picture in pictures(data, "voc2012", set(chosen)):
        name = Path(file).with_suffix(".png").name
        picture.save(folder / name)
        yield name, chosen[file]
    kinds = {name: kind for kind, names in FROM_IMAGENET.items() for name in names.split()}
    wanted = {file: kinds.get(Path(file).stem.partition("_")[2]) for file in files_in(data)}
    for file, picture in pictures(data, "imagenet", {file for file, kind in wanted.items() if kind}):
        name = Path(file).with_suffix(".png").name
        picture.save(folder / name)
        yield name, wanted[file] or ""


def files_in(data: Path) -> list[str]:
    with tarfile.open(archive_of(data, "imagenet")) as archive:
        return [member.name for member in archive if member.isfile()]


def of_voc(data: Path) -> Iterator[tuple[str, str]]:
    """Photos for reporting: of each kind some where it is large, and as many without any as make up the number."""
    photos = sorted(read_photos(data, "voc2012"), key=lambda photo: photo.file)
    by_kind: dict[str, list[str]] = {}
    for photo in (photo for photo in photos if split_of(photo) == "report"):
        by_kind.setdefault(kind_of(photo), []).append(photo.file)
    chosen = [(file, kind) for kind in FROM_VOC for file in by_kind[kind][:PER_KIND]]
    rare = sum(len(names.split()) for names in FROM_IMAGENET.values())
    yield from chosen
    yield from ((file, "") for file in by_kind[""][: PICTURES - rare - len(chosen)])


def kind_of(photo: Photo) -> str:
    """The one kind in a photo; "" if none is, and "several" if it shows several or none of them large enough."""
    names = {box[0] for box in photo.boxes} & set(FROM_VOC)
    if not names:
        return ""
    right, below = max(box[3] for box in photo.boxes), max(box[4] for box in photo.boxes)
    large = max((x1 - x0) * (y1 - y0) for name, x0, y0, x1, y1 in photo.boxes if name in names)
    return names.pop() if len(names) == 1 and large >= LARGE * right * below else "several"


def sounds(data: Path) -> Iterator[tuple[str, Path]]:
    for kind in (*FROM_VOC, *FROM_IMAGENET):
        folders = (kind, *MORE_SOUNDS.get(kind, ()))
        files = [path for name in folders for path in sorted((data / "audio").glob(f"*/{name}/*.ogg"))]
        yield from [(kind, path) for path in files if never_trained_on(data, path)][:SOUNDS]


def searched(data: Path, opened: Opened, kinds: Mapping[str, str]) -> dict[str, Any]:
    precisions, first, by_kind = list[float](), list[bool](), dict[str, list[float]]()
    for kind, path in sounds(data):
        hits = search(opened, Question(like_sound=str(path), modalities=("image",), top=len(kinds)))
        right = np.array([kinds[Path(hit.name).name] == kind for hit in hits])
        precisions.append(average_precision(right, sum(each == kind for each in kinds.values())))
        first.append(bool(right[0]))
        by_kind.setdefault(kind, []).append(precisions[-1])
        print(f"{kind:16} {path.name:24} {precisions[-1]:.2f}", flush=True)
    low, high = bootstrap(np.array(precisions), lambda drawn: float(drawn.mean()), 0)
    chance = np.mean([sum(each == kind for each in kinds.values()) / len(kinds) for kind in by_kind])
    return {
        "sounds": len(precisions),
        "pictures": len(kinds),
        "map": {"value": float(np.mean(precisions)), "low": low, "high": high},
        "first_is_right": float(np.mean(first)),
        "chance": float(chance),
        "by_kind": {kind: round(float(np.mean(each)), 3) for kind, each in by_kind.items()},
    }


def average_precision(right: np.ndarray, count: int) -> float:
    """Mean, over the `count` right items, of the share of right ones down to each; those not in the list count 0."""
    places = np.flatnonzero(right)
    return float(sum((number + 1) / (place + 1) for number, place in enumerate(places)) / count)


if __name__ == "__main__":
    main()
