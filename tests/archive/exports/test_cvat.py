"""CVAT for video: its structure, and where each object is seen.

CVAT's SDK has 41 MB and needs a running server, so the elements of its documented format are checked, and a reader that
interpolates as CVAT does.
"""

from xml.etree.ElementTree import Element, fromstring

from archive.exports.cvat import text
from archive.exports.xml_text import legal
from pipeline.result import Track
from tests.archive.exports.made import EVIL, clip_with, source_with

CLIPS = [
    clip_with(0, 0, 2, tracks=[Track(7, [(0.4, 0, 0, 64, 36), (0.8, 10, 0, 74, 36)], "dog", 0.9)]),
    clip_with(
        1, 2, 4, tracks=[Track(7, [(2.4, 50, 0, 114, 36)], "dog", 0.9), Track(9, [(3.96, 5, 5, 9, 9)], EVIL, 0.4)]
    ),
]


def seen(track: Element, frames: int) -> list[int]:
    """The frames in which CVAT shows a track: from each box on, until one that is outside."""
    states = {int(box.get("frame", "")): box.get("outside") == "0" for box in track}
    shown, is_seen = [], False
    for frame in range(frames):
        is_seen = states.get(frame, is_seen)
        if is_seen:
            shown.append(frame)
    return shown


def test_objects_are_seen_from_their_first_to_their_last_box_and_not_while_out_of_sight() -> None:
    root = fromstring(text(source_with(CLIPS)).encode())
    dog, other = root.findall("track")
    assert seen(dog, 100) == [*range(10, 21), 60]
    assert seen(other, 100) == [99], "the last frame needs no box outside after it"
    assert [box.get("frame") for box in other] == ["99"]
    assert [box.get("frame") for box in dog if box.get("outside") == "1"] == ["21", "61"]


def test_what_the_format_requires_is_there() -> None:
    root = fromstring(text(source_with(CLIPS, duration_s=10.0)).encode())
    assert [each.tag for each in root] == ["version", "meta", "track", "track"]
    task = root.find("meta/task")
    assert task is not None
    told = {each.tag: each.text for each in task}
    assert (told["size"], told["mode"], told["start_frame"], told["stop_frame"]) == ("250", "interpolation", "0", "249")
    assert [each.text for each in task.find("original_size") or ()] == ["640", "360"]
    assert {each.text for each in task.findall("labels/label/name")} == {"dog", legal(EVIL)}
    for number, track in enumerate(root.findall("track")):
        assert (track.get("id"), track.get("source")) == (str(number), "auto")
        for box in track:
            assert {"frame", "outside", "occluded", "keyframe", "xtl", "ytl", "xbr", "ybr", "z_order"} == set(
                box.keys()
            )
            x0, y0, x1, y1 = (float(box.get(name, "")) for name in ("xtl", "ytl", "xbr", "ybr"))
            assert 0 <= x0 < x1 <= 640
            assert 0 <= y0 < y1 <= 360


def test_texts_are_only_texts() -> None:
    root = fromstring(text(source_with(CLIPS)).encode())
    assert root.findall("track")[1].get("label") == legal(EVIL)
    assert len(list(root.iter("box"))) == 6
