"""`percept.find`: what a phrase describes, by the command `percept find` in a process of its own."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from percept import _child
from percept._session import Session, session_of

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class FoundPart:
    """A part of the phrase: what it is ("thing", "colour", "left", ...), its place in the text, its box and score."""

    kind: str
    text: str
    span: tuple[int, int]
    box: Box
    score: float | None
    """In [0, 1]; None where nothing could tell."""
    note: str = ""

    __module__ = "percept"


@dataclass(frozen=True)
class FoundBox:
    """One answer in one picture. box: x0 y0 x1 y1 in pixels of the source."""

    time_s: float
    box: Box
    score: float
    track: int | None
    parts: tuple[FoundPart, ...]

    __module__ = "percept"


@dataclass(frozen=True)
class FoundTrack:
    """A track of a film that fits, with its times."""

    track: int
    begin_s: float
    end_s: float
    score: float

    __module__ = "percept"


@dataclass(frozen=True)
class Found:
    """What a phrase describes. A notebook shows its picture.

    boxes: those that fit, by time, the best of a picture first; nothing if it is not there. tracks: of a film, those
    that fit. picture: PNG of the best moment.
    """

    phrase: str
    boxes: tuple[FoundBox, ...]
    tracks: tuple[FoundTrack, ...]
    picture: bytes

    __module__ = "percept"

    @property
    def is_there(self) -> bool:
        return bool(self.boxes)

    def __str__(self) -> str:
        if not self.boxes:
            return f"not there: {self.phrase}"
        best = max(self.boxes, key=lambda each: each.score)
        return f"{self.phrase}: {best.score:.2f} at {', '.join(f'{side:g}' for side in best.box)}"

    def _repr_png_(self) -> bytes:
        return self.picture


def find(
    source: str | os.PathLike[str],
    phrase: str,
    *,
    at: float | None = None,
    every: float | None = None,
    most: int | None = None,
    quick: bool = False,
    detector: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    session: Session | None = None,
) -> Found:
    """Find what a phrase describes, in a photo or a film.

        found = percept.find("photo.jpg", "the red cup left of the laptop")
        for each in found.boxes:
            print(each.box, each.score, [(part.text, part.score) for part in each.parts])

    Args:
        source: A photo or a film.
        phrase: A phrase, or several sentences, in English.
        at: One moment of a film, in seconds.
        every: One picture in so many seconds; by default 2.
        most: Boxes of a picture at most; by default 3.
        quick: Look into fewer boxes, and only once.
        detector: As for `percept.run`.
        model: As for `percept.run`.
        settings: Single settings, as for `percept.run`.
        session: Keeps the networks open for further calls.

    Raises:
        ConfigError, SourceError, ModelError: with the message of the command line.
    """
    options: dict[str, Any] = {"at": at, "every": every, "most": most, "quick": quick}
    options |= {name: os.fspath(each) for name, each in (("model", model), ("detector", detector)) if each}
    _, given, _ = _child.order([], None, options, (), None, settings)
    with tempfile.TemporaryDirectory(prefix="percept-") as folder, session_of(session) as opened:
        path = Path(folder, "found.png")
        told = opened._answer("find", ["-o", str(path), *given, "--", os.fspath(source), phrase])
        rows = [json.loads(line) for line in told.splitlines()]
        boxes = [_box(row["time_s"], each) for row in rows for each in row.get("answers", ()) if each["fits"]]
        tracks = [FoundTrack(**each) for row in rows for each in row.get("tracks", ())]
        return Found(phrase, tuple(boxes), tuple(tracks), path.read_bytes())


def _box(time_s: float, told: dict[str, Any]) -> FoundBox:
    parts = [
        FoundPart(
            each["kind"], each["text"], _pair(each["span"]), _corners(each["box"]), each["score"], each.get("note", "")
        )
        for each in told["parts"]
    ]
    return FoundBox(time_s, _corners(told["box"]), told["score"], told.get("track"), tuple(parts))


def _pair(values: list[int]) -> tuple[int, int]:
    first, end = values
    return first, end


def _corners(values: list[float]) -> Box:
    x0, y0, x1, y1 = values
    return x0, y0, x1, y1
