"""Real files, odd and ordinary: every one is read to its end, or refused with a reason."""

import json
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from stages.decode.reader import NS
from tests.stages.decode.reading import Reading, read

NOTHING_TO_READ = {
    "exoplayer__dash__webvtt-in-mp4__sample.text.mp4": "no video and no audio stream",
    "exoplayer__mkv__subsample_encrypted_noaltref.webm": "nothing could be decoded",
    "exoplayer__mp4__sample_ac4.mp4": "no decoder",
    "exoplayer__mp4__sample_ac4_protected.mp4": "no decoder",
    "exoplayer__mp4__sample_mpegh_mha1.mp4": "no decoder",
    "exoplayer__mp4__sample_mpegh_mhm1.mp4": "no decoder",
    "exoplayer__ts__sample_ac4.ts": "no decoder",
}


def seconds_of(reading: Reading) -> float:
    return sum(clip.info.end_ns - clip.info.start_ns for clip in reading.clips) / NS


def check_order(reading: Reading) -> None:
    assert [clip.info.index for clip in reading.clips] == list(range(len(reading.clips)))
    ends = [clip.info.end_ns for clip in reading.clips]
    starts = [clip.info.start_ns for clip in reading.clips]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


def test_every_odd_file_is_read_or_refused_with_a_reason(shared_data: Path) -> None:
    probes = json.loads((shared_data / "hostile" / "probe.json").read_text())
    refused = {}
    for entry in probes:
        name, probe = entry["file"], entry["probe"]
        try:
            reading = read(shared_data / "hostile" / name, audio_context_s=3.0)
        except SourceError as error:
            refused[name] = str(error)
            continue
        check_order(reading)
        assert reading.clips, name
        has_one_track = not any("sound track" in note for note in reading.info.notes)
        if has_one_track:  # the probe adds up all tracks
            assert seconds_of(reading) >= probe.get("dur", 0) - 0.1, name
        has_cover_only = any("cover" in note for note in reading.info.notes)
        if probe.get("nv", 0) > 1 and not has_cover_only:
            assert any("frames" in clip.arrays for clip in reading.clips), name
        if probe.get("na", 0) > 0:
            assert any("audio" in clip.arrays for clip in reading.clips), name
    assert refused.keys() == NOTHING_TO_READ.keys()
    for name, words in NOTHING_TO_READ.items():
        assert words in refused[name]
        assert name in refused[name]


def test_every_real_clip_is_read_without_errors(shared_data: Path) -> None:
    paths = [path for path in sorted((shared_data / "clips").iterdir()) if path.suffix in {".mp4", ".mkv", ".avi"}]
    for path in paths:
        reading = read(path, end_ns=3 * NS)
        check_order(reading)
        assert reading.info.duration_ns is not None
        assert seconds_of(reading) == pytest.approx(min(reading.info.duration_ns / NS, 3.0), abs=0.2), path.name
        assert sum(clip.info.decode_errors for clip in reading.clips) == 0


@pytest.mark.parametrize("name", ["all_labels.txt", "labels.csv"])
def test_text_is_not_a_video(shared_data: Path, name: str) -> None:
    with pytest.raises(SourceError):
        read(shared_data / "clips" / name)
