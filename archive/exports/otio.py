"""OpenTimelineIO: a timeline with the source as its only clip, on which events are markers."""

from typing import Any

from archive.exports.source import Source
from archive.exports.xml_text import legal
from pipeline.status import EventRecord

COLOURS = ("RED", "GREEN", "BLUE", "ORANGE", "PURPLE", "CYAN", "MAGENTA", "PINK", "YELLOW", "WHITE")


def text(source: Source) -> str:
    """Ranges are in the time of the media, which begins at its timecode.

    Each is made from whole numbers of frames: OpenTimelineIO's own way from seconds gives the frame before for some.
    It cuts texts off at a zero character, so control characters are replaced.
    """
    import opentimelineio as otio

    whole = _range(source, 0, source.frames)
    media = otio.schema.ExternalReference(target_url=source.url, available_range=whole)
    clip = otio.schema.Clip(name=source.name, media_reference=media, source_range=whole)
    colours = {label: COLOURS[place % len(COLOURS)] for place, label in enumerate(_labels(source))}
    clip.markers.extend(_marker(source, event, colours[event.event]) for event in source.events)
    track = otio.schema.Track(name=source.name, kind="Video" if all(source.size) else "Audio", children=[clip])
    timeline = otio.schema.Timeline(name=source.name, global_start_time=whole.start_time)
    timeline.metadata["percept"] = {
        "source": source.facts.source,
        "model": source.facts.model,
        "rate": str(source.rate_hz) if source.has_rate else "",
    }
    timeline.tracks.append(track)
    written: str = timeline.to_json_string(indent=2)
    return written + "\n"


def _marker(source: Source, event: EventRecord, colour: str) -> Any:
    import opentimelineio as otio

    first, frames = source.span(event)
    more = {
        "probability": event.probability,
        "peak": event.peak,
        "clips": event.clips,
        "alternatives": {legal(each.label): each.probability for each in event.alternatives},
    }
    return otio.schema.Marker(
        name=legal(event.event), marked_range=_range(source, first, frames), color=colour, metadata={"percept": more}
    )


def _range(source: Source, first: int, frames: int) -> Any:
    from opentimelineio.opentime import RationalTime, TimeRange

    rate_hz = float(source.rate_hz)
    return TimeRange(RationalTime(source.first_frame + first, rate_hz), RationalTime(frames, rate_hz))


def _labels(source: Source) -> list[str]:
    return list(dict.fromkeys(event.event for event in source.events))
