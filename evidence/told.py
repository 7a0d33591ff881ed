"""An explanation in two sentences, whose numbers are those of the maps."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from evidence.explaining import Explanation, Heard, Moved, Seen
from evidence.followed import Lies, lies_on
from evidence.heat import percent, smallest_stretch
from pipeline.arrays import Array
from pipeline.sinks.panel import NAMES

MOST = 0.5
"""A place, stretch or band is named if it has this share of a map."""
THIRD, HALF = 0.6, 0.7
"""A third or a half of the picture is named if it has this share."""
PLACES = (
    ("in the upper left", "at the top", "in the upper right"),
    ("on the left", "in the middle", "on the right"),
    ("in the lower left", "at the bottom", "in the lower right"),
)
THIRDS = (
    *("in the left third", "between the left and the right third", "in the right third"),
    *("in the upper third", "at middle height", "in the lower third"),
)
HALVES = ("in the left half", "in the right half", "in the upper half", "in the lower half")


EVERYWHERE = "spread over the picture"


@dataclass(frozen=True)
class Spot:
    """A part of a map and its share of it."""

    where: str
    share: float
    track: int | None = None
    """The number of the track, if it is the boxes of one."""

    def __str__(self) -> str:
        return self.where if self.where == EVERYWHERE else f"{percent(self.share)} of it {self.where}"


def sentences(why: Explanation) -> tuple[str, str]:
    """`sheep 0.94 at 4.0–6.0 s: 100 % picture, 61 % of it in the middle; motion and sound do not speak for it.`
    `In log-odds: -3.72 to begin with, picture +6.79, motion -0.19, sound -0.16: together +2.72, which is 0.94.`"""
    return evidence_sentence(why), sum_sentence(why)


def evidence_sentence(why: Explanation) -> str:
    shares = sorted(why.shares.items(), key=lambda each: -each[1])
    told = []
    for name, share in shares:
        if share < 0.005:
            continue
        spots = spots_in(why, name)
        more = f", {' and '.join(map(str, spots))}" if spots else ""
        told.append(f"{percent(share)} {NAMES[name]}{more}")
    silent = [NAMES[name] for name, share in shares if share < 0.005]
    rest = f"{_and(silent)} {'does' if len(silent) == 1 else 'do'} not speak for it" if silent else ""
    where = "in the photo" if why.is_photo else f"at {why.start_s:.1f}–{why.end_s:.1f} s"
    begin = f"{why.label.label} {why.label.probability:.2f} {where}: "
    return begin + "; ".join([*told, *filter(None, (rest,))]) + "."


def sum_sentence(why: Explanation) -> str:
    base = why.label.base_log_odds or 0.0
    added = [f"{NAMES[name]} {signed(value)}" for name, value in why.added.items()]
    total = base + sum(why.added.values())
    return (
        f"In log-odds: {signed(base)} to begin with, {', '.join(added)}: together {signed(total)}, "
        f"which is {1 / (1 + np.exp(-total)):.2f}."
    )


def facts(why: Explanation) -> dict[str, Any]:
    """The numbers of the sentences, for programs."""
    modalities = {
        name: {
            "contribution": round(value, 6),
            "share": round(why.shares[name], 6),
            "spots": [
                {"where": spot.where, "share": round(spot.share, 6)}
                | ({} if spot.track is None else {"track": spot.track})
                for spot in spots_in(why, name)
            ],
        }
        | ({"no_map": why.why_not[name]} if name in why.why_not else {})
        for name, value in why.added.items()
    }
    return {
        "source": why.source,
        "start_s": why.start_s,
        "end_s": why.end_s,
        "label": why.label.label,
        "probability": round(why.label.probability, 6),
        "base_log_odds": round(why.label.base_log_odds or 0.0, 6),
        "modalities": modalities,
        "sentences": list(sentences(why)),
    }


def spots_in(why: Explanation, name: str) -> list[Spot]:
    """Where the map of a modality has the most, and the track that it lies on; nothing without a map."""
    if name in why.why_not:
        return []
    lies = track_of(why, name)
    if lies is None:
        return spots_of(why.maps[name])
    named = f" ({lies.track.label})" if lies.track.label and lies.track.label != why.label.label else ""
    on = Spot(f"in the box of track {lies.track.id}{named}", lies.share, lies.track.id)
    return [*spots_of(why.maps[name]), on]


def track_of(why: Explanation, name: str) -> Lies | None:
    """The track that the map of a modality lies on, if tracks are known."""
    part = why.maps.get(name)
    if part is None or isinstance(part, Heard) or not all(why.size):
        return None
    width, height = why.size
    if isinstance(part, Seen):
        (rows, columns), (high, wide) = part.window, part.frames.shape[1:3]
        x0, x1 = (each * width / wide for each in (columns.start, columns.stop))
        y0, y1 = (each * height / high for each in (rows.start, rows.stop))
        return lies_on(part.heat.values, part.times_s.tolist(), why.tracks, (x0, y0, x1, y1))
    count = len(part.heat.values)
    times_s = why.start_s + (np.arange(count) + 0.5) / count * (why.end_s - why.start_s)
    return lies_on(part.heat.values, times_s.tolist(), why.tracks, (0.0, 0.0, width, height))


def spots_of(part: Seen | Heard | Moved) -> list[Spot]:
    """Where the most of a map is: a place in the picture; for sound a stretch of time and a band of frequencies."""
    if isinstance(part, Heard):
        return [heard_when(part), heard_how_high(part)]
    return [seen_where(whole_picture(part) if isinstance(part, Seen) else part.heat.values.sum(axis=0))]


def whole_picture(part: Seen) -> Array:
    """The map of all pictures together over the whole frame, float64 "h w": nothing where the tower does not look."""
    values = part.heat.values.sum(axis=0)
    height, width = part.frames.shape[1:3]
    rows, columns = part.window
    above, left = (
        _cells(part.window[axis].start, values.shape[axis], each) for axis, each in ((0, rows), (1, columns))
    )
    below = _cells(height - rows.stop, values.shape[0], rows)
    right = _cells(width - columns.stop, values.shape[1], columns)
    return np.pad(values, ((above, below), (left, right)))


def _cells(pixels: int, cells: int, window: slice) -> int:
    side: int = window.stop - window.start
    return round(pixels * cells / side)


def seen_where(values: Array) -> Spot:
    """The ninth of the picture that has most of a map "h w", or else the third or the half that does."""
    ninths = thirds(thirds(values).T).T
    row, column = np.unravel_index(int(ninths.argmax()), ninths.shape)
    total = max(float(values.sum()), 1e-12)
    if ninths[row, column] >= MOST * total:
        return Spot(PLACES[row][column], float(ninths[row, column] / total))
    for parts, names, least in ((3, THIRDS, THIRD), (2, HALVES, HALF)):
        amounts = np.concatenate([_parts(values.shape[axis], parts) @ values.sum(axis=1 - axis) for axis in (1, 0)])
        best = int(amounts.argmax())
        if amounts[best] >= least * total:
            return Spot(names[best], float(amounts[best] / total))
    return Spot(EVERYWHERE, 1.0)


def thirds(values: Array) -> Array:
    """Sums over thirds of the rows, "h w" -> "3 w"; a row on an edge is divided."""
    return _parts(len(values), 3) @ values


def _parts(count: int, parts: int) -> Array:
    """How much of each of `count` places is in each of `parts` equal stretches, "parts count"."""
    begins = np.arange(count) / count
    edges = np.arange(parts + 1) / parts
    low = np.maximum(begins, edges[:-1, None])
    high = np.minimum(begins + 1 / count, edges[1:, None])
    inside: Array = np.clip(high - low, 0, None) * count
    return inside


def heard_when(part: Heard) -> Spot:
    along = part.heat.values[0].sum(axis=0)
    first, end = smallest_stretch(along, MOST)
    share = float(along[first:end].sum() / along.sum())
    start_s = part.start_s
    return Spot(f"from {start_s + first * part.column_s:.2f} to {start_s + end * part.column_s:.2f} s", share)


def heard_how_high(part: Heard) -> Spot:
    along = part.heat.values[0].sum(axis=1)
    first, end = smallest_stretch(along, MOST)
    share = float(along[first:end].sum() / along.sum())
    low, high = part.edges_hz[first] / 1000, part.edges_hz[end] / 1000
    return Spot(f"at {low:.1f}–{high:.1f} kHz", share)


def signed(value: float) -> str:
    """`+6.79`, `−0.18`"""
    return f"{value:+.2f}".replace("-", "−")


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
