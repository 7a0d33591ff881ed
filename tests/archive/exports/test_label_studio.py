"""Label Studio: its structure, and where each object and event is seen.

Its SDK has 484 MB, so the documented fields are checked, and a reader that shows boxes as its player does.
"""

import json
from typing import Any

from archive.exports.label_studio import text
from archive.exports.source import Source
from pipeline.result import Track
from tests.archive.exports.made import EVIL, clip_with, source_with

CLIPS = [
    clip_with(0, 0, 2, [(EVIL, 0.9)], [Track(7, [(0.4, 0, 0, 64, 36), (0.8, 320, 0, 640, 36)], "dog", 0.9)]),
    clip_with(1, 2, 4, [("rain", 0.8)], [Track(7, [(2.4, 64, 36, 128, 72)], "dog", 0.9)]),
]


def read(source: Source) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    (task,) = json.loads(text(source))
    found: dict[str, list[dict[str, Any]]] = {}
    for each in task["predictions"][0]["result"]:
        found.setdefault(each["type"], []).append(each)
    return task, found


def seen(sequence: list[dict[str, Any]], frames: int) -> list[int]:
    """Frames from 1 on in which the player shows a box: at a key frame, and after it while it is enabled."""
    by_frame, shown, is_enabled = {each["frame"]: each for each in sequence}, [], False
    for frame in range(1, frames + 1):
        if frame in by_frame or is_enabled:
            shown.append(frame)
        is_enabled = by_frame[frame]["enabled"] if frame in by_frame else is_enabled
    return shown


def test_objects_are_seen_from_their_first_to_their_last_box_and_not_while_out_of_sight() -> None:
    task, found = read(source_with(CLIPS))
    (track,) = found["videorectangle"]
    assert seen(track["value"]["sequence"], 100) == [*range(11, 22), 61]
    assert [each["x"] for each in track["value"]["sequence"]] == [0, 50, 10]
    assert [each["width"] for each in track["value"]["sequence"]] == [10, 50, 10]
    assert [each["height"] for each in track["value"]["sequence"]] == [10, 10, 10]
    assert track["value"]["labels"] == ["dog"]
    assert (track["value"]["framesCount"], track["value"]["duration"]) == (100, 4.0)
    assert task["data"] == {"video": "/data/local-files/?d=videos/talk.mp4", "fps": 25.0}
    assert task["predictions"][0]["model_version"] == "percept-mini@3"


def test_events_are_whole_frames_that_do_not_overlap() -> None:
    _, found = read(source_with(CLIPS))
    ranges = [(each["value"]["timelinelabels"], each["value"]["ranges"]) for each in found["timelinelabels"]]
    assert ranges == [([EVIL], [{"start": 1, "end": 50}]), (["rain"], [{"start": 51, "end": 100}])]
    assert {each["to_name"] for those in found.values() for each in those} == {"video"}


def test_ids_are_unique() -> None:
    _, found = read(source_with(CLIPS))
    ids = [each["id"] for those in found.values() for each in those]
    assert len(ids) == len(set(ids)) == 3


def test_an_address_stays_an_address() -> None:
    task, _ = read(source_with(CLIPS, source="s3://videos/talk.mp4"))
    assert task["data"]["video"] == "s3://videos/talk.mp4"


def test_a_name_is_escaped_once() -> None:
    """In an archive, `%` is `%25`, and bytes that are no UTF-8 are `%XX`."""
    task, _ = read(source_with(CLIPS, name="videos/100%25 caf%E9 ü.mp4"))
    assert task["data"]["video"] == "/data/local-files/?d=videos/100%25%20caf%E9%20%C3%BC.mp4"
