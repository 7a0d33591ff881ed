"""FCPXML 1.8, which Final Cut Pro, DaVinci Resolve and others read: a clip with a marker for each event."""

from dataclasses import replace
from fractions import Fraction
from xml.etree.ElementTree import Element

from archive.exports.frames import is_drop_frame
from archive.exports.source import Source
from archive.exports.xml_text import add, document
from pipeline.status import EventRecord

NTSC = Fraction(1000, 1001)
RATES_HZ = (24 * NTSC, Fraction(24), Fraction(25), 30 * NTSC, Fraction(30), Fraction(50), 60 * NTSC, Fraction(60))
"""Rates that editing programs have."""
UNKNOWN_HZ = Fraction(25)


def text(source: Source) -> str:
    """Times are fractions of whole frames. Markers begin at the time of the media, which begins at its timecode.

    A source of another rate than `RATES_HZ` is on a timeline with the next higher one, as editing programs do it.
    """
    source = replace(source, counted_hz=editing_rate(source))
    rate_hz = source.rate_hz
    start, duration = time(source.first_frame, rate_hz), time(source.frames, rate_hz)
    root = Element("fcpxml", version="1.8")
    resources = add(root, "resources")
    size = {"width": source.size[0], "height": source.size[1]} if all(source.size) else {}
    add(resources, "format", id="r1", frameDuration=time(1, rate_hz), **size)
    has = {"hasVideo": 1} if size else {}
    has |= {"hasAudio": 1} if source.has_audio else {}
    media = {"id": "r2", "name": source.name, "src": source.url, "start": start, "duration": duration}
    add(resources, "asset", **media, **has, format="r1")
    form = "DF" if is_drop_frame(source.timecode, rate_hz) else "NDF"
    project = add(add(add(root, "library"), "event", name="percept"), "project", name=source.name)
    sequence = add(project, "sequence", format="r1", duration=duration, tcStart=start, tcFormat=form)
    place = {"offset": start, "start": start, "duration": duration}
    clip = add(add(sequence, "spine"), "asset-clip", ref="r2", name=source.name, **place, tcFormat=form)
    for each in source.events:
        _add_marker(clip, source, each)
    return document(root, "fcpxml")


def _add_marker(clip: Element, source: Source, event: EventRecord) -> None:
    first, frames = source.span(event)
    start, duration = time(source.first_frame + first, source.rate_hz), time(frames, source.rate_hz)
    said = [(event.event, event.probability), *((each.label, each.probability) for each in event.alternatives)]
    note = "; ".join(f"{label} {probability:.2f}" for label, probability in said)
    add(clip, "marker", start=start, duration=duration, value=event.event, note=note)


def editing_rate(source: Source) -> Fraction:
    """The rate of a timeline for a source."""
    if not source.has_rate:
        return UNKNOWN_HZ
    return next((rate for rate in RATES_HZ if rate >= source.rate_hz), RATES_HZ[-1])


def time(frames: int, rate_hz: Fraction) -> str:
    """So many frames as a fraction of seconds: `60060/30000s`."""
    seconds = frames * rate_hz.denominator
    return f"{seconds}/{rate_hz.numerator}s" if seconds % rate_hz.numerator else f"{seconds // rate_hz.numerator}s"
