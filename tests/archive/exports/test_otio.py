"""OpenTimelineIO reads back what was written, with every event at its frame."""

import json
import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

from archive.exports.otio import text
from archive.exports.source import Source
from archive.exports.xml_text import legal
from archive.links import Links
from tests.archive.exports.made import EVIL, clips_at, source_with


def read(source: Source) -> Any:
    return otio.adapters.read_from_string(text(source), "otio_json")


@pytest.mark.parametrize("rate_hz", [Fraction(25), Fraction(50), Fraction(30000, 1001), Fraction(24000, 1001)], ids=str)
def test_every_event_comes_back_at_its_frame(rate_hz: Fraction) -> None:
    frames = [0, 29, 57, 58, 113, 116, 226, 1001, 4999]  # at 25, some of these come back early if seconds are written
    source = source_with(clips_at([float(each / rate_hz) for each in frames]), float(rate_hz), "10:00:00:00")
    (clip,) = read(source).find_clips()
    start = otio.opentime.from_timecode("10:00:00:00", float(rate_hz)).to_frames()
    assert [marker.marked_range.start_time.to_frames() - start for marker in clip.markers] == frames[:-1]
    lengths = [after - before for before, after in pairwise(frames)]
    assert [marker.marked_range.duration.to_frames() for marker in clip.markers] == lengths
    assert [marker.name for marker in clip.markers] == ["dog", "rain"] * 4
    assert {marker.marked_range.start_time.rate for marker in clip.markers} == {float(rate_hz)}


def test_the_clip_lies_where_its_timecode_says_and_is_as_long_as_the_source() -> None:
    source = source_with(clips_at([0, 2, 4]), 29.97, "01:00:00;00", duration_s=10.01)
    timeline = read(source)
    (clip,) = timeline.find_clips()
    assert clip.source_range == clip.media_reference.available_range
    assert clip.source_range.duration.to_frames() == 300
    assert timeline.global_start_time.to_timecode() == "01:00:00;00"
    assert timeline.metadata["percept"]["rate"] == "30000/1001"
    assert clip.media_reference.target_url.endswith("/videos/talk.mp4")
    assert timeline.video_tracks()[0].kind == "Video"


def test_sound_alone_counts_thousandths() -> None:
    timeline = read(source_with(clips_at([0, 2.5, 4], size=(0, 0)), 0.0, "01:00:00:00"))
    (clip,) = timeline.find_clips()
    assert [marker.marked_range.start_time.value for marker in clip.markers] == [0, 2500]
    assert timeline.audio_tracks()[0].kind == "Audio"


def test_texts_are_only_texts() -> None:
    source = source_with(clips_at([0, 2], [EVIL]))
    assert [marker.name for clip in read(source).find_clips() for marker in clip.markers] == [legal(EVIL)]
    assert json.loads(text(source))["name"] == "videos/talk.mp4"


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        (b"caf\xe9 100%.mp4", "caf%E9%20100%25.mp4"),
        (b"caf%E9.mp4", "caf%25E9.mp4"),
        ("é%.mp4".encode(), "%C3%A9%25.mp4"),
    ],
)
def test_the_url_is_that_of_the_file_whatever_its_name(tmp_path: Path, name: bytes, escaped: str) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"film")
    source, _ = Links(str(tmp_path)).shown_and_path(str(path))
    (clip,) = read(source_with(clips_at([0, 2]), source=source)).find_clips()
    assert clip.media_reference.target_url == f"file://{tmp_path}/{escaped}"
