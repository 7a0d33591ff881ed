"""FCPXML: its structure, and every event at its frame, in exact fractions and as OpenTimelineIO's adapter reads it.

Final Cut Pro runs on macOS only: the elements and attributes that its reference requires are checked by hand.
"""

from fractions import Fraction
from xml.etree.ElementTree import Element, fromstring

import opentimelineio as otio
import pytest

from archive.exports.fcpxml import RATES_HZ, text
from archive.exports.source import Source
from archive.exports.xml_text import legal
from tests.archive.exports.made import EVIL, clips_at, source_with


def read(source: Source) -> Element:
    return fromstring(text(source).encode())


def seconds(value: str | None) -> Fraction:
    assert value
    assert value.endswith("s")
    return Fraction(value[:-1])


def one(root: Element, tag: str) -> Element:
    (found,) = root.iter(tag)
    return found


@pytest.mark.parametrize("rate_hz", RATES_HZ, ids=str)
def test_every_event_comes_back_at_its_frame(rate_hz: Fraction) -> None:
    frames = [0, 29, 57, 58, 113, 116, 226, 1001, 4999]
    source = source_with(clips_at([float(each / rate_hz) for each in frames]), float(rate_hz), "10:00:00:00")
    root = read(source)
    clip, frame_s = one(root, "asset-clip"), seconds(one(root, "format").get("frameDuration"))
    assert frame_s == 1 / rate_hz
    start_s = seconds(clip.get("start"))
    assert start_s == 36_000 * round(rate_hz) * frame_s
    assert [(seconds(each.get("start")) - start_s) / frame_s for each in clip] == frames[:-1]
    ends = [(seconds(each.get("start")) + seconds(each.get("duration")) - start_s) / frame_s for each in clip]
    assert ends == frames[1:]
    assert [each.get("value") for each in clip] == ["dog", "rain"] * 4
    assert {each.tag for each in clip} == {"marker"}


@pytest.mark.parametrize("rate_hz", [rate for rate in RATES_HZ if rate.denominator == 1], ids=str)
def test_opentimelineio_reads_the_same_events(rate_hz: Fraction) -> None:
    """Its adapter takes 30000/1001 for 29, and cuts 225.99999 down to 225: `early` allows for it."""
    frames = [0, 29, 57, 58, 113, 116, 226, 1001, 4999]
    source = source_with(clips_at([float(each / rate_hz) for each in frames]), float(rate_hz), "10:00:00:00")
    (clip,) = otio.adapters.read_from_string(text(source), "fcpx_xml").find_clips()
    start = clip.source_range.start_time.to_frames()
    assert start == 36_000 * rate_hz
    early = [
        frame - (marker.marked_range.start_time.to_frames() - start)
        for frame, marker in zip(frames[:-1], clip.markers, strict=True)
    ]
    assert set(early) <= {0, 1}
    assert [marker.name for marker in clip.markers] == ["dog", "rain"] * 4


def test_what_the_format_requires_is_there() -> None:
    source = source_with(clips_at([0, 2, 4]), 29.97, "01:00:00;02", duration_s=10.01)
    assert text(source).startswith('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n<fcpxml version="1.8">')
    root = read(source)
    assert [each.tag for each in root] == ["resources", "library"]
    asset, clip, sequence = (one(root, tag) for tag in ("asset", "asset-clip", "sequence"))
    assert {"id", "src", "start", "duration", "hasVideo", "format"} <= set(asset.keys())
    assert clip.get("ref") == asset.get("id")
    assert sequence.get("format") == one(root, "format").get("id") == asset.get("format")
    assert sequence.get("tcFormat") == "DF"
    assert clip.get("offset") == clip.get("start") == asset.get("start") == sequence.get("tcStart")
    assert clip.get("duration") == asset.get("duration") == sequence.get("duration") == "300300/30000s"
    path = [each.tag for each in (root[1], root[1][0], root[1][0][0], sequence, sequence[0], sequence[0][0])]
    assert path == ["library", "event", "project", "sequence", "spine", "asset-clip"]


@pytest.mark.parametrize(("rate_hz", "taken"), [(12.5, "1001/24000s"), (24.7, "1/25s"), (144.0, "1/60s"), (0, "1/25s")])
def test_other_rates_are_on_a_timeline_that_editing_programs_have(rate_hz: float, taken: str) -> None:
    root = read(source_with(clips_at([0, 2, 4]), rate_hz))
    assert one(root, "format").get("frameDuration") == taken
    frame_s = seconds(taken)
    assert [round(seconds(each.get("start")) / frame_s * frame_s, 1) for each in root.iter("marker")] == [0, 2]
    assert all(not (seconds(each.get("start")) / frame_s).denominator - 1 for each in root.iter("marker"))


def test_texts_are_only_texts() -> None:
    (marker,) = read(source_with(clips_at([0, 2], [EVIL]))).iter("marker")
    assert marker.get("value") == legal(EVIL)
    assert not list(marker)
