"""Draws one clip's labels, evidence and tracks on pictures. Sizes follow the picture: 240 lines stay readable."""

import colorsys
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from pipeline.result import ClipRecord, Label, Track

Colour = tuple[int, int, int]
"""RGB."""

COLOURS: dict[str, Colour] = {"image": (96, 165, 250), "motion": (74, 222, 128), "audio": (251, 146, 60)}
NAMES = {"image": "picture", "motion": "motion", "audio": "sound"}
WHITE, GREY, DARK = (255, 255, 255), (170, 175, 185), (16, 18, 24)
PANEL_OPACITY = 0.7
PANEL_SHARE = 0.5
"""The panel's largest share of the picture's height."""
DIM_UNDER = 0.3
"""Labels less probable than this are grey, and tracks show no label."""
HOLD_S = 0.25
"""How long the box of a track stays after its last time: about one step of the frame grid."""
BRIDGE_S = 1.0
"""Boxes are interpolated over at most this time."""


class Text:
    """One typeface at one size. OpenCV 5 draws Latin, Greek, Cyrillic and Chinese; OpenCV 4 only ASCII."""

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px
        self._font: Any = cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None

    def width(self, text: str, weight: int = 400) -> int:
        if self._font is not None:
            left, _, width, _ = cv2.getTextSize((1 << 14, 1 << 10), text, (0, 0), self._font, self.size_px, weight)
            return int(left + width)
        return int(cv2.getTextSize(plain(text), cv2.FONT_HERSHEY_SIMPLEX, self.size_px / 30, 1)[0][0])

    def draw(self, picture: Array, text: str, x: int, baseline: int, colour: Colour, weight: int = 400) -> None:
        if self._font is not None:
            cv2.putText(picture, text, (x, baseline), colour, self._font, self.size_px, weight)
        else:
            cv2.putText(
                picture, plain(text), (x, baseline), cv2.FONT_HERSHEY_SIMPLEX, self.size_px / 30, colour, 1, cv2.LINE_AA
            )

    def fit(self, text: str, width: int, weight: int = 400) -> str:
        """The text, shortened with an ellipsis to at most `width` pixels."""
        text = " ".join(text.split())[:200]
        if self.width(text, weight) <= width:
            return text
        while text and self.width(text + "…", weight) > width:
            text = text[:-1]
        return text.rstrip() + "…"


def plain(text: str) -> str:
    """Text for a typeface that has only ASCII: `Ärger` -> `Arger`, `犬` -> `?`."""
    letters = unicodedata.normalize("NFKD", text.replace("…", "..."))
    return "".join(letter if letter.isascii() else "?" for letter in letters if not unicodedata.combining(letter))


@dataclass(frozen=True)
class Panel:
    """Pixels that are blended into every picture of a clip, and their place."""

    picture: Array
    """uint8 "H W 3" RGB"""
    opacity: Array
    """float32 "H W 1" in [0, 1]"""
    x: int
    y: int

    def blend(self, picture: Array) -> None:
        """Blend into `picture`, uint8 "H W 3" RGB, in place."""
        height, width = self.picture.shape[:2]
        part = picture[self.y : self.y + height, self.x : self.x + width]
        fits = slice(0, part.shape[0]), slice(0, part.shape[1])
        shares, drawn = self._weighted
        part[:] = (part * shares[fits] + drawn[fits]) >> 8

    @cached_property
    def _weighted(self) -> tuple[Array, Array]:
        """In 256ths, as uint16: the share of what is below, and the panel's pixels times its own."""
        own = np.round(self.opacity * 256).astype(np.uint16)
        return 256 - own, self.picture * own


@dataclass(frozen=True)
class Place:
    """Where a box of a record is in a picture: box · scale + offset, for x and y."""

    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def of(self, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        (x, y), (left, top) = self.scale, self.offset
        x0, y0, x1, y1 = box
        return round(x0 * x + left), round(y0 * y + top), round(x1 * x + left), round(y1 * y + top)


class Artist:
    """Draws on upright pictures of one size."""

    def __init__(self, width: int, height: int, max_labels: int = 5) -> None:
        self.width = width
        self.height = height
        self.max_labels = max_labels
        short_px = min(width, height * 16 // 9)
        self.text = Text(int(np.clip(short_px / 46, 11, 34)))
        self.small = Text(int(np.clip(short_px / 54, 10, 26)))

    def panel(self, record: ClipRecord) -> Panel | None:
        """Labels with a bar per modality, in the lower left corner; for an error, its text."""
        rows = list(record.labels or ())[: self.max_labels]
        message = "" if record.is_result else "no result: " + (record.error or record.dropped or "")
        if record.gap or not (rows or message):
            return None
        unit = self.text.size_px
        pad, bar_px = unit // 2, max(2, unit // 6)
        modalities: list[str] = [name for name in MODALITIES if any(name in label.evidence for label in rows)]
        row_px = round(unit * 1.35) + (len(modalities) * (bar_px + 1) + unit // 3 if modalities else 0)
        limit = int(self.height * PANEL_SHARE)
        rows = rows[: max(1, (limit - 2 * pad) // row_px)]
        wanted = max([self.text.width(row.label) for row in rows] + [self.text.width(message)])
        legend_px = sum(self.small.width(NAMES[name]) + 2 * unit for name in modalities)
        inner = min(max(wanted + 4 * unit, legend_px, 9 * unit), int(self.width * (0.6 if self.width < 640 else 0.42)))
        legend = round(self.small.size_px * 1.5) if modalities else 0
        height = 2 * pad + (len(rows) * row_px + legend if rows else row_px)
        picture = np.empty((height, inner + 2 * pad, 3), np.uint8)
        picture[:] = DARK
        opacity = np.full((height, inner + 2 * pad, 1), PANEL_OPACITY, np.float32)
        y = pad
        if message:
            self.text.draw(picture, self.text.fit(message, inner), pad, y + unit, GREY)
        for label in rows:
            self._row(picture, label, modalities, pad, y, inner, bar_px)
            y += row_px
        x = pad
        for name in modalities:
            dot, middle = max(2, unit // 5), y + legend // 2
            picture[middle - dot : middle + dot, x : x + 2 * dot] = COLOURS[name]
            self.small.draw(picture, NAMES[name], x + unit * 3 // 4, middle + self.small.size_px // 3, GREY)
            x += self.small.width(NAMES[name]) + 2 * unit
        bright = (picture.max(axis=2, keepdims=True) > 60).astype(np.float32)
        margin = max(4, unit // 2)
        place_y = max(0, self.height - height - margin)
        opacity = np.maximum(opacity, 0.96 * bright)
        return Panel(picture, opacity, margin if self.width > 4 * margin else 0, place_y)

    def tracks(self, picture: Array, paths: list["TrackPath"], time_s: float, place: Place = Place()) -> None:
        """Draw boxes with id and label, each track in its own colour, in place."""
        thick = max(1, round(self.text.size_px / 9))
        for path in paths:
            box = path.at(time_s)
            if box is None:
                continue
            x0, y0, x1, y1 = place.of(box)
            colour = track_colour(path.id)
            cv2.rectangle(picture, (x0, y0), (x1, y1), colour, thick, cv2.LINE_AA)
            text = self.small.fit(f"{path.id}  {path.label}" if path.label else str(path.id), self.width // 3, 600)
            self._tag(picture, text, x0, y0, colour)

    def _row(self, picture: Array, label: Label, modalities: list[str], x: int, y: int, inner: int, bar: int) -> None:
        unit = self.text.size_px
        colour = WHITE if label.probability >= DIM_UNDER else GREY
        percent = f"{label.probability:.0%}"
        percent_px = self.text.width(percent, 600)
        self.text.draw(picture, self.text.fit(label.label, inner - percent_px - unit), x, y + unit, colour)
        self.text.draw(picture, percent, x + inner - percent_px, y + unit, colour, 600)
        y += round(unit * 1.35)
        for name in modalities:
            picture[y : y + bar, x : x + inner] = tuple(part // 5 + 24 for part in COLOURS[name])
            if name in label.evidence:
                length = round(inner * min(1.0, max(0.0, label.evidence[name].probability)))
                picture[y : y + bar, x : x + length] = COLOURS[name]
            y += bar + 1

    def _tag(self, picture: Array, text: str, x: int, y: int, colour: Colour) -> None:
        size = self.small.size_px
        width, height = self.small.width(text, 600) + size, round(size * 1.4)
        x = int(np.clip(x, 0, max(0, self.width - width)))
        y = y - height if y >= height else max(0, y)
        cv2.rectangle(picture, (x, y), (x + width, y + height), colour, -1)
        ink = DARK if sum(colour) > 380 else WHITE
        self.small.draw(picture, text, x + size // 2, y + round(size * 1.05), ink, 600)


@dataclass
class TrackPath:
    """The boxes of one track over time, joined across clips."""

    id: int
    label: str
    boxes: list[tuple[float, float, float, float, float]]

    def at(self, time_s: float) -> tuple[float, float, float, float] | None:
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
        if before is not None and time_s - before[0] <= HOLD_S:
            return before[1:]
        return None


def track_paths(records: list[ClipRecord]) -> list[TrackPath]:
    """The tracks of neighbouring clips, joined by id. A track has the label of its last clip that has one."""
    paths: dict[int, TrackPath] = {}
    for record in records:
        for track in record.tracks or ():
            path = paths.setdefault(track.id, TrackPath(track.id, "", []))
            path.boxes += [box for box in track.boxes if not path.boxes or box[0] > path.boxes[-1][0]]
            path.label = track_text(track) or path.label
    return list(paths.values())


def track_text(track: Track) -> str:
    if not track.label or (track.probability or 0.0) < DIM_UNDER:
        return ""
    return f"{track.label} {track.probability:.0%}"


def track_colour(number: int) -> Colour:
    """A colour by id, such that neighbouring ids have very different hues."""
    red, green, blue = colorsys.hsv_to_rgb((number * 0.618034) % 1.0, 0.65, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)
