"""Records for pages: what a run would say about synthetic media."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.result import ClipRecord, Evidence, Label, Track, encode_json
from tests.media import SQUARE_SPEED

WEIGHTS = {"image": 0.4, "motion": 0.25, "audio": 0.35}


def label(name: str, probability: float, **evidence: float) -> Label:
    """A label; `evidence` is the probability by modality."""
    given = {key: Evidence(value, 0.1, WEIGHTS[key]) for key, value in evidence.items()}
    return Label(label=name, probability=probability, share=probability / 2, evidence=given)


def clip(
    source: str, index: int, labels: Sequence[Label] = (), tracks: Sequence[Track] = (), **more: Any
) -> ClipRecord:
    """The result of a clip of two seconds."""
    given = {"epoch": 0, "start_s": 2.0 * index, "end_s": 2.0 * index + 2.0, "width": 320, "height": 240} | more
    return ClipRecord(source=source, clip=index, parts={"labels": list(labels), "tracks": list(tracks)}, **given)


def square_box(time_s: float, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Where the square of tests/media.py is: x0, y0, x1, y1."""
    width, height = size
    side = height // 4
    left = round(time_s * SQUARE_SPEED * width) % (width - side)
    return left, height // 4, left + side, height // 4 + side


def square_track(start_s: float, seconds: float, size: tuple[int, int], steps_hz: float = 8.0) -> Track:
    """A track that follows the square exactly."""
    times = [start_s + step / steps_hz for step in range(round(seconds * steps_hz))]
    return Track(id=1, boxes=[(time, *square_box(time, size)) for time in times], label="square", probability=0.9)


def following(source: str, seconds: int, size: tuple[int, int]) -> list[ClipRecord]:
    """Every second clip is `red square`, the others are `grey noise`, and all are a little `beep`."""
    return [
        clip(
            source,
            index,
            [
                label("red square", 0.9, image=0.95, motion=0.6, audio=0.02)
                if index % 2 == 0
                else label("grey noise", 0.7, image=0.8, motion=0.1, audio=0.01),
                label("beep", 0.2, image=0.01, motion=0.01, audio=0.4),
            ],
            [square_track(2.0 * index, 2.0, size)],
            width=size[0],
            height=size[1],
        )
        for index in range(seconds // 2)
    ]


def written(path: Path, records: Iterable[ClipRecord]) -> Path:
    path.write_bytes(b"".join(encode_json(record) + b"\n" for record in records))
    return path
