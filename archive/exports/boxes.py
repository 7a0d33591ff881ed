"""Tracks joined over all clips of a source, with boxes by frame."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from pipeline.result import ClipRecord

UNNAMED = "object"
"""The name of a track for which no word was probable."""
PAUSE_S = 1.0
"""A track without a box for longer was out of sight. In between, boxes are interpolated, as in the labelled video."""
Size = tuple[int, int]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""


@dataclass(frozen=True)
class TrackPath:
    """A track over the whole source."""

    id: int
    label: str
    """The name with the largest sum of probabilities over its clips, or `UNNAMED`."""
    probability: float
    """Mean of that name's; -1 without a name."""
    stretches: tuple[tuple[tuple[int, Box], ...], ...]
    """Boxes by frame, in order; between two stretches the object was out of sight."""

    def every_frame(self) -> Iterator[tuple[int, Box]]:
        """A box for each frame of each stretch, interpolated where none was found."""
        for stretch in self.stretches:
            for (first, box), (following, other) in pairwise(stretch):
                for frame in range(first, following):
                    share = (frame - first) / (following - first)
                    x0, y0, x1, y1 = (a + (b - a) * share for a, b in zip(box, other, strict=True))
                    yield frame, (x0, y0, x1, y1)
            yield stretch[-1]


def join_tracks(clips: Iterable[ClipRecord], frame: Callable[[float], int], size: Size) -> list[TrackPath]:
    """All tracks by id, with boxes in pixels of upright pictures of this size, within the picture.

    frame: the number of the frame at a time. Boxes without area, and a second one of a frame, are left out.
    """
    boxes: dict[int, dict[int, tuple[float, Box]]] = {}
    sums: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    named: Counter[tuple[int, str]] = Counter()
    for clip in clips:
        for track in clip.tracks or ():
            found = boxes.setdefault(track.id, {})
            for time_s, *box in track.boxes:
                if placed := _placed(box, (clip.width, clip.height), size):
                    found.setdefault(frame(time_s), (time_s, placed))
            if track.label:
                sums[track.id][track.label] += track.probability or 0.0
                named[track.id, track.label] += 1
    paths = []
    for number, found in sorted(boxes.items()):
        if not found:
            continue
        label = max(sorted(sums[number]), key=sums[number].__getitem__, default="")
        mean = sums[number][label] / named[number, label] if label else -1.0
        paths.append(TrackPath(number, label or UNNAMED, mean, _stretches(found)))
    return paths


def _placed(box: list[float], own: Size, size: Size) -> Box | None:
    """A box of a picture of one size in one of another size; None if nothing of it is inside."""
    if not (all(own) and all(size)):
        return None
    scale_x, scale_y = size[0] / own[0], size[1] / own[1]
    x0, x1 = (min(max(x * scale_x, 0.0), float(size[0])) for x in (box[0], box[2]))
    y0, y1 = (min(max(y * scale_y, 0.0), float(size[1])) for y in (box[1], box[3]))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _stretches(found: dict[int, tuple[float, Box]]) -> tuple[tuple[tuple[int, Box], ...], ...]:
    stretches: list[list[tuple[int, Box]]] = []
    last_s = float("-inf")
    for frame, (time_s, box) in sorted(found.items()):
        if time_s - last_s > PAUSE_S:
            stretches.append([])
        stretches[-1].append((frame, box))
        last_s = time_s
    return tuple(map(tuple, stretches))
