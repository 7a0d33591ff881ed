"""Zones: polygons of the picture, and what is in them. Polygons are in fractions of it, tracks in pixels.

Whatever works on zones of cameras asks here: events and conditions. `stages.track.counting` counts tracks.
"""

from dataclasses import dataclass

from pipeline.places import Box, Polygon, is_inside
from pipeline.result import ClipRecord, Track

LEAST_CHANGE = 0.005
"""Something moves if more than this share of a zone changed. The measure leaves out the sensor's noise already."""
WHOLE: Polygon = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True)
class Zone:
    name: str
    polygon: Polygon


PICTURE = Zone("", WHOLE)
"""The whole picture, as a zone."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for something in a zone during a clip."""

    active: bool | None
    """None: unknown, for want of tracks and of the measure."""
    tracks: tuple[Track, ...] = ()
    """Those that were in it at some time of the clip."""
    change: float | None = None
    """Share of the zone that changed."""

    def has(self, label: str) -> bool:
        """Whether a track of this label is in it."""
        return any(track.label == label for track in self.tracks)


def active(zone: Zone, record: ClipRecord, least_change: float = LEAST_CHANGE) -> Evidence:
    """Whether a track or motion was in a zone during a clip."""
    change = record.measures.get(f"zone:{zone.name}" if zone.name else "change")
    inside = tracks_in(zone, record)
    if inside:
        return Evidence(True, inside, change)
    if change is not None:
        return Evidence(change > least_change, (), change)
    return Evidence(False if record.is_result and record.tracks is not None else None)


def tracks_in(zone: Zone, record: ClipRecord) -> tuple[Track, ...]:
    """The tracks of a clip that were in a zone at some time of it."""
    if not record.tracks or not record.width or not record.height:
        return ()
    size = float(record.width), float(record.height)
    return tuple(
        track for track in record.tracks if any(is_inside(zone.polygon, _box(row, size)) for row in track.boxes)
    )


def _box(row: tuple[float, float, float, float, float], size: tuple[float, float]) -> Box:
    """The box of a row of a track, in fractions: the part of it in the picture."""
    _, *sides = row
    x0, y0, x1, y1 = (min(max(side / size[number % 2], 0.0), 1.0) for number, side in enumerate(sides))
    return x0, y0, x1, y1
