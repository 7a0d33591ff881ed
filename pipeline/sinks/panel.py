"""The labels of one clip as pixels: a strip for below the picture, or a panel for one of its corners."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.arrays import Array
from pipeline.clip import MODALITIES
from pipeline.result import ClipRecord, Label, clock_text
from pipeline.sinks.lettering import DARK, GREY, WHITE, Colour, Text, one_line
from pipeline.status import VideoOptions

COLOURS: dict[str, Colour] = {"image": (96, 165, 250), "motion": (74, 222, 128), "audio": (251, 146, 60)}
NAMES = {"image": "picture", "motion": "motion", "audio": "sound"}
OPACITY = 0.7
"""Of a panel in a corner, where it has no text."""
MOST_HEIGHT = 0.4
"""The largest share of the picture's height for a panel, and for what a strip adds."""
MOST_WIDTH = 0.45
"""The largest share of the picture's width for a panel in a corner of a wide picture."""
CELL_EM, WIDEST_CELL_EM = 13, 22
"""The least and the largest width of a label in a strip, in heights of its text."""


@dataclass(frozen=True)
class Panel:
    """Pixels that are blended into every picture of a clip, and their place."""

    picture: Array
    """uint8 "H W 3" RGB"""
    opacity: Array
    """float32 "H W 1" in [0, 1]"""
    x: int = 0
    y: int = 0

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


class PanelArtist:
    """Draws the labels of clips for pictures of one size. Labels under the least probability are left out."""

    def __init__(self, width: int, height: int, options: VideoOptions) -> None:
        self.width, self.height, self.options = width, height, options
        side_px = (width * height) ** 0.5
        self.text = Text(int(np.clip(side_px / 50, 12, 28)))
        self.small = Text(int(np.clip(side_px / 60, 11, 24)))
        self.pad_px = self.text.size_px // 2
        self._bar_px = max(2, self.text.size_px // 7)
        self._legend_px = round(self.small.size_px * 1.7)
        self._columns, self._rows = self._grid()

    @property
    def strip_px(self) -> int:
        """The height of a strip: the same for all clips, even, and 0 if strips are not asked for."""
        if self.options.panel != "below" or not self.options.max_labels:
            return 0
        height = 2 * self.pad_px + self._rows * self._cell_px(len(MODALITIES)) + self._legend_px
        return height + height % 2

    def strip(self, record: ClipRecord) -> Array | None:
        """Pixels for below the picture, uint8 "H W 3"; None for a gap, which is black."""
        if record.gap:
            return None
        picture = np.zeros((self.strip_px, self.width, 3), np.uint8)
        shown = self._shown(record)[: self._columns * self._rows]
        used = modalities(shown)
        room = self.width - self.pad_px
        cell_px = min(room // self._columns, WIDEST_CELL_EM * self.text.size_px)
        for index, label in enumerate(shown):
            row, column = divmod(index, self._columns)
            x, y = self.pad_px + column * cell_px, self.pad_px + row * self._cell_px(len(MODALITIES))
            self._cell(picture, label, used, x, y, cell_px - self.pad_px)
        if not shown:
            text = message(record) or f"no label above {self.options.least_probability:.0%}"
            self._line(picture, text, self.pad_px, self.pad_px, room - self.pad_px, GREY)
        self._legend(picture, used, self.strip_px - self._legend_px - self.pad_px // 2, time_range(record))
        return picture

    def corners(self, record: ClipRecord) -> Iterator[Panel]:
        """Panels for a corner, not placed yet, the largest first: with fewer and fewer labels, then without legend."""
        shown, text = self._shown(record), message(record)
        used = modalities(shown)
        if text and not record.gap:
            yield self._corner([], [], text, 0)
        fits = self._legend_width(used) <= self._most_inner_px
        for legend_px in (self._legend_px, 0) if fits else (0,):
            room = int(self.height * MOST_HEIGHT) - 2 * self.pad_px - legend_px
            most = min(len(shown), max(1, room // self._cell_px(len(used))))
            for count in range(most, 0, -1):
                yield self._corner(shown[:count], used, text, legend_px)

    def _corner(self, shown: list[Label], used: list[str], text: str, legend_px: int) -> Panel:
        inner = self._inner_px(shown, text, self._legend_width(used) if legend_px else 0)
        height = 2 * self.pad_px + len(shown) * self._cell_px(len(used)) + legend_px
        height += round(self.text.size_px * 1.35) if text else 0
        picture = np.empty((height, inner + 2 * self.pad_px, 3), np.uint8)
        picture[:] = DARK
        y = self.pad_px
        for label in shown:
            self._cell(picture, label, used, self.pad_px, y, inner)
            y += self._cell_px(len(used))
        if text:
            self._line(picture, text, self.pad_px, y, inner, GREY)
        if legend_px:
            self._legend(picture, used, y, "")
        bright = picture.max(axis=2, keepdims=True) > 60
        return Panel(picture, np.where(bright, np.float32(0.96), np.float32(OPACITY)))

    def _grid(self) -> tuple[int, int]:
        """Columns and rows of a strip: wide enough for most names, and no more rows than there are labels."""
        most = max(1, self.options.max_labels)
        columns = int(np.clip((self.width - self.pad_px) // (CELL_EM * self.text.size_px), 1, most))
        rows = -(-most // columns)
        room = self.height * MOST_HEIGHT - 2 * self.pad_px - self._legend_px
        rows = int(np.clip(room // self._cell_px(len(MODALITIES)), 1, rows))
        return min(columns, -(-most // rows)), rows

    def _cell_px(self, bars: int) -> int:
        """Height of a label with its bars."""
        return round(self.text.size_px * 1.35) + (bars * (self._bar_px + 1) + self.text.size_px // 2 if bars else 0)

    def _shown(self, record: ClipRecord) -> list[Label]:
        least = self.options.least_probability
        return [label for label in record.labels or () if label.probability >= least][: self.options.max_labels]

    def _inner_px(self, shown: list[Label], text: str, legend_px: int) -> int:
        """Width of a corner panel without its margins: that of its longest text, as far as the picture allows."""
        unit = self.text.size_px
        names_px = [self.text.width(one_line(label.label)) + 4 * unit for label in shown]
        wanted = max([*names_px, self.text.width(one_line(text)), legend_px])
        return max(1, min(wanted, self._most_inner_px))

    @property
    def _most_inner_px(self) -> int:
        share = MOST_WIDTH if self.width > self.height else 2 * MOST_WIDTH
        return int(self.width * share) - 2 * self.pad_px

    def _cell(self, picture: Array, label: Label, used: list[str], x: int, y: int, width: int) -> None:
        percent = f"{label.probability:.0%}"
        percent_px = self.text.width(percent, 600)
        self._line(picture, label.label, x, y, width - percent_px - self.pad_px, WHITE)
        self.text.draw(picture, percent, x + width - percent_px, y + self.text.size_px, WHITE, 600)
        y += round(self.text.size_px * 1.35)
        for name in used:
            bar = picture[y : y + self._bar_px, x : x + width]
            bar[:] = tuple(part // 5 + 24 for part in COLOURS[name])
            if name in label.evidence:
                bar[:, : round(width * min(1.0, max(0.0, label.evidence[name].probability)))] = COLOURS[name]
            y += self._bar_px + 1

    def _line(self, picture: Array, text: str, x: int, y: int, width: int, colour: Colour) -> None:
        """One line of text: smaller, then shortened if it is too long."""
        fits = self.text.width(one_line(text)) <= width
        face = self.text if fits else self.small
        face.draw(picture, face.fit(text, width), x, y + self.text.size_px, colour)

    def _legend(self, picture: Array, used: list[str], y: int, right: str) -> None:
        size, x = self.small.size_px, self.pad_px
        dot, middle = max(2, self.text.size_px // 4), y + self._legend_px // 2
        for name in used:
            picture[middle - dot : middle + dot, x : x + 2 * dot] = COLOURS[name]
            self.small.draw(picture, NAMES[name], x + 3 * dot, middle + size // 3, GREY)
            x += 3 * dot + self.small.width(NAMES[name]) + size
        right_x = picture.shape[1] - self.pad_px - self.small.width(right)
        if right and right_x >= x:
            self.small.draw(picture, right, right_x, middle + size // 3, GREY)

    def _legend_width(self, used: list[str]) -> int:
        dot = max(2, self.text.size_px // 4)
        return sum(3 * dot + self.small.width(NAMES[name]) + self.small.size_px for name in used)


def modalities(labels: list[Label]) -> list[str]:
    """Those with evidence for any of the labels."""
    return [name for name in MODALITIES if any(name in label.evidence for label in labels)]


def message(record: ClipRecord) -> str:
    """Why a clip has no result; "" if it has one."""
    return "" if record.is_result else "no result: " + (record.error or record.dropped or "")


def time_range(record: ClipRecord) -> str:
    """`0:04–0:06`"""
    return f"{clock_text(record.start_s)}–{clock_text(record.end_s)}"
