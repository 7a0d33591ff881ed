"""Draws one clip on pictures: boxes with their names, labels with the evidence for them. Sizes follow the picture."""

import colorsys
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from pipeline.arrays import Array
from pipeline.places import Line, Point, Polygon
from pipeline.result import ClipRecord, Track
from pipeline.sinks.corner import CornerChooser, Rect
from pipeline.sinks.lettering import DARK, WHITE, Colour
from pipeline.sinks.panel import Panel, PanelArtist
from pipeline.status import VideoOptions

LEAST_NAMED = 0.5
"""Tracks with a less probable label show only their number."""
HOLD_S = 0.25
"""How long the box of a track stays after its last time at most: one step of the frame grid."""
CORNER = 0.2
"""Share of each side that is drawn, from both its ends, where a track was not seen."""
BRIDGE_S = 1.0
"""Boxes are interpolated over at most this time."""


@dataclass(frozen=True)
class Place:
    """Where a box of a record is in a picture: box · scale + offset, for x and y."""

    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def of(self, box: tuple[float, float, float, float]) -> Rect:
        (x, y), (left, top) = self.scale, self.offset
        x0, y0, x1, y1 = box
        return round(x0 * x + left), round(y0 * y + top), round(x1 * x + left), round(y1 * y + top)


class Artist:
    """Draws on upright pictures of one size. A picture may have a strip below, `strip_px` high, for the labels."""

    def __init__(self, width: int, height: int, options: VideoOptions | None = None) -> None:
        options = options or VideoOptions()
        self.width, self.height, self.options = width, height, options
        self.panels = PanelArtist(width, height, options)
        self._corners = CornerChooser(width, height, margin_px=self.panels.pad_px)
        self._small = self.panels.small
        self._thick_px = max(2, round(self.panels.text.size_px / 9))

    @property
    def strip_px(self) -> int:
        return self.panels.strip_px

    def tracks(self, picture: Array, paths: list["TrackPath"], time_s: float, place: Place = Place()) -> None:
        """Draw boxes with id and label, each track in its own colour, in place. Tags are above all boxes."""
        shown = [(path, place.of(box)) for path in paths if (box := path.at(time_s)) is not None]
        for path, rect in shown:
            colour = track_colour(path.id)
            if path.is_filled(time_s):
                self._corners_of(picture, rect, colour)
            else:
                cv2.rectangle(picture, rect[:2], rect[2:], colour, self._thick_px, cv2.LINE_AA)
        for (path, _), (text, tag) in zip(shown, self.tags(shown), strict=True):
            self._tag(picture, text, tag, track_colour(path.id))

    def tags(self, shown: Sequence[tuple["TrackPath", Rect]]) -> list[tuple[str, Rect]]:
        """The text and place of the tag of each box; those before leave room for the numbers of those after."""
        tags: list[tuple[str, Rect]] = []
        for row, (path, rect) in enumerate(shown):
            later = [self._tag_rect(str(other.id), below) for other, below in shown[row + 1 :]]
            tags.append(self._free_tag(path, rect, [*(tag for _, tag in tags), *later]))
        return tags

    def _tag(self, picture: Array, text: str, tag: Rect, colour: Colour) -> None:
        cv2.rectangle(picture, tag[:2], tag[2:], colour, -1)
        size = self._small.size_px
        ink = DARK if sum(colour) > 380 else WHITE
        self._small.draw(picture, text, tag[0] + size // 2, tag[1] + round(size * 1.05), ink, 600)

    def _free_tag(self, path: "TrackPath", rect: Rect, taken: Sequence[Rect]) -> tuple[str, Rect]:
        """The text of a tag and where it covers no other one: above its box or in it, or else the number alone."""
        texts = dict.fromkeys([self._tag_text(path), str(path.id)])
        tags = [(text, tag) for text in texts for tag in self._tag_places(text, rect)]
        free = (each for each in tags if not any(_meet(each[1], other) for other in taken))
        return next(free, tags[-2])

    def _tag_places(self, text: str, rect: Rect) -> tuple[Rect, Rect]:
        """Above the box and in it; both in it at the top of the picture."""
        x0, y0, x1, y1 = tag = self._tag_rect(text, rect)
        inside_y = max(rect[1], y0)
        return tag, (x0, inside_y, x1, inside_y + y1 - y0)

    def _corners_of(self, picture: Array, rect: Rect, colour: Colour) -> None:
        x0, y0, x1, y1 = rect
        across, down = round(CORNER * (x1 - x0)), round(CORNER * (y1 - y0))
        for x, dx in ((x0, across), (x1, -across)):
            for y, dy in ((y0, down), (y1, -down)):
                points = np.array([[x + dx, y], [x, y], [x, y + dy]], np.int32)
                cv2.polylines(picture, [points], False, colour, self._thick_px, cv2.LINE_AA)

    def shape(self, picture: Array, points: Sequence[tuple[int, int]], closed: bool, text: str) -> None:
        """Draw a zone or a line, and what it counted at its first point, in place."""
        corners = np.array(points, np.int32)
        for colour, thick_px in ((DARK, self._thick_px + 2), (WHITE, self._thick_px)):
            cv2.polylines(picture, [corners], closed, colour, thick_px, cv2.LINE_AA)
        size = self._small.size_px
        text = self._small.fit(text, self.width // 2, 600)
        width, height = self._small.width(text, 600) + size, round(size * 1.4)
        x = int(np.clip(points[0][0], 0, max(0, self.width - width)))
        y = int(np.clip(points[0][1], 0, max(0, self.height - height)))
        cv2.rectangle(picture, (x, y), (x + width, y + height), WHITE, -1)
        self._small.draw(picture, text, x + size // 2, y + round(size * 1.05), DARK, 600)

    def region(self, picture: Array, rect: Rect, text: str, row: int) -> None:
        """Draw where a label is, its name so many rows above the bottom of its box, in place."""
        x0, y0, x1, y1 = rect
        named = max(y0, y1 - row * round(1.6 * self._small.size_px))
        self.shape(picture, [(x0, named), (x0, y0), (x1, y0), (x1, y1), (x0, y1)], True, text)

    def corner(self, record: ClipRecord, paths: list["TrackPath"], place: Place, picture: Array) -> Panel | None:
        """The panel of a clip in a corner without boxes, given the first of its pictures; None if there is no room."""
        taken = [rect for path in paths for rect in self._swept(path, record, place)]
        return self._corners.place(self.panels.corners(record), taken, picture)

    def _swept(self, path: "TrackPath", record: ClipRecord, place: Place) -> list[Rect]:
        """Where the box and its tag are during a clip."""
        text, rects = self._tag_text(path), []
        for pair in path.moves(record.start_s, record.end_s):
            boxes = [place.of(box) for box in pair]
            tags = [self._tag_rect(text, rect) for rect in boxes]
            x0, y0, x1, y1 = hull(boxes)
            rects.append((x0 - self._thick_px, y0 - self._thick_px, x1 + self._thick_px, y1 + self._thick_px))
            x0, y0, x1, y1 = hull(tags)
            rects.append(
                (x0, y0, x1, y1 + tags[0][3] - tags[0][1])
            )  # in between, a tag may move from above the box into it
        return rects

    def _tag_text(self, path: "TrackPath") -> str:
        return self._small.fit(f"{path.id}  {path.label}" if path.label else str(path.id), self.width // 3, 600)

    def _tag_rect(self, text: str, rect: Rect) -> Rect:
        """Above the box, or at the top of the picture."""
        size = self._small.size_px
        width, height = self._small.width(text, 600) + size, round(size * 1.4)
        x = int(np.clip(rect[0], 0, max(0, self.width - width)))
        y = rect[1] - height if rect[1] >= height else max(0, rect[1])
        return x, y, x + width, y + height


class ClipDrawing:
    """What the pictures of one clip show, from its start to its end. Other pictures stay as they are."""

    def __init__(
        self, artist: Artist, record: ClipRecord, paths: list["TrackPath"], shapes: Sequence["Shape"] = ()
    ) -> None:
        self._artist, self._record, self._paths, self._shapes = artist, record, paths, shapes
        self._strip = artist.panels.strip(record) if artist.strip_px else None
        self._panel: Panel | None = None
        self._placed = artist.options.panel != "corner"

    def draw(self, picture: Array, time_s: float, place: Place) -> None:
        """Draw on a picture and the strip below it, uint8 "H W 3" RGB, in place."""
        if not self._record.start_s <= time_s < self._record.end_s:
            return
        shown, below = picture[: self._artist.height], picture[self._artist.height :]
        if not self._placed:
            self._panel = self._artist.corner(self._record, self._paths, place, shown)
            self._placed = True
        for shape in self._shapes:
            self._artist.shape(shown, shape.points(self._record, place), shape.closed, shape.text)
        for row, region in enumerate(self._record.regions or (), 1):
            self._artist.region(shown, place.of(region.box), region.label, row)
        self._artist.tracks(shown, self._paths, time_s, place)
        if self._panel is not None:
            self._panel.blend(shown)
        if self._strip is not None:
            below[:] = self._strip


@dataclass(frozen=True)
class Shape:
    """A zone or a line, with what it has counted up to the end of a clip."""

    corners: Sequence[Point]
    """In fractions of the picture."""
    closed: bool
    text: str

    def points(self, record: ClipRecord, place: Place) -> list[tuple[int, int]]:
        places = [place.of((x * record.width, y * record.height, 0.0, 0.0)) for x, y in self.corners]
        return [(x, y) for x, y, _, _ in places]


class Shapes:
    """The zones and lines of a source, which count as its records come."""

    def __init__(self, zones: Mapping[str, Polygon], lines: Mapping[str, Line]) -> None:
        self._zones, self._lines = zones, lines
        self._entered: Counter[str] = Counter()
        self._crossed: Counter[tuple[str, str]] = Counter()

    def after(self, record: ClipRecord) -> list[Shape]:
        inside: Counter[str] = Counter()
        for zone in record.zones or ():
            self._entered[zone.zone] += zone.entered
            inside[zone.zone] = len({visit.track for visit in zone.visits if not visit.left})
        self._crossed.update((each.line, each.way) for each in record.crossings or ())
        shown = [
            Shape(polygon, True, f"{name}  {inside[name]} now, {self._entered[name]} in all")
            for name, polygon in self._zones.items()
        ]
        return shown + [
            Shape(line, False, f"{name}  {self._crossed[name, 'in']} in, {self._crossed[name, 'out']} out")
            for name, line in self._lines.items()
        ]


Box = tuple[float, float, float, float]


@dataclass
class TrackPath:
    """The boxes of one track over time, joined across clips."""

    id: int
    label: str
    boxes: list[tuple[float, float, float, float, float]]
    filled: set[float] = field(default_factory=set)
    """Times at which it was not seen."""
    until_s: float = math.inf
    """End of the clip of the last box: nothing is known of the track after it."""

    @property
    def hold_s(self) -> float:
        """How long the last box stays: until the next picture would be looked at."""
        return min(HOLD_S, self.boxes[-1][0] - self.boxes[-2][0]) if len(self.boxes) > 1 else HOLD_S

    def is_filled(self, time_s: float) -> bool:
        """Whether the track was not seen in the pictures around a time."""
        place = bisect_right(self.boxes, time_s, key=lambda box: box[0])
        return any(box[0] in self.filled for box in self.boxes[max(0, place - 1) : place + 1])

    def at(self, time_s: float) -> Box | None:
        """The box at a time, interpolated between its neighbours; None if the track is not visible."""
        before = after = None
        for box in self.boxes:
            if box[0] <= time_s:
                before = box
            else:
                after = box
                break
        if before is not None and after is not None and after[0] - before[0] <= BRIDGE_S:
            share = (time_s - before[0]) / (after[0] - before[0])
            x0, y0, x1, y1 = (a + (b - a) * share for a, b in zip(before[1:], after[1:], strict=True))
            return x0, y0, x1, y1
        held_s = self.hold_s if after is None else HOLD_S
        if before is not None and time_s - before[0] <= held_s and time_s < self.until_s:
            return before[1:]
        return None

    def moves(self, start_s: float, end_s: float) -> list[tuple[Box, Box]]:
        """What is shown in [start_s, end_s): from which box to which one the track moves, or stays at."""
        moves = [(box[1:], box[1:]) for box in self.boxes if box[0] < end_s and box[0] + HOLD_S >= start_s]
        for before, after in pairwise(self.boxes):
            if before[0] < end_s and after[0] >= start_s and after[0] - before[0] <= BRIDGE_S:
                moves.append((before[1:], after[1:]))
        return moves


def _meet(one: Rect, other: Rect) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def hull(rects: Sequence[Rect]) -> Rect:
    """The smallest rectangle that contains all."""
    x0, y0, x1, y1 = zip(*rects, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def track_paths(records: list[ClipRecord]) -> list[TrackPath]:
    """The tracks of neighbouring clips, joined by id. A track has the label of its last clip that has one."""
    paths: dict[int, TrackPath] = {}
    for record in records:
        for track in record.tracks or ():
            path = paths.setdefault(track.id, TrackPath(track.id, "", []))
            path.filled |= {track.boxes[place][0] for place in track.filled}
            path.boxes += [box for box in track.boxes if not path.boxes or box[0] > path.boxes[-1][0]]
            path.until_s = record.end_s
            path.label = track_text(track) or path.label
    return list(paths.values())


def track_text(track: Track) -> str:
    if not track.label or (track.probability or 0.0) < LEAST_NAMED:
        return ""
    return f"{track.label} {track.probability:.0%}"


def track_colour(number: int) -> Colour:
    """A colour by id, such that neighbouring ids have very different hues."""
    red, green, blue = colorsys.hsv_to_rgb((number * 0.618034) % 1.0, 0.65, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)
