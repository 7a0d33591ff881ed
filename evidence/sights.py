"""Files of word maps: for every picture one with its parts drawn on it and a mask, and one JSON for all."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from evidence.heat import percent
from evidence.looking import Sight
from evidence.overlay import overlay
from pipeline.arrays import Array
from pipeline.errors import OutputError
from pipeline.result import clock_text
from stages.words.scoring import sigmoid


def write_sights(
    folder: Path, source: str, sights: Iterable[Sight], words: Sequence[str], kind: str
) -> Iterator[dict[str, Any]]:
    """Write the files of a source into a folder, and give what each picture shows, as in the JSON.

    `NAME-0004.50s.png` is the picture with its parts, `NAME-0004.50s-mask.png` the mask of `kind` with 16 bits,
    `NAME.json` tells boxes and areas. A photo's files have no time.

    Raises: OutputError: a file cannot be written.
    """
    name, told = file_name(source), list[dict[str, Any]]()
    make_folder(folder)
    for sight in sights:
        stem = f"{name}-{sight.time_s:07.2f}s" if sight.is_film else name
        picture = overlay(sight.frame, sight.segments, tuple(words), kind, sigmoid(sight.map.peaks))
        write_png(folder / f"{stem}.png", picture)
        write_png(folder / f"{stem}-mask.png", sight.segments.mask(kind).astype(np.uint16))
        told.append(facts(sight, words, kind) | {"picture": f"{stem}.png", "mask": f"{stem}-mask.png"})
        yield told[-1]
    tree = {"source": source, "as": kind, "words": list(words), "pictures": told}
    write_bytes(folder / f"{name}.json", json.dumps(tree, indent=1, ensure_ascii=False).encode("utf-8", "replace"))


def facts(sight: Sight, words: Sequence[str], kind: str) -> dict[str, Any]:
    """What was found in a picture: its words, and the parts of this kind.

    Boxes are x0 y0 x1 y1 in pixels of the source, areas shares of the picture.
    """
    height, width = sight.frame.shape[:2]
    scale = np.array([sight.width / width, sight.height / height] * 2)
    parts = [part for part in sight.segments.parts if kind != "instance" or part.is_thing]
    told = []
    for part in parts:
        box = [round(float(side), 1) for side in np.array(part.box) * scale]
        value = part.label + 1 if kind == "semantic" else part.number
        told.append(
            {"value": value, "word": words[part.label], "box": box, "area": round(part.area, 4)}
            | {"probability": round(part.score, 4), "is_thing": part.is_thing}
        )
    area = [sum(part.area for part in parts if part.label == number) for number in range(len(words))]
    found = [
        {"word": word, "area": round(area[number], 4), "peak": round(float(peak), 4)}
        for number, (word, peak) in enumerate(zip(words, sigmoid(sight.map.peaks), strict=True))
    ]
    return {
        "time_s": round(sight.time_s, 3),
        "width": sight.width,
        "height": sight.height,
        "words": found,
        "parts": told,
        "unknown": round(1 - sum(area), 4),
    }


def sentence(told: dict[str, Any]) -> str:
    """`0:04  sheep 31 %, grass 52 %, unknown 17 %; no dog`"""
    found = [f"{each['word']} {percent(each['area'])}" for each in told["words"] if each["area"]]
    missing = [each["word"] for each in told["words"] if not each["area"]]
    seen = ", ".join([*found, f"unknown {percent(told['unknown'])}"])
    return f"{clock_text(told['time_s'])}  {seen}" + (f"; no {', no '.join(missing)}" if missing else "")


def file_name(source: str) -> str:
    """`talk` of `/videos/talk.mp4`; only letters that any file system takes."""
    stem = Path(source.split("?")[0].rstrip("/")).stem
    return re.sub(r"[^\w.-]+", "_", stem).strip("._") or "picture"


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}; expected a folder that can be written") from error


def write_png(path: Path, picture: Array) -> None:
    """A picture uint8 "H W 3" RGB, or a mask uint16 "H W". Raises: OutputError."""
    swapped = picture[..., ::-1] if picture.ndim == 3 else picture
    _, coded = cv2.imencode(".png", np.ascontiguousarray(swapped))
    write_bytes(path, coded.tobytes())


def write_bytes(path: Path, content: bytes) -> None:
    """Raises: OutputError."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; expected a file that can be written") from error
