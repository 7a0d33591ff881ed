"""What a log knows of one thing: a stretch of a source that shows it, or a moment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.sinks.hysteresis import JOIN_S

Moment = tuple[int, float]
"""A part of a source, whose clock is its own, and the seconds in it. Later ones are greater."""
Window = tuple[Moment, Moment]
"""From a moment up to another, exclusive."""
BEGINNING, END = (-1, 0.0), (1 << 60, 0.0)


@dataclass(frozen=True)
class Happening:
    """An event of a label, a track from its first picture to its last, a visit of a zone, or a line that was crossed.

    The last one is a moment: it ends when it starts.
    """

    source: str
    what: str
    """The label, or the name of the track; "" for a track without one."""
    start_s: float
    end_s: float
    probability: float
    """Mean over its clips; of a track, of its name."""
    part: int = 0
    """Counts the stretches of its source whose clock starts again."""
    also: tuple[str, ...] = ()
    """Near-synonyms that are part of the event."""
    track: int | None = None
    place: str = ""
    """The zone or line; of a track, where in the picture it is on the whole, such as "upper left"."""
    way: str = ""
    """Of a line: "in" or "out". Of a zone: "left" if it went out."""
    wall: str = ""
    """Date and time of the start, if the log tells."""
    whole_s: float = -1.0
    """Of a cut one: where it began before."""

    @property
    def start(self) -> Moment:
        return self.part, self.start_s

    @property
    def end(self) -> Moment:
        return self.part, self.end_s

    @property
    def whole(self) -> tuple[object, ...]:
        """The same for all parts that it is cut into, and for no other."""
        begin_s = self.start_s if self.whole_s < 0 else self.whole_s
        return self.source, self.part, self.what, self.track, self.place, begin_s

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s

    def is_any_of(self, names: Iterable[str]) -> bool:
        return not {self.what, *self.also}.isdisjoint(names)

    def within(self, windows: Sequence[Window]) -> "list[Happening]":
        """Its parts in each of the windows, in their order; none where it only touches one."""
        if self.start == self.end:
            return [self] if any(low <= self.start < high for low, high in windows) else []
        cuts = ((max(self.start, low), min(self.end, high)) for low, high in windows)
        return [self._cut(low[1], high[1]) for low, high in cuts if low < high]

    def _cut(self, start_s: float, end_s: float) -> "Happening":
        wall = self.wall if start_s == self.start_s else ""
        whole_s = self.start_s if self.whole_s < 0 else self.whole_s
        return replace(self, start_s=start_s, end_s=end_s, wall=wall, whole_s=whole_s)


def joined(happenings: Iterable[Happening]) -> list[Happening]:
    """Stretches of the same source that overlap or follow each other, as one; in order of their start."""
    found: list[Happening] = []
    for each in sorted(happenings, key=lambda each: (each.source, each.start, each.end)):
        last = found[-1] if found else None
        if last and (last.source, last.part) == (each.source, each.part) and each.start_s <= last.end_s + JOIN_S:
            found[-1] = _both(last, each)
        else:
            found.append(each)
    return found


def _both(one: Happening, other: Happening) -> Happening:
    main = one if one.probability >= other.probability else other
    names = dict.fromkeys((one.what, *one.also, other.what, *other.also))
    return replace(
        one,
        what=main.what,
        also=tuple(name for name in names if name != main.what),
        end_s=max(one.end_s, other.end_s),
        probability=main.probability,
        track=one.track if one.track == other.track else None,
    )


def common(some: Sequence[Window], others: Sequence[Window]) -> list[Window]:
    """The stretches that are in a window of both."""
    both = ((max(a, c), min(b, d)) for a, b in some for c, d in others)
    return [(low, high) for low, high in both if low < high]


def united(windows: Iterable[Window]) -> list[Window]:
    """Windows that do not overlap, in order, for those that may."""
    found: list[Window] = []
    for low, high in sorted(windows):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def place_in_picture(x: float, y: float) -> str:
    """The ninth of the picture that a point is in, from fractions of its width and height: "upper left", "middle"."""
    across = ("left", "", "right")[min(2, max(0, int(3 * x)))]
    down = ("upper", "", "lower")[min(2, max(0, int(3 * y)))]
    return " ".join(filter(None, (down, across))) or "middle"
