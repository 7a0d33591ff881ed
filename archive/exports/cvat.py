"""CVAT 1.1, video: a track of boxes per object."""

from xml.etree.ElementTree import Element

from archive.exports.boxes import Box, TrackPath
from archive.exports.source import Source
from archive.exports.xml_text import add, document


def text(source: Source) -> str:
    """Boxes are in stored pixels, upright, because CVAT shows pictures so; frames count from 0.

    Where an object is out of sight for a while or for good, the frame after its last box has one that is `outside`.
    Between two boxes CVAT interpolates. CVAT has no labels of stretches of time, so events are left out.
    """
    size, frames = source.stored_size, source.frames
    paths = source.tracks(size)
    root = Element("annotations")
    add(root, "version", "1.1")
    task = add(add(root, "meta"), "task")
    add(task, "name", source.name)
    add(task, "size", frames)
    add(task, "mode", "interpolation")
    add(task, "start_frame", 0)
    add(task, "stop_frame", frames - 1)
    labels = add(task, "labels")
    for name in sorted({path.label for path in paths}):
        label = add(labels, "label")
        add(label, "name", name)
        add(label, "type", "rectangle")
        add(label, "attributes")
    original = add(task, "original_size")
    add(original, "width", size[0])
    add(original, "height", size[1])
    add(task, "source", source.name)
    for number, path in enumerate(paths):
        _add_track(root, number, path, frames)
    return document(root)


def _add_track(root: Element, number: int, path: TrackPath, frames: int) -> None:
    track = add(root, "track", id=number, label=path.label, source="auto")
    for stretch in path.stretches:
        for frame, box in stretch:
            _add_box(track, frame, box, outside=0)
        last, box = stretch[-1]
        if last + 1 < frames:
            _add_box(track, last + 1, box, outside=1)


def _add_box(track: Element, frame: int, box: Box, outside: int) -> None:
    corners = {name: f"{value:.2f}" for name, value in zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True)}
    add(track, "box", frame=frame, keyframe=1, outside=outside, occluded=0, **corners, z_order=0)
